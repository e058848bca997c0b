//! A token endpoint in trouble: callers notice nothing while a token lives, and are told the truth afterwards.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;
use zoho_sandbox::{Sandbox, Settings, TokenFault, TokenResult, When};

use crate::support::{Reply, TestApp, config_for, eventually};

/// A clock that runs 100 times as fast as Zoho's: 5 s are 50 ms, 300 s are 3 s.
const FAST: &str = "token.budget_window = \"6s\"\ntoken.timeout = \"300ms\"";

async fn zoho_with(change: impl FnOnce(&mut Settings)) -> Sandbox {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.tokens_per_window = 1000;
        change(settings);
    });
    zoho
}

/// What an accounts server has been seen or feared to do.
fn faults() -> Vec<TokenFault> {
    let error = |status, error: &str| TokenFault::Error {
        status,
        error: error.to_owned(),
    };
    let expires_in = |value| TokenFault::ExpiresIn { value };
    let token = |value: &str| TokenFault::Token {
        value: value.to_owned(),
    };
    vec![
        error(200, "invalid_code"),
        error(200, "invalid_client"),
        error(400, "invalid_client_secret"),
        error(200, "general_error"),
        error(500, "anything else"),
        TokenFault::Throttled { status: 400 },
        TokenFault::Throttled { status: 200 },
        TokenFault::Html { status: 200 },
        TokenFault::Html { status: 503 },
        TokenFault::EmptyObject,
        TokenFault::Truncated,
        TokenFault::Redirect {
            location: "https://accounts.zoho.invalid/signin".to_owned(),
        },
        TokenFault::Hang,
        TokenFault::Reset,
        TokenFault::LostAfterIssue,
        expires_in(json!(0)),
        expires_in(json!(-5)),
        token("with\r\nX-Header: injected"),
        token("with space"),
        token(""),
        token(&"x".repeat(8 * 1024)),
    ]
}

#[tokio::test]
async fn while_a_token_lives_callers_notice_nothing() {
    join_all(faults().into_iter().map(callers_notice_nothing_of)).await;
}

async fn callers_notice_nothing_of(fault: TokenFault) {
    let zoho = zoho_with(|settings| settings.token_lifetime_seconds = 2.0).await;
    let app = TestApp::with(&zoho, FAST).await;
    zoho.on_token(When::Always, fault.clone());

    // Renewal begins after 1.7 s at the earliest and 1.84 s at the latest, before the token's end.
    let end = Instant::now() + Duration::from_millis(1850);
    while Instant::now() < end {
        let reply = app.delete_photo("Contacts", 1).await;
        assert_eq!(reply.outcome(), "deleted", "{fault:?}: {reply:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    assert!(
        zoho.ledger().token_requests > 1,
        "{fault:?}: no renewal was tried"
    );
    assert!(app.metric("bigin_token_waits_total", &[]).await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn odd_expiries_and_foreign_domains_are_understood() {
    let expires_in = |value| TokenFault::ExpiresIn { value };
    for fault in [
        expires_in(json!(null)),
        expires_in(json!("3600")),
        expires_in(json!(3_600_000)),
        expires_in(json!(999_999_999_999_i64)),
        TokenFault::Milliseconds,
        TokenFault::ApiDomain { value: None },
        TokenFault::ApiDomain {
            value: Some("https://api.zoho.eu".to_owned()),
        },
        TokenFault::ApiDomain {
            value: Some("http://evil.invalid/".to_owned()),
        },
    ] {
        let zoho = zoho_with(|_| {}).await;
        zoho.on_token(When::Always, fault.clone());
        let app = TestApp::spawn(&zoho).await;

        assert_eq!(
            app.delete_photo("Contacts", 1).await.outcome(),
            "deleted",
            "{fault:?}"
        );
        let life = app
            .metric("bigin_token_expiry_timestamp_seconds", &[])
            .await
            - now();
        assert!((3590.0..=3600.0).contains(&life), "{fault:?}: {life}");
    }
}

fn now() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "the metric is a date")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test]
async fn a_foreign_api_domain_is_counted_and_the_token_goes_to_the_configured_host() {
    let zoho = zoho_with(|_| {}).await;
    let other = Sandbox::start().await;
    zoho.on_token(
        When::Always,
        TokenFault::ApiDomain {
            value: Some(other.api_url()),
        },
    );
    let app = TestApp::spawn(&zoho).await;

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");

    assert_eq!(other.ledger().connections, 0);
    let counted = app
        .metric("bigin_token_foreign_api_domains_total", &[])
        .await;
    assert!((counted - 1.0).abs() < f64::EPSILON);
}

/// What a caller without a token must be told.
fn assert_unavailable(reply: &Reply, error: &str) -> Duration {
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "TOKEN_UNAVAILABLE")
    );
    assert_eq!(reply.outcome(), "not-sent");
    let expected = format!("bigin-photo-proxy; error={error}; details=\"TOKEN_UNAVAILABLE\"");
    assert_eq!(reply.header("proxy-status"), expected);
    Duration::from_secs(reply.header("retry-after").parse().unwrap())
}

