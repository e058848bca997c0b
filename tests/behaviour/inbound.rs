//! What callers may do with their connections, and what they may not: clocks, room, and the rules of HTTP/1.1.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use zoho_sandbox::Sandbox;

use crate::support::{TestApp, eventually};

const REQUEST: &[u8] = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";

async fn errors(app: &TestApp, kind: &str) -> f64 {
    let label = format!("kind=\"{kind}\"");
    app.metric("bigin_inbound_errors_total", &[&label]).await
}

#[tokio::test]
async fn half_a_head_behind_a_whole_request_has_the_time_of_a_head() {
    let zoho = Sandbox::start().await;
    let keys = "server.head_timeout = \"200ms\"\nserver.idle_timeout = \"1h\"";
    let app = TestApp::with(&zoho, keys).await;

    for half in ["D", "DELETE / HTTP/1.1\r\nHost: a\r\n"] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let both = [REQUEST, half.as_bytes()].concat();
        stream.write_all(&both).await.unwrap();
        let mut answers = String::new();
        let read = timeout(Duration::from_secs(5), stream.read_to_string(&mut answers)).await;

        assert!(read.is_ok(), "{half:?} is waited for");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
    eventually("both are counted", async || {
        errors(&app, "head_timeout").await > 1.5
    })
    .await;
}

#[tokio::test]
async fn a_head_that_came_in_pieces_leaves_no_clock_behind() {
    let zoho = Sandbox::start().await;
    let keys = "server.head_timeout = \"300ms\"\nserver.idle_timeout = \"1h\"";
    let app = TestApp::with(&zoho, keys).await;

    for cut in [
        1,
        20,
        REQUEST.len() - 3,
        REQUEST.len() - 2,
        REQUEST.len() - 1,
    ] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (first, second) = REQUEST.split_at(cut);
        stream.write_all(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(second).await.unwrap();
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);

        let rests = timeout(Duration::from_millis(600), stream.read(&mut buffer)).await;
        assert!(rests.is_err(), "cut at {cut}: {rests:?}");
    }
}

/// Sends requests without reading an answer, until no more are taken.
async fn stuff(app: &TestApp) -> (TcpStream, usize) {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    // Answered here, at once; and so long that not too many wait in the kernel when answers no longer go out.
    let padding = "x".repeat(2000);
    let request = format!("DELETE /x HTTP/1.1\r\nHost: a\r\nX: {padding}\r\n\r\n");
    let mut sent = 0;
    while let Ok(written) = timeout(
        Duration::from_millis(200),
        stream.write_all(request.as_bytes()),
    )
    .await
    {
        written.unwrap();
        sent += 1;
    }
    (stream, sent)
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answers_is_disconnected_and_counted() {
    let zoho = Sandbox::start().await;
    let keys = "server.write_timeout = \"500ms\"\nserver.idle_timeout = \"1h\"";
    let app = TestApp::with(&zoho, keys).await;
    let (stream, _) = stuff(&app).await;

    let begun = Instant::now();
    eventually("it is cut", async || {
        errors(&app, "write_timeout").await > 0.5
    })
    .await;

    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(app.metric("bigin_inbound_connections", &[]).await < 0.5);
    drop(stream);
}

#[tokio::test]
async fn a_caller_that_reads_late_gets_every_answer() {
    let zoho = Sandbox::start().await;
    let keys = "server.idle_timeout = \"300ms\"\nserver.head_timeout = \"300ms\"";
    let app = TestApp::with(&zoho, keys).await;
    let (mut stream, sent) = stuff(&app).await;
    tokio::time::sleep(Duration::from_millis(600)).await;

    let mut text = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut text))
        .await
        .expect("the connection is closed once it rests")
        .unwrap();

    let answers = text.windows(12).filter(|it| *it == b"HTTP/1.1 404").count();
    assert!(answers >= sent, "{answers} of {sent}");
}
