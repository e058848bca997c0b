//! The token endpoint in trouble: while a token lives callers notice nothing; afterwards they are told at once.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zoho_sandbox::{Sandbox, TokenFault, When};

use super::row::{Expected, Request};
use super::scene::Scene;
use crate::support::{TestApp, config_for, eventually};

/// How long a token lives. Its renewal is tried between 0.85 and 0.92 of that.
const LIFE: Duration = Duration::from_secs(2);

/// A clock that runs 100 times as fast as Zoho's: the waits of 5 and 300 s are 50 ms and 3 s.
const FAST: &str = "token.budget_window = \"6s\"\ntoken.timeout = \"100ms\"";

/// What passes by itself.
fn passing() -> Expected {
    unavailable("destination_unavailable").act("nobody")
}

/// What an operator must mend.
fn refused() -> Expected {
    unavailable("proxy_configuration_error").act("operator")
}

fn unavailable(error: &str) -> Expected {
    Expected::ours(503, "TOKEN_UNAVAILABLE", "not-sent", error).retry_after(1..=6)
}

/// A Zoho whose tokens live so long.
async fn zoho() -> Sandbox {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.tokens_per_window = 1000;
        settings.token_lifetime_seconds = LIFE.as_secs_f64();
    });
    zoho
}

/// A proxy with a token, and an accounts server that has this fault from then on.
async fn with_fault(fault: TokenFault) -> Scene {
    let zoho = zoho().await;
    let app = TestApp::with(&zoho, FAST).await;
    zoho.on_token(When::Always, fault);
    Scene { zoho, app }
}

/// A proxy with a token, and an accounts server at whose address nobody listens from then on.
async fn without_server() -> Scene {
    let zoho = zoho().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let way = tokio::spawn(pass_on(listener, zoho.accounts_address()));
    let config = config_for(&zoho, FAST).replacen(&zoho.accounts_url(), &url, 1);
    let app = TestApp::of_config(&config);
    app.ready().await;
    way.abort();
    Scene { zoho, app }
}

/// Takes connections on to another address. When this ends, so do they.
async fn pass_on(listener: TcpListener, target: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        connections.spawn(async move {
            let mut far = TcpStream::connect(target).await.unwrap();
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
    }
}

/// Callers are served until the token ends, and then told so.
async fn expect_nothing_then(fault: TokenFault, expected: Expected) {
    expect_nothing_in(&with_fault(fault).await, &expected).await;
}

async fn expect_nothing_in(scene: &Scene, expected: &Expected) {
    let tries = async || scene.app.metric("bigin_token_requests_total", &[]).await;
    let first_tries = tries().await;
    // Until a renewal has failed, and once more then: the old token is still good.
    let mut has_failed = false;
    while !has_failed {
        has_failed = tries().await > first_tries;
        scene.expect(&Request::photo(), &Expected::deleted()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(scene.app.metric("bigin_token_waits_total", &[]).await < 0.5);

    // Between two tries the answer comes at once; while one is under way it is waited for.
    eventually("it is told in 5 ms", async || {
        let begun = Instant::now();
        let reply = scene.app.delete_photo("Contacts", 1).await;
        reply.code() == "TOKEN_UNAVAILABLE" && begun.elapsed() < Duration::from_millis(5)
    })
    .await;
    scene.expect(&Request::photo(), expected).await;
}

/// An odd answer that holds a token all the same: nobody ever notices.
async fn expect_nothing(fault: TokenFault) {
    let scene = with_fault(fault).await;
    let before = scene.zoho.ledger().token_requests;
    // The old token has ended by then.
    let end = Instant::now() + LIFE.mul_f64(1.2);
    while Instant::now() < end {
        scene.expect(&Request::photo(), &Expected::deleted()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(scene.zoho.ledger().token_requests > before);
}

fn error(status: u16, error: &str) -> TokenFault {
    TokenFault::Error {
        status,
        error: error.to_owned(),
    }
}

fn token(value: impl Into<String>) -> TokenFault {
    TokenFault::Token {
        value: value.into(),
    }
}

#[tokio::test]
async fn an_accounts_server_that_is_down_is_not_noticed_while_a_token_lives() {
    expect_nothing_in(&without_server().await, &passing()).await;
}

#[tokio::test]
async fn an_accounts_server_that_resets_connections_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Reset, passing()).await;
}

#[tokio::test]
async fn an_accounts_server_that_hangs_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Hang, passing()).await;
}

#[tokio::test]
async fn a_slow_accounts_server_is_not_noticed_at_all() {
    expect_nothing(TokenFault::Slow { milliseconds: 40 }).await;
}

#[tokio::test]
async fn a_page_instead_of_a_token_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Html { status: 200 }, passing()).await;
}

