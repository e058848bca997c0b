//! The parts of a measurement: a fake Zoho, a sink for OTLP, and what asks a proxy and watches it. All of it talks to
//! loopback addresses alone.

mod args;
mod epoll;
mod first;
mod histogram;
mod hold;
mod http;
mod load;
mod otlp;
mod procfs;
mod sim;

use args::Args;

const USAGE: &str = "bk COMMAND [OPTIONS]

sim    --listen A [--token T] [--expires-in S] [--delay-us N] [--cert F --key F]   a fake Zoho
otlp   --listen A                                                                  a sink for OTLP
load   --addr A [--conns N] [--rate R] [--warmup S] [--duration S | --count N]     load, and what it costs
hold   --addr A [--conns N]                                                        memory with open connections
first  --addr A [--pin CPU] -- COMMAND…                                           milliseconds to the first answer
ready  --addr A                                                                    waits for a first right answer
mem    --watch PID                                                                 memory of a process tree

load, hold, first and ready take --auth TOKEN, to ask the fake Zoho itself. load and hold take --watch PID.
Port 0 of --listen is a free one; the address is printed. Results are JSON objects.
load ends with status 1 if an answer was wrong.";

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let args = Args::new(words);
    match command.as_str() {
        "sim" => sim::main(&args),
        "otlp" => otlp::main(&args),
        "load" => load::main(&args),
        "hold" => hold::main(&args),
        "first" => first::main(&args),
        "ready" => first::ready(&args),
        "mem" => println!("{}", procfs::memory(&procfs::trees(&args.pids("--watch")))),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}
