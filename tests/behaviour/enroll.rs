//! From a grant code to a refresh token, without a secret on the command line or on the screen.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zoho_sandbox::Sandbox;

use crate::support::{ConnectProxy, Manners, Program, TestApp, config_for, tls_sandbox};

const SECRET: &str = "sandbox-client-secret";
const CODE: &str = "1000.sandbox-grant-code";
const TOKEN: &str = "1000.sandbox-refresh-token";

/// A directory that is not there yet. It is removed with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("enrolled-{:016x}", fastrand::u64(..));
        Self(std::env::temp_dir().join(name))
    }

    fn holds(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(name)).ok()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn arguments(zoho: &Sandbox, more: &[&str]) -> Vec<String> {
    let url = zoho.accounts_url();
    let ours = [
        "enroll",
        "--accounts-url",
        &url,
        "--client-id",
        "1000.SANDBOX",
    ];
    ours.iter()
        .chain(more)
        .map(|argument| (*argument).to_owned())
        .collect()
}

/// Exit code, standard output, standard error. The sandbox goes on meanwhile.
async fn enroll(zoho: &Sandbox, more: &[&str], input: &str) -> (i32, String, String) {
    let (arguments, input) = (arguments(zoho, more), input.to_owned());
    tokio::task::spawn_blocking(move || Program::run_with_input(&arguments, &input))
        .await
        .unwrap()
}

fn lines(secret: &str, code: &str) -> String {
    format!("{secret}\n{code}\n")
}

#[tokio::test]
async fn a_grant_code_becomes_files_for_their_owner_alone_and_the_proxy_serves_with_them() {
    let zoho = Sandbox::start().await;
    let directory = Directory::new();
    let path = directory.0.to_str().unwrap();

    let (code, stdout, stderr) = enroll(&zoho, &["--directory", path], &lines(SECRET, CODE)).await;

    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert_eq!(directory.holds("client_secret").as_deref(), Some(SECRET));
    assert_eq!(directory.holds("refresh_token").as_deref(), Some(TOKEN));
    for name in ["client_secret", "refresh_token"] {
        let mode = directory.0.join(name).metadata().unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    assert!(!zoho.ledger().token_log[0].used_query);
    let config = config_for(&zoho, "")
        .replace(
            &format!("client_secret = {SECRET:?}"),
            &format!("client_secret_file = \"{path}/client_secret\""),
        )
        .replace(
            &format!("refresh_token = {TOKEN:?}"),
            &format!("refresh_token_file = \"{path}/refresh_token\""),
        );
    TestApp::of_config(&config).ready().await;
}

#[tokio::test]
async fn a_manifest_holds_both_secrets_under_the_names_of_the_files() {
    let zoho = Sandbox::start().await;

    let to = ["--kubernetes-secret", "zoho"];
    let (code, stdout, stderr) = enroll(&zoho, &to, &lines(SECRET, CODE)).await;

    assert_eq!(code, 0, "{stderr}");
    let (secret, token) = (STANDARD.encode(SECRET), STANDARD.encode(TOKEN));
    let expected = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: zoho\ntype: Opaque\ndata:\n  client_secret: {secret}\n  refresh_token: {token}\n"
    );
    assert_eq!(stdout, expected);
    for secret in [SECRET, CODE, TOKEN, &secret, &token] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
}

#[tokio::test]
async fn scopes_that_are_missing_and_scopes_that_are_needless_are_named() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.scope_in_answer = true;
        settings.scopes = vec![
            "ZohoBigin.modules.contacts.DELETE".to_owned(),
            "ZohoBigin.modules.accounts.ALL".to_owned(),
        ];
    });

    let to = ["--kubernetes-secret", "zoho"];
    let (code, _, stderr) = enroll(&zoho, &to, &lines(SECRET, CODE)).await;

    assert_eq!(code, 0, "{stderr}");
    let warnings: Vec<_> = stderr.lines().collect();
    assert_eq!(warnings.len(), 2, "{stderr}");
    assert!(warnings[0].contains("ZohoBigin.modules.products.DELETE is missing"));
    assert!(warnings[1].contains("ZohoBigin.modules.accounts.ALL is more than is needed"));
}

#[tokio::test]
async fn the_least_scopes_leave_nothing_to_say() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.scope_in_answer = true);

    let to = ["--kubernetes-secret", "zoho"];
    let (_, _, stderr) = enroll(&zoho, &to, &lines(SECRET, CODE)).await;

    assert_eq!(stderr, "");
}

