//! What callers may do with their connections, and what they may not: clocks, room, and the rules of HTTP/1.1.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{Program, TestApp, client, config_for, eventually};

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
    while let Ok(written) =
        timeout(Duration::from_secs(1), stream.write_all(request.as_bytes())).await
    {
        written.unwrap();
        sent += 1;
    }
    (stream, sent)
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answers_is_disconnected_and_counted() {
    let zoho = Sandbox::start().await;
    let keys = "server.write_timeout = \"2s\"\nserver.idle_timeout = \"1h\"";
    let app = TestApp::with(&zoho, keys).await;
    let (stream, _) = stuff(&app).await;

    let begun = Instant::now();
    eventually("it is cut", async || {
        errors(&app, "write_timeout").await > 0.5
    })
    .await;

    assert!(begun.elapsed() < Duration::from_secs(4));
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

/// Sends a request on a connection and reads its answer.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST).await.unwrap();
    answer(stream).await
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
    let count = read.expect("an answer, or the end").unwrap_or_default();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address).await.unwrap()
}

#[tokio::test]
async fn the_connection_that_has_rested_longest_makes_room_for_a_new_one() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.max_connections = 3").await;
    let (mut first, mut second, mut third) = (
        connect(&app).await,
        connect(&app).await,
        connect(&app).await,
    );
    for stream in [&mut first, &mut second, &mut third] {
        assert!(ask(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));

    let mut fourth = connect(&app).await;
    assert!(ask(&mut fourth).await.starts_with("HTTP/1.1 200"));

    assert_eq!(answer(&mut second).await, "", "it is closed");
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut third).await.starts_with("HTTP/1.1 200"));
    assert!((errors(&app, "made_room").await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_connection_in_the_middle_of_a_request_is_never_closed_for_another() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.max_connections = 2").await;
    zoho.on_delete(
        When::Next(2),
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 1500 }),
    );
    let (mut first, mut second) = (connect(&app).await, connect(&app).await);
    for stream in [&mut first, &mut second] {
        stream.write_all(REQUEST).await.unwrap();
    }
    eventually("both are served", async || zoho.ledger().calls == 2).await;

    let mut third = connect(&app).await;
    third.write_all(REQUEST).await.unwrap();
    let waits = timeout(Duration::from_secs(1), third.peek(&mut [0])).await;

    assert!(waits.is_err(), "there is no room yet");
    for stream in [&mut first, &mut second, &mut third] {
        assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn an_answer_that_is_still_being_read_is_not_cut_for_another_caller() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.max_connections = 1").await;
    let (mut reader, sent) = stuff(&app).await;

    let mut other = connect(&app).await;
    other.write_all(REQUEST).await.unwrap();
    assert!(
        timeout(Duration::from_secs(1), other.peek(&mut [0]))
            .await
            .is_err(),
        "there is no room yet"
    );
    reader.shutdown().await.unwrap();
    let mut text = Vec::new();
    reader.read_to_end(&mut text).await.unwrap();

    let answers = text.windows(12).filter(|it| *it == b"HTTP/1.1 404").count();
    assert!(answers >= sent, "{answers} of {sent}");
    assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn heads_that_come_slowly_make_room_and_young_ones_do_not() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.max_connections = 2").await;
    let (mut slow, mut slower) = (connect(&app).await, connect(&app).await);
    for stream in [&mut slow, &mut slower] {
        stream.write_all(b"DELETE /big").await.unwrap();
    }
    let begun = Instant::now();

    let mut good = connect(&app).await;
    assert!(ask(&mut good).await.starts_with("HTTP/1.1 200"));

    let waited = begun.elapsed();
    let expected = Duration::from_millis(450)..Duration::from_secs(3);
    assert!(expected.contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn every_new_caller_finds_room_among_idle_ones_whichever_thread_has_them() {
    let zoho = Sandbox::start().await;
    let keys = "server.threads = 4\nserver.max_connections = 8";
    let app = TestApp::with(&zoho, keys).await;
    let mut kept = Vec::new();

    for _ in 0..40 {
        let mut caller = connect(&app).await;
        assert!(ask(&mut caller).await.starts_with("HTTP/1.1 200"));
        kept.push(caller);
    }

    eventually("all that are held are counted", async || {
        (app.metric("bigin_inbound_connections", &[]).await - 8.0).abs() < f64::EPSILON
    })
    .await;
    assert!((errors(&app, "made_room").await - 32.0).abs() < f64::EPSILON);
}

/// The program with a token at hand, and the callers' address.
async fn ready(mut program: Program) -> (Program, SocketAddr) {
    let (address, admin) = program.addresses();
    let ready = format!("http://{admin}/readyz");
    eventually("ready", async || {
        let reply = client().get(&ready).send().await;
        reply.is_ok_and(|reply| reply.status() == 200)
    })
    .await;
    (program, address)
}

#[tokio::test]
async fn memory_stays_bounded_whatever_callers_send() {
    const CALLERS: u64 = 500;
    /// A buffer of a head and one of an answer, and what the tasks need.
    const EACH_KIB: u64 = 40;
    let zoho = Sandbox::start().await;
    let (program, address) = ready(Program::serve(&config_for(&zoho, ""))).await;
    let padding = "x".repeat(15_000);
    let half_a_head = format!("DELETE /x HTTP/1.1\r\nHost: a\r\nX: {padding}");
    let before = program.resident_kib();

    for attack in [
        "",
        "DELETE /big",
        &half_a_head,
        // A head without end.
        &"X: y\r\n".repeat(20_000),
        // Requests without end, and nobody who reads their answers.
        &"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2_000),
    ] {
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let mut caller = TcpStream::connect(address).await.unwrap();
            // Some are closed before they have said everything.
            drop(
                timeout(
                    Duration::from_millis(5),
                    caller.write_all(attack.as_bytes()),
                )
                .await,
            );
            callers.push(caller);
        }
        let more = program.resident_kib().saturating_sub(before);
        assert!(more < CALLERS * EACH_KIB, "{more} KiB more");
    }

    let mut good = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut good).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn without_descriptors_it_waits_quietly_and_then_accepts_again() {
    let zoho = Sandbox::start().await;
    let (program, address) = ready(Program::serve(&config_for(&zoho, ""))).await;
    let mut served = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut served).await.starts_with("HTTP/1.1 200"));
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 1500 }),
    );
    // In the middle of a request, so that it makes no room.
    served.write_all(REQUEST).await.unwrap();
    eventually("the call is under way", async || zoho.ledger().calls == 2).await;
    program.limit_descriptors(1);
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(REQUEST).await.unwrap();

    let before = program.ticks_used();
    let waits = timeout(Duration::from_secs(1), waiting.peek(&mut [0])).await;
    let used = program.ticks_used() - before;

    assert!(waits.is_err());
    assert!(used < 20, "{used} hundredths of a second in one");
    assert!(answer(&mut served).await.starts_with("HTTP/1.1 200"));
    program.limit_descriptors(1000);
    assert!(answer(&mut waiting).await.starts_with("HTTP/1.1 200"));
    program.signal("INT");
    let (_, log) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();
    let complaints = log.matches("connections cannot be accepted").count();
    assert_eq!(complaints, 1, "{log}");
}

#[tokio::test]
async fn idle_connections_make_room_when_descriptors_run_out_before_places() {
    let zoho = Sandbox::start().await;
    let (program, address) = ready(Program::serve(&config_for(&zoho, ""))).await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut caller).await.starts_with("HTTP/1.1 200"));
        idle.push(caller);
    }
    program.limit_descriptors(program.descriptors());

    // More than there may be gaps among the descriptors.
    for _ in 0..8 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut caller).await.starts_with("HTTP/1.1 200"));
        idle.push(caller);
    }
}
