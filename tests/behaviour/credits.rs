//! Spent credits are remembered, and found again, without spending more.

use std::time::Duration;

use futures_util::future::join_all;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{TestApp, eventually};

const SPENT: &str = "You have exceeded the maximum number of API calls in 24 hours";

/// What Zoho says when credits are spent, with more header lines.
fn spent(headers: &str) -> ApiFault {
    let body = format!(
        "{{\"code\":\"TOO_MANY_REQUESTS\",\"details\":{{}},\"message\":\"{SPENT}\",\"status\":\"error\"}}"
    );
    let text = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ApiFault::before(ApiFaultKind::Raw { text })
}

#[tokio::test]
async fn an_odd_time_to_wait_does_not_stop_an_account_for_longer_than_an_hour() {
    for odd in ["31536000", "1764000000", "18446744073709551615"] {
        let zoho = Sandbox::start().await;
        let app = TestApp::spawn(&zoho).await;
        zoho.on_delete(When::Next(1), spent(&format!("Retry-After: {odd}\r\n")));
        assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "refused");

        let wait = app.delete_photo("Contacts", 1).await;

        assert_eq!(wait.header("retry-after"), "3600", "{odd}");
    }
}

#[tokio::test]
async fn when_the_time_is_up_one_call_finds_out() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(When::Always, spent("Retry-After: 1\r\n"));
    assert_eq!(
        app.delete_photo("Contacts", 1).await.header("retry-after"),
        "1"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let replies = join_all((1..=20).map(|id| app.delete_photo("Contacts", id))).await;

    assert_eq!(zoho.ledger().calls, 2);
    let here = replies
        .iter()
        .filter(|reply| reply.code() == "CREDITS_EXHAUSTED")
        .count();
    assert_eq!(here, 19);
}

#[tokio::test]
async fn when_there_are_credits_again_everything_goes_on() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(When::Next(1), spent("Retry-After: 1\r\n"));
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "refused");

    eventually("credits again", async || {
        app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;
    for id in 1..=10 {
        assert_eq!(app.delete_photo("Contacts", id).await.outcome(), "deleted");
    }
}

#[tokio::test]
async fn a_fault_does_not_prove_that_there_are_credits_again() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(When::Next(1), spent("Retry-After: 1\r\n"));
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Answer {
            status: 500,
            code: "INTERNAL_ERROR".into(),
            message: "Internal Server Error".to_owned(),
        }),
    );
    app.delete_photo("Contacts", 1).await;
    eventually("the probe", async || {
        app.delete_photo("Contacts", 1).await.code() == "INTERNAL_ERROR"
    })
    .await;

    assert_eq!(
        app.delete_photo("Contacts", 1).await.code(),
        "CREDITS_EXHAUSTED"
    );
}

#[tokio::test]
async fn what_zoho_says_of_the_credits_left_is_a_gauge() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    assert!(
        !app.admin("/metrics")
            .await
            .body
            .contains("bigin_credits_remaining{")
    );
    zoho.on_delete(When::Next(1), spent("X-API-CREDITS-REMAINING: 42\r\n"));
    app.delete_photo("Contacts", 1).await;

    let left = app
        .metric("bigin_credits_remaining", &[r#"account="main""#])
        .await;
    assert!((left - 42.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_second_call_is_not_made_once_credits_are_spent() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let at_once = ApiFault::before(ApiFaultKind::Answer {
        status: 429,
        code: "TOO_MANY_REQUESTS".into(),
        message: "Too many requests fired in concurrent manner".to_owned(),
    });
    zoho.on_delete(When::Next(1), at_once);
    zoho.on_delete(When::Next(1), spent(""));

    // One of the two waits a moment before its second call; the other one learns meanwhile that it would be of no use.
    let replies = join_all((1..=2).map(|id| app.delete_photo("Contacts", id))).await;

    assert_eq!(zoho.ledger().calls, 2);
    assert!(
        replies
            .iter()
            .all(|reply| (reply.code().as_str(), reply.outcome())
                == ("TOO_MANY_REQUESTS", "refused"))
    );
}

#[tokio::test]
async fn a_request_that_is_refused_for_want_of_credits_does_not_use_up_the_probe_for_connections() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "upstream.max_in_flight = 20").await;
    zoho.on_delete(When::Next(1), spent("Retry-After: 7\r\n"));
    zoho.on_delete(When::Next(40), ApiFault::before(ApiFaultKind::Close));
    // Under way together: the first one learns that credits are spent, the others that connections fail, for 5 s.
    join_all((1..=20).map(|id| app.delete_photo("Contacts", id))).await;
    zoho.well();
    assert!((app.metric("bigin_breaker_open", &[]).await - 1.0).abs() < f64::EPSILON);
    tokio::time::sleep(Duration::from_millis(5200)).await;

    let refused = app.delete_photo("Contacts", 1).await;
    assert_eq!(refused.code(), "CREDITS_EXHAUSTED");
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
}
