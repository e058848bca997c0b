//! `bk first`: from exec to the first right answer. `bk ready`: waits for it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::http::{self, Request};
use crate::{epoll, procfs};

const PATIENCE: Duration = Duration::from_secs(60);

pub fn ready(args: &Args) {
    let began = Instant::now();
    if !wait(args.address("--addr"), &mut Request::new(args), began) {
        eprintln!("no right answer in {} s", PATIENCE.as_secs());
        std::process::exit(1);
    }
    println!(r#"{{"bad":0}}"#);
}

pub fn main(args: &Args) {
    let (address, mut request) = (args.address("--addr"), Request::new(args));
    let [program, arguments @ ..] = args.command.as_slice() else {
        panic!("-- and a command are missing");
    };
    // The child inherits it. A wrapper that pins would be measured too.
    if let Some(cpu) = args.number("--pin") {
        epoll::pin(cpu);
    }
    let began = Instant::now();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command can be started");
    if args.text("--pin").is_some() {
        epoll::pin(0);
    }
    let answered = wait(address, &mut request, began);
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    end(child);
    println!(
        r#"{{"first_ms":{millis:.3},"bad":{}}}"#,
        u8::from(!answered)
    );
}

fn wait(address: SocketAddr, request: &mut Request, began: Instant) -> bool {
    while began.elapsed() < PATIENCE {
        if http::ask(address, request, Duration::from_secs(30)).is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    false
}

/// Ends a process and its descendants.
fn end(mut child: Child) {
    let tree = procfs::trees(&[child.id()]);
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        tree.iter().for_each(|pid| epoll::kill(*pid, signal));
        for _ in 0..50 {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
