//! Connections, on both sides: their limits, their clocks, their certificates, and what happens when they die.

use std::time::Duration;

use bigin_photo_proxy::app::Ending;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{TestApp, eventually, exchange, tls_sandbox, with_api};

const REQUEST: &[u8] = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";

/// How long a connection stays open after these bytes.
async fn closed_after(app: &TestApp, bytes: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let begun = Instant::now();
    stream.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await;
    end.expect("the connection is closed in time").unwrap();
    begun.elapsed()
}

#[tokio::test]
async fn a_slow_head_is_cut_and_an_idle_connection_lives_longer() {
    let zoho = Sandbox::start().await;
    let keys = "server.head_timeout = \"200ms\"\nserver.idle_timeout = \"800ms\"";
    let app = TestApp::with(&zoho, keys).await;
    let (head, idle) = (Duration::from_millis(200), Duration::from_millis(800));
    let slack = Duration::from_millis(400);

    for half in [
        &b"D"[..],
        b"DELETE /bigin",
        b"DELETE / HTTP/1.1\r\nHost: a\r\n",
    ] {
        let after = closed_after(&app, half).await;
        assert!(after >= head && after < head + slack, "{half:?}: {after:?}");
    }
    for whole in [&b""[..], REQUEST, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let after = closed_after(&app, whole).await;
        assert!(
            after >= idle && after < idle + slack,
            "{whole:?}: {after:?}"
        );
    }
    let timeouts = app
        .metric("bigin_inbound_errors_total", &[r#"kind="head_timeout""#])
        .await;
    assert!((timeouts - 3.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn the_clock_of_a_head_starts_anew_with_each_request_of_a_connection() {
    let zoho = Sandbox::start().await;
    let keys = "server.head_timeout = \"300ms\"\nserver.idle_timeout = \"5s\"";
    let app = TestApp::with(&zoho, keys).await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let mut buffer = [0; 4096];

    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(REQUEST).await.unwrap();
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
    }
    stream.write_all(b"DELETE").await.unwrap();
    let begun = Instant::now();

    assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn a_request_in_work_outlives_the_clocks_of_its_connection() {
    let zoho = Sandbox::start().await;
    let keys = "server.head_timeout = \"50ms\"\nserver.idle_timeout = \"100ms\"";
    let app = TestApp::with(&zoho, keys).await;
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 500 }),
    );

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
}

#[tokio::test]
async fn a_caller_that_is_stuck_in_a_head_does_not_hold_up_the_end() {
    let zoho = Sandbox::start().await;
    let keys =
        "server.head_timeout = \"1s\"\nserver.drain_delay = \"0s\"\nserver.drain_timeout = \"10s\"";
    let app = TestApp::with(&zoho, keys).await;
    let mut stuck = TcpStream::connect(app.address).await.unwrap();
    stuck.write_all(b"DELETE /bigin/v2/Cont").await.unwrap();
    eventually("it is accepted", async || {
        app.metric("bigin_inbound_connections", &[]).await > 0.5
    })
    .await;

    let begun = std::time::Instant::now();
    let ending = app.end(true).await;

    assert_eq!(ending, Ending::Clean);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let reply = exchange(
        app.address,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    )
    .await;
    assert!(
        reply.closed && (reply.status() == 400 || reply.text.is_empty()),
        "{reply:?}"
    );

    let upgrade = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(exchange(app.address, upgrade).await.status(), 200);
}

#[tokio::test]
async fn threads_that_wait_for_callers_keep_no_connection_from_the_others() {
    let zoho = Sandbox::start().await;
    let keys = "server.threads = 4\nserver.max_connections = 1";
    let app = TestApp::with(&zoho, keys).await;

    for _ in 0..16 {
        let request =
            b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(app.address, request).await.status(), 200);
    }
}

#[tokio::test]
async fn a_token_that_expires_while_a_connection_is_made_is_not_sent() {
    let (zoho, authority) = tls_sandbox().await;
    zoho.change(|settings| {
        settings.token_lifetime_seconds = 1.0;
        settings.tokens_per_window = 1000;
    });
    let slow = slow_way_to(zoho.address(), Duration::from_millis(900)).await;
    let keys = format!("upstream.ca_file = {authority:?}\ntoken.budget_window = \"1s\"");
    let url = format!("https://localhost:{}", slow.port());
    let app = TestApp::of_config(&with_api(&zoho, &keys, &url));
    eventually("ready", async || app.readyz().await.status == 200).await;
    // Each deletion needs a connection of its own, and has less of its token's life left than that takes.
    zoho.on_delete(
        When::Always,
        ApiFault::before(ApiFaultKind::ConnectionClose),
    );
    tokio::time::sleep(Duration::from_millis(300)).await;

    for id in 1..=3 {
        let reply = app.delete_photo("Contacts", id).await;
        assert_eq!(reply.outcome(), "deleted", "{reply:?}");
    }

    assert_eq!(zoho.ledger().expired_token_uses, 0);
    std::fs::remove_file(authority).unwrap();
}

/// A port whose connections reach another one only after a while.
async fn slow_way_to(target: std::net::SocketAddr, delay: Duration) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let mut far = TcpStream::connect(target).await.unwrap();
                // Either side may leave when it likes.
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    address
}

