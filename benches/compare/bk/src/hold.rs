//! `bk hold`: what open connections cost in memory.

use std::time::Duration;

use crate::args::Args;
use crate::http::{self, Request};
use crate::procfs;

/// Sends one request over each connection, keeps all of them, and prints the memory of `--watch`.
pub fn main(args: &Args) {
    let address = args.address("--addr");
    let wanted = args.number("--conns").unwrap_or(5000);
    let roots = args.pids("--watch");
    let mut request = Request::new(args);
    let held = (0..wanted)
        .filter_map(|_| http::ask(address, &mut request, Duration::from_secs(5)))
        .collect::<Vec<_>>();
    std::thread::sleep(Duration::from_millis(500));
    let memory = procfs::memory(&procfs::trees(&roots));
    println!(
        r#"{{"conns":{},"bad":{},"memory":{memory}}}"#,
        held.len(),
        wanted - held.len()
    );
}
