//! The examples of `docs/examples`, each run as its callers would, in every language that this machine has. One that it has
//! not is skipped, which the end of a test run tells.

use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{TestApp, eventually};

const RECORD: u64 = 2_034_020_000_000_489_033;

/// Something that becomes of a deletion, and what an example makes of it.
struct Case {
    name: &'static str,
    module: &'static str,
    /// What Zoho does.
    zoho: fn(&Sandbox),
    outcome: &'static str,
    code: &'static str,
    /// The requests that the proxy gets.
    requests: u16,
    /// The deletions that Zoho carries out.
    deletions: usize,
    takes_at_least: Duration,
}

const PLAIN: Case = Case {
    name: "deleted",
    module: "Contacts",
    zoho: |_| {},
    outcome: "deleted",
    code: "SUCCESS",
    requests: 1,
    deletions: 1,
    takes_at_least: Duration::ZERO,
};

const CASES: [Case; 8] = [
    PLAIN,
    Case {
        name: "refused is not repeated",
        zoho: |zoho| zoho.change(|settings| settings.unknown_records = vec![RECORD]),
        outcome: "refused",
        code: "INVALID_DATA",
        deletions: 0,
        ..PLAIN
    },
    Case {
        name: "not sent is not repeated if the request is wrong",
        module: "Deals",
        outcome: "not-sent",
        code: "INVALID_MODULE",
        deletions: 0,
        ..PLAIN
    },
    Case {
        name: "unknown is repeated and stays unknown",
        zoho: |zoho| lose(zoho, When::Always),
        outcome: "unknown",
        code: "UPSTREAM_CONNECTION_LOST",
        requests: 4,
        // The proxy calls twice for each.
        deletions: 8,
        ..PLAIN
    },
    Case {
        name: "unknown is repeated until it is deleted",
        zoho: |zoho| lose(zoho, When::Next(2)),
        requests: 2,
        deletions: 3,
        ..PLAIN
    },
    Case {
        name: "a refusal after an unknown try leaves it unknown",
        zoho: |zoho| {
            lose(zoho, When::Next(2));
            let (code, message) = ("NO_PERMISSION".into(), "no".to_owned());
            let refusal = ApiFaultKind::Answer {
                status: 403,
                code,
                message,
            };
            zoho.on_delete(When::Next(1), ApiFault::before(refusal));
        },
        outcome: "unknown",
        code: "NO_PERMISSION",
        requests: 2,
        deletions: 2,
        ..PLAIN
    },
    Case {
        name: "who is told to wait waits",
        zoho: |zoho| throttle(zoho, 2),
        requests: 2,
        takes_at_least: Duration::from_secs(2),
        ..PLAIN
    },
    Case {
        name: "who is told to wait for an hour comes again later",
        zoho: |zoho| throttle(zoho, 3600),
        outcome: "refused",
        code: "TOO_MANY_REQUESTS",
        deletions: 0,
        ..PLAIN
    },
];

/// Carries deletions out, and says nothing.
fn lose(zoho: &Sandbox, when: When) {
    zoho.on_delete(when, ApiFault::after(ApiFaultKind::Reset));
}

fn throttle(zoho: &Sandbox, seconds: u16) {
    let body = r#"{"code":"TOO_MANY_REQUESTS","details":{},"message":"x","status":"error"}"#;
    let length = body.len();
    let text = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: {seconds}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Raw { text }));
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");

fn compile(compiler: &mut Command, example: &str) {
    let output = compiler
        .arg(example)
        .current_dir(EXAMPLES)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Runs an example: base URL, module, record, request id.
async fn run(command: &[&str], base: &str, module: &str, request_id: &str) -> Output {
    let mut example = Command::new(command[0]);
    example.args(&command[1..]);
    example.args([base, module, &RECORD.to_string(), request_id]);
    example.current_dir(EXAMPLES);
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        example.env_remove(proxy);
    }
    let output = tokio::task::spawn_blocking(move || example.output());
    output.await.unwrap().unwrap()
}

