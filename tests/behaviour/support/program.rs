//! The program, as users run it: a process with arguments, signals, output and an exit code.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

/// A running program. It is killed with the test, if it is still there.
pub(crate) struct Program {
    child: Child,
    output: Box<dyn BufRead + Send>,
    config: Option<PathBuf>,
}

impl Program {
    /// `serve` with a configuration.
    pub(crate) fn serve(config: &str) -> Self {
        Self::serve_in(&[], config)
    }

    /// The same, with environment variables.
    pub(crate) fn serve_in(variables: &[(&str, &str)], config: &str) -> Self {
        let path = config_file(config);
        let mut command = command();
        command.args(["serve", "--config"]).arg(&path);
        Self::spawn(command, variables, Some(path))
    }

    /// The same, from a shell that changes a limit first, such as `ulimit -n 1000`.
    pub(crate) fn serve_after(limit: &str, config: &str) -> Self {
        let path = config_file(config);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")]);
        command.args([env!("CARGO_BIN_EXE_bigin-photo-proxy"), "serve", "--config"]);
        command.arg(&path);
        Self::spawn(command, &[], Some(path))
    }

    /// `sandbox`, with environment variables.
    pub(crate) fn sandbox(variables: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.arg("sandbox");
        Self::spawn(command, variables, None)
    }

    /// The same, with a standard output that was set not to block.
    pub(crate) fn serve_unblocked(config: &str) -> Self {
        let path = config_file(config);
        let (output, stdout) = io::pipe().unwrap();
        ioctl_fionbio(&stdout, true).unwrap();
        let mut command = command();
        command.args(["serve", "--config"]).arg(&path);
        let child = command.stdout(stdout).stderr(Stdio::piped()).spawn();
        Self {
            child: child.unwrap(),
            output: Box::new(BufReader::new(output)),
            config: Some(path),
        }
    }

    fn spawn(mut command: Command, variables: &[(&str, &str)], config: Option<PathBuf>) -> Self {
        command.envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Box::new(BufReader::new(child.stdout.take().unwrap()));
        Self {
            child,
            output,
            config,
        }
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub(crate) fn run(arguments: &[&str], config: Option<&str>) -> (i32, String, String) {
        Self::run_in(&[], arguments, config)
    }

    /// The same, with environment variables.
    pub(crate) fn run_in(
        variables: &[(&str, &str)],
        arguments: &[&str],
        config: Option<&str>,
    ) -> (i32, String, String) {
        let mut command = command();
        command.args(arguments).envs(variables.iter().copied());
        to_the_end(command, config)
    }

    /// The same, with a standard input.
    pub(crate) fn run_with_input(arguments: &[String], input: &str) -> (i32, String, String) {
        let mut command = command();
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever ends without reading has its reasons.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        said(child.wait_with_output().unwrap())
    }

    /// The same, with a standard output of one's own: exit code, standard error.
    pub(crate) fn run_into(stdout: Stdio, arguments: &[&str], config: &str) -> (i32, String) {
        let mut command = command();
        command.args(arguments).stdout(stdout);
        let (code, _, stderr) = to_the_end(command, Some(config));
        (code, stderr)
    }

    /// What it says up to this line, and an empty one after it.
    pub(crate) fn lines_until(&mut self, last: &str) -> String {
        let mut said = String::new();
        while !said.ends_with(&format!("{last}\n\n")) {
            assert!(
                self.output.read_line(&mut said).unwrap() > 0,
                "the program ended: {said}"
            );
        }
        said
    }

    /// The next log line.
    pub(crate) fn next_line(&mut self) -> Value {
        let mut line = String::new();
        assert!(
            self.output.read_line(&mut line).unwrap() > 0,
            "the program ended"
        );
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next log line with this message.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        loop {
            let line = self.next_line();
            if line["message"] == message {
                return line;
            }
        }
    }

    /// Waits until it serves, and says where: callers' address, operators' address.
    pub(crate) fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let line = self.line("serving");
        let address = |key: &str| line[key].as_str().unwrap().parse().unwrap();
        (address("listen"), address("admin"))
    }

    /// A file that the system keeps about the process.
    pub(crate) fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// The memory that it holds now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.unwrap().trim().trim_end_matches(" kB");
        figure.parse().unwrap()
    }

    /// The processor time that it has used, in the ticks of `/proc`: hundredths of a second.
    pub(crate) fn ticks_used(&self) -> u64 {
        let stat = self.proc_file("stat");
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        // utime and stime are the fields 14 and 15; the state behind the name is field 3.
        let used = rest.split(' ').skip(11).take(2);
        used.map(|field| field.parse::<u64>().unwrap()).sum()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> u64 {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        open.unwrap().count() as u64
    }

    /// Changes how many descriptors the running process may have.
    pub(crate) fn limit_descriptors(&self, most: u64) {
        let pid = Pid::from_child(&self.child);
        let hard = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(most),
            maximum: hard,
        };
        prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    }

    /// The rest of its log, for whoever reads it elsewhere.
    pub(crate) fn take_log(&mut self) -> Box<dyn BufRead + Send> {
        std::mem::replace(&mut self.output, Box::new(io::empty()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end: exit code, and the rest of its log.
    pub(crate) fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.take_log().read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        // A signal that killed it is no exit code.
        (status.code().unwrap_or(-1), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has usually ended by then.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(self.config.as_ref().map(std::fs::remove_file));
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bigin-photo-proxy"));
    command.env_remove("RUST_LOG");
    command
}

fn to_the_end(mut command: Command, config: Option<&str>) -> (i32, String, String) {
    let path = config.map(config_file);
    if let Some(path) = &path {
        command.arg("--config").arg(path);
    }
    let output = command.output().unwrap();
    if let Some(path) = &path {
        std::fs::remove_file(path).unwrap();
    }
    said(output)
}

/// Exit code, standard output, standard error.
fn said(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn config_file(text: &str) -> PathBuf {
    let name = format!("bigin-photo-proxy-{:016x}.toml", fastrand::u64(..));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).unwrap();
    path
}