#[tokio::test]
async fn a_page_with_503_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Html { status: 503 }, passing()).await;
}

#[tokio::test]
async fn an_empty_object_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::EmptyObject, passing()).await;
}

#[tokio::test]
async fn a_truncated_answer_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Truncated, passing()).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_not_noticed_while_a_token_lives() {
    let location = "http://127.0.0.1:1/".to_owned();
    expect_nothing_then(TokenFault::Redirect { location }, passing()).await;
}

#[tokio::test]
async fn refused_credentials_with_200_are_not_noticed_while_a_token_lives() {
    expect_nothing_then(error(200, "invalid_code"), refused()).await;
}

#[tokio::test]
async fn an_error_that_may_pass_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(error(200, "general_error"), passing()).await;
}

#[tokio::test]
async fn a_throttle_with_400_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Throttled { status: 400 }, passing()).await;
}

#[tokio::test]
async fn a_throttle_with_200_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::Throttled { status: 200 }, passing()).await;
}

#[tokio::test]
async fn a_token_without_any_life_is_not_noticed_while_the_old_one_lives() {
    for value in [json!(0), json!(-5)] {
        expect_nothing_then(TokenFault::ExpiresIn { value }, passing()).await;
    }
}

#[tokio::test]
async fn an_odd_life_of_a_token_is_not_noticed_at_all() {
    let expires_in = |value| TokenFault::ExpiresIn { value };
    for fault in [
        expires_in(json!(null)),
        expires_in(json!("3600")),
        expires_in(json!(3_600_000)),
        expires_in(json!(999_999_999_999_i64)),
        TokenFault::Milliseconds,
    ] {
        let zoho = Sandbox::start().await;
        zoho.on_token(When::Always, fault);
        let app = TestApp::with(&zoho, "").await;
        let scene = Scene { zoho, app };

        scene.expect(&Request::photo(), &Expected::deleted()).await;

        // Whatever it says, no token is believed to live longer than an hour.
        let told = "bigin_token_expiry_timestamp_seconds";
        let end = scene.app.metric(told, &[]).await;
        let life = end - now();
        assert!((3590.0..=3600.0).contains(&life), "{life}");
    }
}

#[tokio::test]
async fn a_token_with_a_line_break_in_it_is_not_noticed_while_the_old_one_lives() {
    expect_nothing_then(token("1000.a\r\nX-Header: b"), passing()).await;
}

#[tokio::test]
async fn a_token_with_a_space_in_it_is_not_noticed_while_the_old_one_lives() {
    expect_nothing_then(token("1000.a b"), passing()).await;
}

#[tokio::test]
async fn a_token_of_8_kib_is_not_noticed_while_the_old_one_lives() {
    expect_nothing_then(token("x".repeat(8 * 1024)), passing()).await;
}

#[tokio::test]
async fn a_foreign_api_domain_is_counted_and_not_obeyed() {
    let other = Sandbox::start().await;
    let value = Some(other.api_url());
    let scene = with_fault(TokenFault::ApiDomain { value }).await;
    let counted = "bigin_token_foreign_api_domains_total";
    eventually("the token is renewed", async || {
        scene.app.metric(counted, &[]).await > 0.5
    })
    .await;

    scene.expect(&Request::photo(), &Expected::deleted()).await;

    assert_eq!(other.ledger().connections, 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_issue_is_not_noticed_while_a_token_lives() {
    expect_nothing_then(TokenFault::LostAfterIssue, passing()).await;
}

#[expect(clippy::disallowed_methods, reason = "the metric is a date")]
fn now() -> f64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}