/// Whether it says that this became of the photo, in words and by its exit code.
fn assert_says(output: &Output, outcome: &str, code: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let right = said.starts_with(&format!("{outcome} ")) && said.contains(code);
    assert!(right, "not {outcome} {code}: {output:?}");
    let expected = i32::from(outcome != "deleted");
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
}

/// Checks an example in all cases, at once: they wait most of the time.
async fn check(command: &[&str]) {
    join_all(CASES.iter().map(|case| check_case(command, case))).await;
    let nobody = run(command, "http://127.0.0.1:1", "Contacts", "example").await;
    assert_says(&nobody, "unknown", "");
}

async fn check_case(command: &[&str], case: &Case) {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    (case.zoho)(&zoho);
    let request_id = format!("example-{:016x}", fastrand::u64(..));
    let begun = Instant::now();

    let output = run(command, &app.url(""), case.module, &request_id).await;

    let took = begun.elapsed();
    assert_says(&output, case.outcome, case.code);
    assert!(took >= case.takes_at_least, "{}: {took:?}", case.name);
    let deleted = zoho.ledger().deletions.len();
    assert_eq!(deleted, case.deletions, "{}", case.name);
    let counted = "http_server_request_duration_seconds_count";
    let (requests, expected) = (app.metric(counted, &[]).await, f64::from(case.requests));
    assert!(
        (requests - expected).abs() < 0.5,
        "{}: {requests}",
        case.name
    );
    // One id for all tries: whoever must prove the deletion finds each of them.
    let audited = if case.code == "INVALID_MODULE" {
        0
    } else {
        case.requests
    };
    eventually("every try is audited", async || {
        app.audit_events(&request_id).len() == usize::from(audited)
    })
    .await;
}

/// Whether the machine has a program that can say its version.
fn has(program: &str, version: &str) -> bool {
    match Command::new(program).arg(version).output() {
        Ok(output) => output.status.success(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => panic!("{program}: {error}"),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "it is for whoever reads the end of a test run"
)]
fn skip(example: &str, missing: &str) {
    println!("SKIPPED: docs/examples/{example} was not run: this machine has no {missing}");
}

#[tokio::test]
async fn curl() {
    check(&["bash", "delete-photo.sh"]).await;
}

#[tokio::test]
async fn python() {
    check(&["python3", "delete_photo.py"]).await;
}

#[tokio::test]
async fn java() {
    if !has("javac", "--version") {
        return skip("DeletePhoto.java", "JDK");
    }
    let classes = concat!(env!("CARGO_TARGET_TMPDIR"), "/java");
    compile(
        Command::new("javac").args(["-Xlint:all", "-Werror", "-d", classes]),
        "DeletePhoto.java",
    );
    check(&["java", "-cp", classes, "DeletePhoto"]).await;
}

#[tokio::test]
async fn go() {
    if !has("go", "version") {
        return skip("delete_photo.go", "go");
    }
    let program = concat!(env!("CARGO_TARGET_TMPDIR"), "/delete_photo");
    compile(
        Command::new("go").args(["build", "-o", program]),
        "delete_photo.go",
    );
    check(&[program]).await;
}

#[tokio::test]
async fn typescript() {
    // Where `tests/run` puts it.
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript");
    let compiler = tools.join("node_modules/.bin/tsc");
    if !has("node", "--version") || !compiler.exists() {
        return skip(
            "delete-photo.mts",
            "node, or no TypeScript (tests/run installs it with npm)",
        );
    }
    let mut compiling = Command::new(compiler);
    compiling.args([
        "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node",
    ]);
    compiling
        .arg("--typeRoots")
        .arg(tools.join("node_modules/@types"));
    compile(compiling.arg("--outDir").arg(&tools), "delete-photo.mts");
    check(&["node", tools.join("delete-photo.mjs").to_str().unwrap()]).await;
}
