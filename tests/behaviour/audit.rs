//! Each deletion leaves one audit event, whatever becomes of it, and the record id is nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{Collector, Program, TestApp, client, config_for, eventually};

const RECORD: u64 = 2_034_020_000_000_489_033;

/// A file for audit events. It is removed with the test.
struct AuditFile(PathBuf);

impl AuditFile {
    fn new() -> Self {
        let name = format!("audit-{:016x}.json", fastrand::u64(..));
        Self(std::env::temp_dir().join(name))
    }

    /// The configuration that writes there.
    fn key(&self) -> String {
        format!("audit.path = \"{}\"", self.0.display())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }

    fn events(&self) -> Vec<Value> {
        let text = self.text();
        let events = text.lines().map(serde_json::from_str);
        events.map(Result::unwrap).collect()
    }

    /// The events, once there are so many.
    async fn eventually(&self, count: usize) -> Vec<Value> {
        eventually("the events", async || self.events().len() >= count).await;
        self.events()
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// What an event says of the photo.
fn verdict(event: &Value) -> (&str, &str, u64) {
    let text = |key: &str| event[key].as_str().unwrap();
    (
        text("outcome"),
        text("code"),
        event["attempts"].as_u64().unwrap(),
    )
}

#[tokio::test]
async fn an_event_says_who_deleted_what_and_what_became_of_it() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let app = TestApp::with(&zoho, &file.key()).await;
    let path = format!("/main/bigin/v2/Products/{RECORD}/photo");
    let request = app
        .client()
        .delete(format!("http://{}{path}", app.address))
        .header("x-request-id", "my-id")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );

    assert_eq!(request.send().await.unwrap().status(), 200);

    let events = file.eventually(1).await;
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    for (key, value) in [
        ("target", "audit"),
        ("account", "main"),
        ("module", "Products"),
        ("record_id", "2034020000000489033"),
        ("outcome", "deleted"),
        ("code", "SUCCESS"),
        ("request_id", "my-id"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ] {
        assert_eq!(event[key], value, "{key}");
    }
    assert_eq!(event["attempts"], 1);
    assert!(event["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(humantime::parse_rfc3339(event["timestamp"].as_str().unwrap()).is_ok());
    let mode = std::fs::metadata(&file.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn every_outcome_leaves_one_event() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let app = TestApp::with(&zoho, &file.key()).await;
    let refusal = ApiFaultKind::Answer {
        status: 403,
        code: "NO_PERMISSION".into(),
        message: "permission denied".to_owned(),
    };
    zoho.on_delete(When::Next(1), ApiFault::before(refusal));
    zoho.on_delete(When::Next(2), ApiFault::after(ApiFaultKind::Close));

    app.delete_photo("Contacts", 1).await;
    app.delete_photo("Contacts", 2).await;
    let request = app
        .client()
        .delete(format!("http://{}/bigin/v2/Contacts/3/photo", app.address));
    let without_time = request.header("request-timeout", "0").send().await.unwrap();
    assert_eq!(without_time.status(), 504);

    let events = file.eventually(3).await;
    let verdicts: Vec<_> = events.iter().map(verdict).collect();
    assert_eq!(
        verdicts,
        [
            ("refused", "NO_PERMISSION", 1),
            ("unknown", "UPSTREAM_CONNECTION_LOST", 2),
            ("not-sent", "UPSTREAM_TIMEOUT", 0),
        ]
    );
}

#[tokio::test]
async fn what_names_no_photo_or_breaks_http_is_no_deletion() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let app = TestApp::with(&zoho, &file.key()).await;
    for path in [
        "/bigin/v2/Contacts/x/photo",
        "/bigin/v2/Deals/1/photo",
        "/nobody/bigin/v2/Contacts/1/photo",
        "/bigin/v2/Contacts/1",
        "/bigin/v2/Contacts/1/photo?x",
    ] {
        assert_eq!(app.delete(path).await.outcome(), "not-sent", "{path}");
    }
    let url = format!("http://{}/bigin/v2/Contacts/1/photo", app.address);
    assert_eq!(app.client().get(url).send().await.unwrap().status(), 405);
    app.delete_photo("Contacts", 7).await;

    let events = file.eventually(1).await;
    assert_eq!((events.len(), &events[0]["record_id"]), (1, &"7".into()));
}

/// Sends a deletion that Zoho answers late, and waits until it is under way.
async fn under_way(zoho: &Sandbox, app: &TestApp, fault: ApiFaultKind) -> TcpStream {
    zoho.on_delete(When::Next(1), ApiFault::before(fault));
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let request = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    eventually("the call is under way", async || zoho.ledger().calls == 1).await;
    stream
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_an_event_with_the_outcome() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let app = TestApp::with(&zoho, &file.key()).await;
    let late = ApiFaultKind::Slow { milliseconds: 200 };
    let stream = under_way(&zoho, &app, late).await;
    // With a reset, which no server can mistake for a half-closed connection.
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);

    let events = file.eventually(1).await;
    assert_eq!(verdict(&events[0]), ("deleted", "SUCCESS", 1));
}

#[tokio::test]
async fn a_deletion_that_is_cut_at_the_end_leaves_an_event() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let keys = format!("{}\nserver.drain_timeout = \"0s\"", file.key());
    let app = TestApp::with(&zoho, &keys).await;
    let _stream = under_way(&zoho, &app, ApiFaultKind::Hang).await;

    app.end(true).await;

    let events = file.events();
    assert_eq!(events.len(), 1);
    assert_eq!(verdict(&events[0]), ("unknown", "UPSTREAM_TIMEOUT", 1));
}

#[tokio::test]
async fn a_log_that_was_rotated_by_truncating_goes_on_at_its_beginning() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let app = TestApp::with(&zoho, &file.key()).await;
    app.delete_photo("Contacts", 1).await;
    file.eventually(1).await;