#[tokio::test]
async fn refused_credentials_are_told_at_once_and_healed_at_the_announced_try() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(
        When::Always,
        TokenFault::Error {
            status: 200,
            error: "invalid_code".to_owned(),
        },
    );
    let app = TestApp::without_token(&zoho, FAST);
    eventually("the first try is over", async || {
        zoho.ledger().token_requests == 1
    })
    .await;
    eventually("it is known", async || {
        app.delete_photo("Contacts", 1)
            .await
            .headers
            .contains_key("retry-after")
    })
    .await;

    let reply = app.delete_photo("Contacts", 1).await;
    let wait = assert_unavailable(&reply, "proxy_configuration_error");
    assert_eq!(reply.json()["details"]["act"], "operator");
    assert!((1..=3).contains(&wait.as_secs()), "300 s, scaled: {wait:?}");

    let mut times: Vec<_> = Vec::new();
    for id in 1..=101 {
        let begun = Instant::now();
        assert_unavailable(
            &app.delete_photo("Contacts", id).await,
            "proxy_configuration_error",
        );
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    assert!(
        times[50] < Duration::from_millis(5),
        "median {:?}",
        times[50]
    );

    zoho.well();
    let told = app.delete_photo("Contacts", 1).await;
    tokio::time::sleep(assert_unavailable(&told, "proxy_configuration_error")).await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    assert_eq!(
        zoho.ledger().token_requests,
        2,
        "nothing was tried in between"
    );
}

#[tokio::test]
async fn transient_failures_are_tried_again_in_growing_steps() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Always, TokenFault::Html { status: 503 });
    let app = TestApp::without_token(&zoho, FAST);

    eventually("four tries", async || zoho.ledger().token_requests == 4).await;
    let times: Vec<_> = zoho
        .ledger()
        .token_log
        .iter()
        .map(|request| request.at_ms)
        .collect();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 5, 15 and 45 s, a hundred times as fast.
    assert!((50..150).contains(&waits[0]), "{waits:?}");
    assert!((150..300).contains(&waits[1]), "{waits:?}");
    assert!((450..650).contains(&waits[2]), "{waits:?}");

    let told = assert_unavailable(
        &app.delete_photo("Contacts", 1).await,
        "destination_unavailable",
    );
    zoho.well();
    tokio::time::sleep(told).await;
    eventually("healed", async || {
        app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;
}

#[tokio::test]
async fn a_throttle_is_waited_out_for_the_whole_window() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Next(1), TokenFault::Throttled { status: 200 });
    let app = TestApp::without_token(&zoho, "token.budget_window = \"2s\"");
    eventually("the first try is over", async || {
        zoho.ledger().token_requests == 1
    })
    .await;
    eventually("it is known", async || {
        app.delete_photo("Contacts", 1)
            .await
            .headers
            .contains_key("retry-after")
    })
    .await;

    let wait = assert_unavailable(
        &app.delete_photo("Contacts", 1).await,
        "destination_unavailable",
    );
    assert_eq!(wait, Duration::from_secs(2));
    tokio::time::sleep(wait).await;

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 2);
}

