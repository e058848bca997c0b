//! A token endpoint in trouble: callers notice nothing while a token lives, and are told the truth afterwards.

use std::time::Duration;

use futures_util::future::join_all;
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
    // It may have begun some time after the caller's own request.
    let ends = Duration::from_secs(6)..=Duration::from_secs(8);
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