#[tokio::test]
async fn calls_at_zoho_never_exceed_the_limit_and_the_rest_waits_in_the_queue() {
    let zoho = Sandbox::start().await;
    let keys = "upstream.max_in_flight = 4\nupstream.queue = 8";
    let app = TestApp::with(&zoho, keys).await;
    zoho.change(|settings| settings.delay_ms = 150);

    let replies = join_all((1..=20).map(|id| app.delete_photo("Contacts", id))).await;

    let deleted = replies
        .iter()
        .filter(|reply| reply.outcome() == "deleted")
        .count();
    let shed = replies
        .iter()
        .filter(|reply| reply.code() == "OVERLOADED")
        .count();
    assert_eq!((deleted, shed), (12, 8));
    assert_eq!(zoho.ledger().highest_concurrency, 4);
}

#[tokio::test]
async fn connections_to_zoho_are_kept_and_used_again() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let before = zoho.ledger().connections;

    for id in 1..=50 {
        assert_eq!(app.delete_photo("Contacts", id).await.outcome(), "deleted");
    }

    assert_eq!(zoho.ledger().connections - before, 1);
}

#[tokio::test]
async fn a_pooled_connection_that_zoho_closed_meanwhile_costs_no_caller_an_error() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.change(|settings| settings.idle_timeout_ms = Some(30));

    for id in 1..=20 {
        let reply = app.delete_photo("Contacts", id).await;
        assert_eq!(reply.outcome(), "deleted", "{reply:?}");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }

    assert_eq!(zoho.ledger().deletions.len(), 20);
}

#[tokio::test]
async fn idle_connections_to_zoho_are_closed() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "upstream.pool_idle_timeout = \"100ms\"").await;
    app.delete_photo("Contacts", 1).await;
    let before = zoho.ledger().connections;

    tokio::time::sleep(Duration::from_millis(300)).await;
    app.delete_photo("Contacts", 2).await;

    assert_eq!(zoho.ledger().connections - before, 1);
}

#[tokio::test]
async fn several_data_path_threads_share_one_token() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.threads = 4").await;

    let replies = join_all((1..=40).map(|id| app.delete_photo("Contacts", id))).await;

    assert!(replies.iter().all(|reply| reply.outcome() == "deleted"));
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn a_private_authority_in_ca_file_is_trusted_for_both_hosts() {
    let (zoho, authority) = tls_sandbox().await;
    let app = TestApp::with(&zoho, &format!("upstream.ca_file = {authority:?}")).await;

    for id in 1..=3 {
        assert_eq!(app.delete_photo("Contacts", id).await.outcome(), "deleted");
    }

    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn long_lived_callers_are_spread_evenly_over_the_threads() {
    for callers in [4, 16] {
        let zoho = Sandbox::start().await;
        let app = TestApp::with(&zoho, "server.threads = 4").await;

        let mut connections = Vec::new();
        for _ in 0..callers {
            connections.push(TcpStream::connect(app.address).await.unwrap());
        }

        for thread in 0..4 {
            let label = format!("thread=\"{thread}\"");
            let share = f64::from(callers) / 4.0;
            eventually("its share", async || {
                let held = app.metric("bigin_inbound_connections", &[&label]).await;
                (held - share).abs() < f64::EPSILON
            })
            .await;
        }
        drop(connections);
        eventually("all have left", async || {
            app.metric("bigin_inbound_connections", &[]).await < 0.5
        })
        .await;
    }
}
