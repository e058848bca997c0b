//! An account's own limit on its calls in 24 hours.

use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{TestApp, config_for};

/// The proxy in front of `zoho`, with so many calls a day.
async fn with_daily_calls(zoho: &Sandbox, limit: usize) -> TestApp {
    let keys = format!("[accounts.main]\ndaily_calls = {limit}");
    let app = TestApp::of_config(&config_for(zoho, "").replace("[accounts.main]", &keys));
    app.ready().await;
    app
}

#[tokio::test]
async fn second_calls_count_and_are_not_made_beyond_the_limit() {
    let zoho = Sandbox::start().await;
    let app = with_daily_calls(&zoho, 3).await;
    zoho.on_delete(When::Next(3), ApiFault::after(ApiFaultKind::Close));

    let first = app.delete_photo("Contacts", 1).await;
    let second = app.delete_photo("Contacts", 2).await;

    for reply in [first, second] {
        assert_eq!(reply.code(), "UPSTREAM_CONNECTION_LOST");
        assert_eq!(reply.outcome(), "unknown");
    }
    assert_eq!(zoho.ledger().calls, 3);
    let third = app.delete_photo("Contacts", 3).await;
    assert_eq!(third.code(), "CREDITS_EXHAUSTED");
}

#[tokio::test]
async fn what_was_not_sent_does_not_count() {
    let zoho = Sandbox::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = config_for(&zoho, "")
        .replace(
            &format!("api_url = {:?}", zoho.api_url()),
            &format!("api_url = \"http://{nobody}\""),
        )
        .replace("[accounts.main]", "[accounts.main]\ndaily_calls = 2");
    let app = TestApp::of_config(&config);
    app.ready().await;

    for id in 1..=4 {
        let reply = app.delete_photo("Contacts", id).await;
        assert_eq!(reply.code(), "UPSTREAM_UNREACHABLE");
    }
}

#[tokio::test]
async fn what_is_left_is_a_gauge_if_there_is_a_limit() {
    let zoho = Sandbox::start().await;
    let name = "bigin_daily_calls_remaining";
    let without = TestApp::spawn(&zoho).await;
    assert!(!without.admin("/metrics").await.body.contains(name));
    let app = with_daily_calls(&zoho, 5).await;
    app.delete_photo("Contacts", 1).await;

    let left = app.metric(name, &[r#"account="main""#]).await;

    assert!((left - 4.0).abs() < f64::EPSILON, "{left}");
}