#[tokio::test]
async fn an_accounts_server_that_cannot_be_reached_costs_no_budget() {
    let zoho = zoho_with(|_| {}).await;
    let accounts = Sandbox::start().await;
    let config = config_for(&zoho, FAST);
    let config = config.replacen(&zoho.accounts_url(), &accounts.accounts_url(), 1);
    accounts.stop().await;
    let app = TestApp::of_config(&config);

    // Every 50 ms: far more often than the budget would allow.
    let tries = async || {
        app.metric("bigin_token_requests_total", &[r#"result="unreached""#])
            .await
    };
    eventually("twenty tries", async || tries().await >= 20.0).await;

    assert!((app.metric("bigin_token_budget_remaining", &[]).await - 8.0).abs() < f64::EPSILON);
    assert_unavailable(
        &app.delete_photo("Contacts", 1).await,
        "destination_unavailable",
    );
}

#[tokio::test]
async fn waiting_callers_share_one_failure() {
    let zoho = zoho_with(|_| {}).await;
    let config = config_for(&zoho, "");
    zoho.change(|settings| settings.refresh_token = "another".to_owned());
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 200 });
    let app = TestApp::of_config(&config);

    let replies = join_all((1..=30).map(|id| app.delete_photo("Contacts", id))).await;

    for reply in &replies {
        assert_unavailable(reply, "proxy_configuration_error");
    }
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn a_caller_waits_for_a_token_request_in_flight_but_not_beyond_its_deadline() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 700 });
    let app = TestApp::without_token(&zoho, "server.request_deadline = \"200ms\"");

    let begun = Instant::now();
    let reply = app.delete_photo("Contacts", 1).await;

    assert_unavailable(&reply, "destination_unavailable");
    assert!(
        (190..400).contains(&begun.elapsed().as_millis()),
        "{:?}",
        begun.elapsed()
    );
    // Callers that gave up have cancelled nothing.
    eventually("the token came", async || {
        app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn a_caller_that_waited_in_vain_is_told_how_long_the_token_request_may_still_take() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Always, TokenFault::Hang);
    let keys = "server.request_deadline = \"1s\"\ntoken.timeout = \"8s\"";
    let app = TestApp::without_token(&zoho, keys);

    let reply = app.delete_photo("Contacts", 1).await;

    let wait = assert_unavailable(&reply, "destination_unavailable");
    let ends = Duration::from_secs(6)..=Duration::from_secs(7);
    assert!(ends.contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn callers_that_wait_for_a_token_are_bounded_by_the_queue() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 500 });
    let app = TestApp::without_token(&zoho, "upstream.queue = 3");

    let replies = join_all((1..=5).map(|id| app.delete_photo("Contacts", id))).await;

    let shed: Vec<_> = replies
        .iter()
        .filter(|reply| reply.code() == "OVERLOADED")
        .collect();
    assert_eq!((replies.len() - shed.len(), shed.len()), (3, 2));
    for reply in shed {
        assert_eq!((reply.status.as_u16(), reply.outcome()), (503, "not-sent"));
        assert_eq!(reply.header("retry-after"), "1");
        let expected = "bigin-photo-proxy; error=connection_limit_reached; details=\"OVERLOADED\"";
        assert_eq!(reply.header("proxy-status"), expected);
    }
}

#[tokio::test]
async fn a_lost_answer_counts_in_the_budget() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Next(1), TokenFault::LostAfterIssue);
    let app = TestApp::without_token(&zoho, FAST);

    eventually("healed", async || {
        app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;

    let results: Vec<_> = zoho
        .ledger()
        .token_log
        .into_iter()
        .map(|request| request.result)
        .collect();
    assert_eq!(results, [TokenResult::Issued, TokenResult::Issued]);
    assert!((app.metric("bigin_token_budget_remaining", &[]).await - 6.0).abs() < f64::EPSILON);
}
