//! The token endpoint on a bad day: each fault, as it looks to a client.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use zoho_sandbox::{Sandbox, TokenFault, TokenResult, When};

use crate::client::{Answer, ask, delete_photo, sent, token_request};

/// What a token request meets that is hit by this fault.
async fn hit_by(zoho: &Sandbox, fault: TokenFault) -> Answer {
    zoho.on_token(When::Next(1), fault);
    ask(zoho, &token_request()).await
}

#[tokio::test]
async fn an_error_comes_with_whatever_status_it_is_given() {
    let zoho = Sandbox::start().await;

    let answer = hit_by(
        &zoho,
        TokenFault::Error {
            status: 200,
            error: "general_error".to_owned(),
        },
    )
    .await;

    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "error": "general_error" }))
    );
    assert_eq!(zoho.ledger().token_log[0].result, TokenResult::Faulted);
}

#[tokio::test]
async fn a_played_throttling_leaves_the_real_window_alone() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.tokens_per_window = 1);

    let played = hit_by(&zoho, TokenFault::Throttled { status: 200 }).await;
    let next = ask(&zoho, &token_request()).await;

    assert_eq!(
        (played.status, played.text("error")),
        (200, "Access Denied".to_owned())
    );
    assert!(!next.text("access_token").is_empty());
}

#[tokio::test]
async fn any_other_fault_counts_in_the_real_window() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.tokens_per_window = 1);

    hit_by(&zoho, TokenFault::EmptyObject).await;

    assert_eq!(ask(&zoho, &token_request()).await.status, 400);
}

#[tokio::test]
async fn answers_that_are_no_token_answers() {
    let zoho = Sandbox::start().await;
    let location = "https://accounts.zoho.com/signin".to_owned();
    let odd = TokenFault::Body {
        status: 503,
        content_type: "text/x".to_owned(),
        body: "odd".to_owned(),
    };

    let html = hit_by(&zoho, TokenFault::Html { status: 502 }).await;
    let empty = hit_by(&zoho, TokenFault::EmptyObject).await;
    let redirect = hit_by(
        &zoho,
        TokenFault::Redirect {
            location: location.clone(),
        },
    )
    .await;
    let body = hit_by(&zoho, odd).await;

    assert_eq!(
        (html.status, html.header("Content-Type")),
        (502, Some("text/html;charset=UTF-8"))
    );
    assert!(html.body.starts_with("<html>"));
    assert_eq!((empty.status, empty.body.as_str()), (200, "{}"));
    assert_eq!(
        (redirect.status, redirect.header("Location")),
        (302, Some(location.as_str()))
    );
    assert_eq!(
        (body.status, body.header("Content-Type"), body.body.as_str()),
        (503, Some("text/x"), "odd")
    );
    assert_eq!(zoho.ledger().tokens_issued, 0);
}

#[tokio::test]
async fn a_truncated_answer_is_well_framed_and_ends_within_its_json() {
    let zoho = Sandbox::start().await;

    let answer = hit_by(&zoho, TokenFault::Truncated).await;

    assert!(answer.body.starts_with(r#"{"access_token":"1000."#));
    assert!(serde_json::from_str::<Value>(&answer.body).is_err());
}

#[tokio::test]
async fn a_slow_answer_is_the_normal_one_late() {
    let zoho = Sandbox::start().await;
    let start = Instant::now();

    let answer = hit_by(&zoho, TokenFault::Slow { milliseconds: 60 }).await;

    assert!(start.elapsed() >= Duration::from_millis(60));
    assert!(!answer.text("access_token").is_empty());
}

#[tokio::test]
async fn a_hanging_request_gets_no_byte_and_no_end() {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Next(1), TokenFault::Hang);

    let mut client = sent(&zoho, &token_request()).await;

    assert_eq!(client.arrives_within(Duration::from_millis(50)).await, "");
}

#[tokio::test]
async fn a_reset_issues_nothing_and_a_lost_answer_does() {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Next(1), TokenFault::Reset);
    zoho.on_token(When::Next(1), TokenFault::LostAfterIssue);

    let reset = sent(&zoho, &token_request()).await.rest().await;
    let issued_by_the_reset = zoho.ledger().tokens_issued;
    let lost = sent(&zoho, &token_request()).await.rest().await;

    assert_eq!((reset, lost), ((Vec::new(), false), (Vec::new(), false)));
    assert_eq!(
        (
            issued_by_the_reset,
            zoho.ledger().tokens_issued,
            zoho.ledger().live_tokens
        ),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn the_lifetime_is_told_in_any_form_and_left_out_for_null() {
    let zoho = Sandbox::start().await;

    for value in [json!("3600"), json!(0), json!(-1), json!(1e30)] {
        let answer = hit_by(
            &zoho,
            TokenFault::ExpiresIn {
                value: value.clone(),
            },
        )
        .await;
        assert_eq!(answer.json()["expires_in"], value);
    }
    let missing = hit_by(&zoho, TokenFault::ExpiresIn { value: Value::Null }).await;
    let milliseconds = hit_by(&zoho, TokenFault::Milliseconds).await;

    assert_eq!(missing.json().get("expires_in"), None);
    assert_eq!(milliseconds.json()["expires_in"], 3_600_000);
    assert_eq!(milliseconds.json()["expires_in_sec"], 3600);
}

#[tokio::test]
async fn the_api_domain_can_be_hostile_or_missing() {
    let zoho = Sandbox::start().await;
    let hostile = "https://www.zohoapis.com.evil.example".to_owned();

    let told = hit_by(
        &zoho,
        TokenFault::ApiDomain {
            value: Some(hostile.clone()),
        },
    )
    .await;
    let missing = hit_by(&zoho, TokenFault::ApiDomain { value: None }).await;

    assert_eq!(told.text("api_domain"), hostile);
    assert_eq!(missing.json().get("api_domain"), None);
}

#[tokio::test]
async fn a_token_can_be_any_text_and_is_then_valid() {
    let zoho = Sandbox::start().await;

    let odd = hit_by(
        &zoho,
        TokenFault::Token {
            value: "a b\r\nX-Injected: 1".to_owned(),
        },
    )
    .await;
    let long = hit_by(
        &zoho,
        TokenFault::Token {
            value: "x".repeat(8192),
        },
    )
    .await;

    assert_eq!(odd.text("access_token"), "a b\r\nX-Injected: 1");
    assert!(!odd.body.contains('\n'));
    assert_eq!(
        ask(&zoho, &delete_photo(&long.text("access_token"), 1))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn faults_end_when_all_is_well() {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Always, TokenFault::EmptyObject);
    let ill = ask(&zoho, &token_request()).await;

    zoho.well();

    assert_eq!(ill.body, "{}");
    assert!(
        !ask(&zoho, &token_request())
            .await
            .text("access_token")
            .is_empty()
    );
}