#[tokio::test]
async fn a_code_or_secret_that_is_refused_leaves_no_file_and_says_what_to_do() {
    let zoho = Sandbox::start().await;
    for (input, advice) in [
        (lines(SECRET, "1000.wrong"), "generate another one"),
        (lines("wrong-secret", CODE), "Is the client id right"),
    ] {
        let directory = Directory::new();
        let to = ["--directory", directory.0.to_str().unwrap()];

        let (code, stdout, stderr) = enroll(&zoho, &to, &input).await;

        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains(advice), "{stderr}");
        assert_eq!(directory.holds("client_secret"), None);
        assert_eq!(directory.holds("refresh_token"), None);
        for secret in [SECRET, CODE, "1000.wrong", "wrong-secret"] {
            assert!(!stderr.contains(secret), "{stderr}");
        }
    }
}

#[tokio::test]
async fn files_that_are_there_are_kept_and_the_code_is_not_spent() {
    let zoho = Sandbox::start().await;
    let directory = Directory::new();
    std::fs::create_dir(&directory.0).unwrap();
    std::fs::write(directory.0.join("refresh_token"), "in use").unwrap();

    let to = ["--directory", directory.0.to_str().unwrap()];
    let (code, _, stderr) = enroll(&zoho, &to, &lines(SECRET, CODE)).await;

    assert_eq!(code, 1, "{stderr}");
    assert_eq!(directory.holds("refresh_token").as_deref(), Some("in use"));
    assert_eq!(directory.holds("client_secret"), None);
    assert_eq!(zoho.ledger().token_requests, 0);
}

#[tokio::test]
async fn a_network_that_lets_nothing_out_is_left_through_its_proxy_with_its_authority() {
    let (zoho, authority) = tls_sandbox().await;
    let proxy = ConnectProxy::start(Manners::Tunnel).await;
    let url = format!("http://{}", proxy.address);
    let way = ["--kubernetes-secret", "zoho", "--proxy", &url];
    let input = lines(SECRET, CODE);
    let (code, _, stderr) = enroll(&zoho, &way, &input).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("the code is still good"), "{stderr}");

    let trusted = [&way[..], &["--ca-file", authority.to_str().unwrap()]].concat();
    let (code, stdout, stderr) = enroll(&zoho, &trusted, &input).await;

    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("kind: Secret"));
    assert_eq!(proxy.asked().len(), 2, "nothing goes another way");
    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn what_is_no_secret_is_not_sent() {
    let zoho = Sandbox::start().await;
    for input in ["", "two words\n", "secret\n\n"] {
        let to = ["--kubernetes-secret", "zoho"];
        let (code, _, stderr) = enroll(&zoho, &to, input).await;
        assert_eq!(code, 1, "{stderr}");
    }
    assert_eq!(zoho.ledger().token_requests, 0);
}

#[test]
fn a_wrong_command_line_exits_2_and_there_is_no_argument_for_a_secret() {
    let right = ["enroll", "--client-id", "1000.ID"];
    for wrong in [
        &["--data-center", "uk", "--kubernetes-secret", "zoho"][..],
        &["--data-center", "eu"],
        &["--kubernetes-secret", "zoho"],
        &["--data-center", "eu", "--kubernetes-secret", "a: b"],
        &[
            "--accounts-url",
            "http://zoho.example",
            "--kubernetes-secret",
            "zoho",
        ],
    ] {
        let arguments: Vec<_> = right.iter().chain(wrong).copied().collect();
        assert_eq!(Program::run(&arguments, None).0, 2, "{wrong:?}");
    }
    let (_, help, _) = Program::run(&["enroll", "--help"], None);
    assert!(!help.contains("--client-secret") && !help.contains("--code"));
}

#[tokio::test]
async fn a_terminal_does_not_show_what_is_typed() {
    let zoho = Sandbox::start().await;
    let command = [
        vec![env!("CARGO_BIN_EXE_bigin-photo-proxy").to_owned()],
        arguments(&zoho, &["--kubernetes-secret", "zoho"]),
    ];
    let shown = tokio::task::spawn_blocking(move || typed(&command.concat().join(" ")));
    let shown = shown.await.unwrap();

    assert!(shown.contains("kind: Secret"), "{shown}");
    for secret in [SECRET, CODE] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// What a terminal shows while somebody answers a command's questions.
fn typed(command: &str) -> String {
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    let mut screen = script.stdout.take().unwrap();
    let mut shown = Vec::new();
    for (question, answer) in [("Client secret: ", SECRET), ("Grant code: ", CODE)] {
        while !shown.ends_with(question.as_bytes()) {
            let mut byte = [0];
            screen.read_exact(&mut byte).unwrap();
            shown.extend(byte);
        }
        keyboard
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    assert!(script.wait().unwrap().success());
    String::from_utf8(shown).unwrap()
}