    std::fs::File::options()
        .write(true)
        .open(&file.0)
        .unwrap()
        .set_len(0)
        .unwrap();
    app.delete_photo("Contacts", 2).await;

    let events = file.eventually(1).await;
    assert_eq!((events.len(), &events[0]["record_id"]), (1, &"2".into()));
}

/// A running program, and where its callers connect.
fn serving(zoho: &Sandbox, keys: &str) -> (Program, String, String) {
    let mut program = Program::serve(&config_for(
        zoho,
        &format!("server.drain_delay = \"0s\"\n{keys}"),
    ));
    let (address, admin) = program.addresses();
    (
        program,
        format!("http://{address}/bigin/v2/Contacts"),
        format!("http://{admin}/metrics"),
    )
}

async fn end(program: Program) -> String {
    program.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| program.end()).await;
    let (code, log) = ended.unwrap();
    assert_eq!(code, 0, "{log}");
    log
}

async fn get(url: &str) -> String {
    let response = client().get(url).send().await.unwrap();
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_record_id_is_in_the_audit_event_alone_even_when_every_library_traces() {
    let zoho = Sandbox::start().await;
    let file = AuditFile::new();
    let collector = Collector::start().await;
    let (program, photos, metrics) = serving(
        &zoho,
        &format!(
            "log.level = \"trace,hyper=trace\"\ntelemetry.otlp_endpoint = {:?}\n{}",
            collector.url,
            file.key()
        ),
    );
    zoho.on_delete(When::Next(1), ApiFault::after(ApiFaultKind::Garbage));
    for rest in ["/photo", "/photo?x", "/photo", ""] {
        let url = format!("{photos}/{RECORD}{rest}");
        client().delete(&url).send().await.unwrap();
    }
    zoho.revoke_tokens();
    let url = format!("{photos}/{RECORD}/photo");
    client().delete(&url).send().await.unwrap();

    let metrics = get(&metrics).await;
    let log = end(program).await;

    let record = RECORD.to_string();
    // Each event holds it once. What was pushed before the end is written.
    assert_eq!(file.text().matches(&record).count(), 3);
    assert_eq!(file.events().len(), 3);
    assert!(log.contains("\"target\":\"hyper"), "{log}");
    for (name, text) in [
        ("log", log),
        ("metrics", metrics),
        ("spans", format!("{:?}", collector.spans())),
        ("pushed metrics", format!("{:?}", collector.metrics())),
    ] {
        assert!(!text.is_empty() && !text.contains(&record), "{name}");
    }
}

#[tokio::test]
async fn without_a_file_events_are_on_standard_output_whatever_the_level_of_the_log() {
    let zoho = Sandbox::start().await;
    let level = "log.level = \"off,bigin_photo_proxy::app=info\"";
    let (program, photos, _) = serving(&zoho, level);
    client()
        .delete(format!("{photos}/{RECORD}/photo"))
        .send()
        .await
        .unwrap();

    let output = end(program).await;

    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["target"] != "bigin_photo_proxy::app")
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    assert_eq!(
        (&lines[0]["target"], &lines[0]["record_id"]),
        (&"audit".into(), &RECORD.to_string().into())
    );
}

#[tokio::test]
async fn events_that_cannot_be_written_are_counted_and_complained_of_but_not_one_by_one() {
    let zoho = Sandbox::start().await;
    let (program, photos, metrics) = serving(&zoho, "audit.path = \"/dev/full\"");
    for id in 1..=20 {
        let response = client().delete(format!("{photos}/{id}/photo")).send().await;
        assert_eq!(response.unwrap().status(), 200);
    }

    let counted = "bigin_audit_events_lost_total 20";
    eventually("they are counted", async || {
        get(&metrics).await.contains(counted)
    })
    .await;
    let log = end(program).await;
    let complaints: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("audit events were lost"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lost = complaints.iter().map(|line| line["lost"].as_u64().unwrap());
    assert_eq!(lost.sum::<u64>(), 20);
    assert!(complaints.len() <= 2, "{log}");
    assert_eq!(complaints[0]["level"], "ERROR");
    assert!(log.contains("No space left on device"), "{log}");
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_told_at_the_start() {
    let zoho = Sandbox::start().await;
    let directory = std::env::temp_dir();
    for (path, commands) in [
        ("/nonexistent/audit.json", &["check", "serve"][..]),
        (directory.to_str().unwrap(), &["check", "serve"]),
        ("/proc/audit.json", &["serve"]),
    ] {
        let config = config_for(&zoho, &format!("audit.path = {path:?}"));
        for command in commands {
            let (code, stdout, stderr) = Program::run(&[command], Some(&config));

            assert_eq!((code, stdout.as_str()), (2, ""), "{path} {command}");
            assert!(stderr.starts_with("audit.path: "), "{stderr}");
            assert!(!stderr.contains(path), "{stderr}");
        }
    }
}
