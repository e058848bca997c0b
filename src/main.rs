//! The program: reads the command line, runs the command, says by its exit code how it ended.

use std::process::ExitCode;

use bigin_photo_proxy::cli::{self, Cli};
use clap::Parser;

fn main() -> ExitCode {
    let exit = cli::run(Cli::parse());
    ExitCode::from(exit as u8)
}
