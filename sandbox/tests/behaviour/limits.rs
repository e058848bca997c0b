//! How much is admitted: token requests, live tokens, calls at once, credits.

use std::time::Duration;

use tokio::time::sleep;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenResult, When};

use crate::client::{ask, delete_photo, sent, token, token_request, token_request_with};

const THROTTLED: &str = "{\"error_description\":\"You have made too many requests continuously. \
    Please try again after some time.\",\"error\":\"Access Denied\",\"status\":\"failure\"}";

#[tokio::test]
async fn the_eleventh_token_request_of_a_window_is_refused() {
    let zoho = Sandbox::start().await;
    for _ in 0..10 {
        assert_eq!(ask(&zoho, &token_request()).await.status, 200);
    }

    let eleventh = ask(&zoho, &token_request()).await;

    assert_eq!((eleventh.status, eleventh.body.as_str()), (400, THROTTLED));
    assert_eq!(zoho.ledger().token_log[10].result, TokenResult::Throttled);
    assert_eq!(zoho.ledger().tokens_issued, 10);
}

#[tokio::test]
async fn refused_token_requests_count_in_the_window() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.tokens_per_window = 1);
    ask(&zoho, &token_request_with("wrong", "wrong")).await;

    assert_eq!(ask(&zoho, &token_request()).await.body, THROTTLED);
}

#[tokio::test]
async fn the_window_ends() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| (settings.tokens_per_window, settings.window_seconds) = (1, 0.05));
    token(&zoho).await;

    sleep(Duration::from_millis(60)).await;

    assert_eq!(ask(&zoho, &token_request()).await.status, 200);
}

#[tokio::test]
async fn one_live_token_too_many_ends_the_oldest() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.live_tokens = 2);
    let tokens = [token(&zoho).await, token(&zoho).await, token(&zoho).await];

    assert_eq!(
        ask(&zoho, &delete_photo(&tokens[0], 1))
            .await
            .text("message"),
        "invalid oauth token"
    );
    assert_eq!(ask(&zoho, &delete_photo(&tokens[1], 1)).await.status, 200);
    assert_eq!(ask(&zoho, &delete_photo(&tokens[2], 1)).await.status, 200);
    assert_eq!(zoho.ledger().live_tokens, 2);
    assert_eq!(zoho.ledger().refused_for_token, 1);
}

#[tokio::test]
async fn the_oldest_token_can_be_evicted_at_will() {
    let zoho = Sandbox::start().await;
    let (old, new) = (token(&zoho).await, token(&zoho).await);

    zoho.evict_oldest_token();

    assert_eq!(ask(&zoho, &delete_photo(&old, 1)).await.status, 401);
    assert_eq!(ask(&zoho, &delete_photo(&new, 1)).await.status, 200);
}

#[tokio::test]
async fn revocation_ends_all_tokens_and_no_later_one() {
    let zoho = Sandbox::start().await;
    let old = token(&zoho).await;

    zoho.revoke_tokens();
    let new = token(&zoho).await;

    assert_eq!(
        ask(&zoho, &delete_photo(&old, 1)).await.text("code"),
        "INVALID_TOKEN"
    );
    assert_eq!(ask(&zoho, &delete_photo(&new, 1)).await.status, 200);
}

#[tokio::test]
async fn one_call_at_once_too_many_is_refused() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    zoho.change(|settings| (settings.concurrency, settings.delay_ms) = (2, 400));
    let mut first = sent(&zoho, &delete_photo(&token, 1)).await;
    let mut second = sent(&zoho, &delete_photo(&token, 2)).await;
    sleep(Duration::from_millis(100)).await;

    let refused = ask(&zoho, &delete_photo(&token, 3)).await;

    assert_eq!(
        (refused.status, refused.text("code")),
        (429, "TOO_MANY_REQUESTS".to_owned())
    );
    assert!(refused.text("message").contains("concurrency limit"));
    assert_eq!(
        (first.answer().await.status, second.answer().await.status),
        (200, 200)
    );
    assert_eq!(zoho.ledger().highest_concurrency, 3);
}

#[tokio::test]
async fn a_call_makes_room_before_its_answer_is_on_the_way() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    zoho.change(|settings| settings.concurrency = 1);
    let larger_than_any_socket_buffer = ApiFaultKind::Oversized {
        bytes: 64 * 1024 * 1024,
    };
    zoho.on_delete(
        When::Next(1),
        ApiFault::after(larger_than_any_socket_buffer),
    );
    let _does_not_read = sent(&zoho, &delete_photo(&token, 1)).await;
    sleep(Duration::from_millis(100)).await;

    let next = ask(&zoho, &delete_photo(&token, 2)).await;

    assert_eq!((next.status, zoho.ledger().calls), (200, 2));
}

#[tokio::test]
async fn a_call_without_credits_is_refused() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    zoho.change(|settings| settings.credits = 1);
    ask(&zoho, &delete_photo(&token, 1)).await;

    let refused = ask(&zoho, &delete_photo(&token, 2)).await;

    assert_eq!(
        (refused.status, refused.text("code")),
        (429, "TOO_MANY_REQUESTS".to_owned())
    );
    assert!(refused.text("message").contains("24 hour"));
    assert_eq!(
        (zoho.ledger().credits_used, zoho.ledger().deletions.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn the_credits_left_are_told_from_half_of_them_on() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    zoho.change(|settings| settings.credits = 4);

    let first = ask(&zoho, &delete_photo(&token, 1)).await;
    let second = ask(&zoho, &delete_photo(&token, 2)).await;

    assert_eq!(first.header("X-API-CREDITS-REMAINING"), None);
    assert_eq!(second.header("X-API-CREDITS-REMAINING"), Some("2"));
}
