//! Second calls: which first ones deserve one, what it costs, and what a caller is told of both.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

use crate::support::{Reply, TestApp, exchange, with_api};

fn answer(status: u16, code: &str, message: &str) -> ApiFaultKind {
    ApiFaultKind::Answer {
        status,
        code: code.into(),
        message: message.to_owned(),
    }
}

/// What a caller gets whose calls go wrong in turn, and how many calls there were.
async fn after(faults: impl IntoIterator<Item = ApiFault>) -> (Reply, u64) {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    for fault in faults {
        zoho.on_delete(When::Next(1), fault);
    }

    let reply = app.delete_photo("Contacts", 1).await;

    (reply, zoho.ledger().calls)
}

#[tokio::test]
async fn a_call_that_was_perhaps_carried_out_is_made_once_more() {
    for fault in [
        ApiFault::before(ApiFaultKind::Reset),
        ApiFault::after(ApiFaultKind::Reset),
        ApiFault::after(ApiFaultKind::Close),
        ApiFault::after(ApiFaultKind::Cut { bytes: 50 }),
        ApiFault::after(ApiFaultKind::Cut { bytes: 400 }),
        ApiFault::before(ApiFaultKind::Html { status: 502 }),
        ApiFault::before(ApiFaultKind::Html { status: 503 }),
        ApiFault::before(ApiFaultKind::Html { status: 504 }),
        ApiFault::before(answer(503, "INTERNAL_ERROR", "Service unavailable")),
    ] {
        let name = format!("{fault:?}");
        let (reply, calls) = after([fault]).await;

        assert_eq!((reply.outcome(), calls), ("deleted", 2), "{name}");
    }
}

#[tokio::test]
async fn too_many_calls_at_once_are_given_a_moment_and_then_tried_again() {
    let begun = Instant::now();
    let crowded = || ApiFault::before(answer(429, "TOO_MANY_REQUESTS", "concurrency limit"));
    let (reply, calls) = after([crowded()]).await;
    assert_eq!((reply.outcome(), calls), ("deleted", 2));
    assert!(begun.elapsed() >= Duration::from_millis(100));

    let (reply, calls) = after([crowded(), crowded()]).await;
    assert_eq!(
        (reply.status.as_u16(), reply.outcome(), calls),
        (429, "refused", 2)
    );
}

#[tokio::test]
async fn there_are_never_more_than_two_calls() {
    let (reply, calls) = after((0..5).map(|_| ApiFault::after(ApiFaultKind::Reset))).await;

    assert_eq!(
        (reply.code().as_str(), reply.outcome()),
        ("UPSTREAM_CONNECTION_LOST", "unknown")
    );
    assert_eq!(calls, 2);
}

#[tokio::test]
async fn a_second_call_that_cannot_be_sent_leaves_the_first_ones_result() {
    const TOKENS_LIFE: f64 = 1.0;
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.token_lifetime_seconds = TOKENS_LIFE);
    // It takes a request, and hangs up when the token has died.
    let api = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", api.local_addr().unwrap());
    let app = TestApp::of_config(&with_api(&zoho, "", &url));
    app.ready().await;
    zoho.on_token(When::Always, TokenFault::Html { status: 503 });
    let hang_up = async {
        let (mut connection, _) = api.accept().await.unwrap();
        connection.read_u8().await.unwrap();
        tokio::time::sleep(Duration::from_secs_f64(1.2 * TOKENS_LIFE)).await;
    };

    let (reply, ()) = tokio::join!(app.delete_photo("Contacts", 1), hang_up);

    assert_eq!(
        (reply.code().as_str(), reply.outcome()),
        ("UPSTREAM_CONNECTION_LOST", "unknown")
    );
    assert_eq!(
        app.delete_photo("Contacts", 1).await.code(),
        "TOKEN_UNAVAILABLE"
    );
}

#[tokio::test]
async fn an_outage_adds_a_tenth_to_the_calls_at_most() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let fault = ApiFaultKind::Html { status: 503 };
    zoho.on_delete(When::Always, ApiFault::before(fault));

    for id in 1..=200 {
        assert_eq!(app.delete_photo("Contacts", id).await.outcome(), "unknown");
    }

    // The bucket holds ten; two hundred requests earn twenty.
    let second = zoho.ledger().calls - 200;
    assert!((28..=30).contains(&second), "{second} second calls");
}

#[tokio::test]
async fn a_second_call_after_a_refused_token_costs_nothing_of_the_budget() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    let fault = ApiFaultKind::Html { status: 503 };
    zoho.on_delete(When::Always, ApiFault::before(fault));
    for id in 1..=20 {
        app.delete_photo("Contacts", id).await;
    }
    zoho.well();
    zoho.revoke_tokens();

    assert_eq!(app.delete_photo("Contacts", 2).await.outcome(), "deleted");
}

/// The answer to a request with this header line, and the calls that were made.
async fn with_patience(line: &str) -> (String, u64) {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(
        When::Always,
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 200 }),
    );

    let request =
        format!("DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
    let mut reply = exchange(app.address, request.as_bytes()).await;
    reply.text.make_ascii_lowercase();
    (reply.text, zoho.ledger().calls)
}

#[tokio::test]
async fn a_caller_may_shorten_its_deadline() {
    let (text, calls) = with_patience("Request-Timeout: 0.05").await;
    assert!(text.starts_with("http/1.1 504 "), "{text}");
    assert!(text.contains("delete-outcome: unknown"), "{text}");
    assert_eq!(calls, 1);

    for long_enough in ["1", "14.5", "99999999"] {
        let (text, _) = with_patience(&format!("Request-Timeout: {long_enough}")).await;
        assert!(text.starts_with("http/1.1 200 "), "{long_enough}: {text}");
    }
}

#[tokio::test]
async fn without_any_time_nothing_is_sent() {
    for zero in ["0", "0.0", "00", "0.0000000001", "0.000001"] {
        let (text, calls) = with_patience(&format!("Request-Timeout: {zero}")).await;

        assert!(text.starts_with("http/1.1 504 "), "{zero}: {text}");
        assert!(text.contains("delete-outcome: not-sent"), "{zero}: {text}");
        assert_eq!(calls, 0);
    }
}

#[tokio::test]
async fn a_deadline_that_is_no_number_is_refused() {
    for wrong in [
        "", "-1", "+1", "1s", "1e3", ".", "1.", ".5", "1.2.3", "inf", "NaN", "1,5", "0x1",
    ] {
        let (text, calls) = with_patience(&format!("Request-Timeout: {wrong}")).await;

        assert!(text.starts_with("http/1.1 400 "), "{wrong}: {text}");
        assert!(text.contains("bad_request"), "{wrong}: {text}");
        assert_eq!(calls, 0);
    }
    let (text, calls) = with_patience("Request-Timeout: 1\r\nRequest-Timeout: 1").await;
    assert!(text.starts_with("http/1.1 400 "), "{text}");
    assert_eq!(calls, 0);
}
