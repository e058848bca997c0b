//! The program: says where it is, serves, ends when told.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use zoho_sandbox::Settings;

use crate::client::{Client, request};

/// The program while it runs.
struct Program {
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut process = command(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self { process, stdout }
    }

    /// Reads the greeting up to the address of the API.
    fn address(&mut self) -> SocketAddr {
        let lines = self.stdout.by_ref().lines().map_while(Result::ok);
        let line = lines
            .into_iter()
            .find(|line| line.starts_with("API "))
            .expect("the greeting tells it");
        let (_, address) = line.split_once("http://").expect("as an address");
        address.parse().expect("that can be connected to")
    }

    /// Sends a signal the way a CI does. The exit code, and what was left to read.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status();
        assert!(sent.expect("there is a kill").success());
        let mut rest = String::new();
        self.stdout
            .read_to_string(&mut rest)
            .expect("the greeting is text");
        (
            self.process.wait().expect("the process is ours").code(),
            rest,
        )
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoho-sandbox"));
    command.args(arguments);
    command
}

/// What the program says when it does not start.
fn complaint(arguments: &[&str]) -> String {
    let output = command(arguments).output().expect("the program was built");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn settings_file(name: &str, text: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("zoho-sandbox-{}-{name}.json", std::process::id()));
    fs::write(&path, text).expect("there is a place for temporary files");
    path
}

#[tokio::test]
async fn it_serves_with_the_settings_of_a_file_until_sigterm() {
    let file = settings_file("right", r#"{"concurrency": 3}"#);
    let mut program = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--settings",
        file.to_str().unwrap(),
    ]);
    let mut client = Client::connect(program.address()).await;

    client
        .send(&request("GET", "/__sandbox/settings", ""))
        .await;
    let settings: Settings = serde_json::from_str(&client.answer().await.body).unwrap();

    assert_eq!(settings.concurrency, 3);
    assert_eq!(program.end("-TERM").0, Some(0));
    fs::remove_file(file).unwrap();
}

#[test]
fn its_greeting_tells_the_credentials_and_the_next_steps() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0"]);
    let address = program.address();

    let (code, rest) = program.end("-INT");

    assert_eq!(code, Some(0));
    for part in [
        "1000.SANDBOX",
        "sandbox-client-secret",
        "1000.sandbox-refresh-token",
    ] {
        assert!(rest.contains(part), "{rest}");
    }
    assert!(
        rest.contains(&format!("curl http://{address}/oauth/v2/token")),
        "{rest}"
    );
    assert!(
        rest.contains(&format!("curl http://{address}/__sandbox/")),
        "{rest}"
    );
}

#[test]
fn it_refuses_to_listen_to_the_world() {
    let complaint = complaint(&["--listen", "0.0.0.0:0"]);

    assert!(complaint.contains("not a loopback address"), "{complaint}");
}

#[test]
fn it_names_the_file_and_the_key_that_are_wrong() {
    let file = settings_file("wrong", r#"{"concurency": 3}"#);

    let complaint = complaint(&["--settings", file.to_str().unwrap()]);

    assert!(
        complaint.contains(file.to_str().unwrap()) && complaint.contains("concurency"),
        "{complaint}"
    );
    fs::remove_file(file).unwrap();
}
