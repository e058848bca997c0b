//! The ledger: complete, countable, and without secrets.

use std::time::Duration;

use tokio::time::sleep;
use zoho_sandbox::{ApiFault, ApiFaultKind, Ledger, Sandbox, When};

use crate::client::{Client, ask, delete_photo, post, sent, token, token_request_with};

#[tokio::test]
async fn a_request_is_kept_as_it_stood_on_the_wire() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    let request = format!(
        "DELETE /bigin/v2/Contacts/%31/photo?a=%20 HTTP/1.1\r\nhost: X\r\nCookie:  b \r\n\
         authorization: Zoho-oauthtoken {token}\r\ncontent-length: 3\r\n\r\nabc"
    );

    ask(&zoho, &request).await;

    let seen = &zoho.ledger().requests[0];
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("DELETE", "/bigin/v2/Contacts/%31/photo?a=%20")
    );
    assert_eq!((seen.version.as_str(), seen.body_length), ("HTTP/1.1", 3));
    assert_eq!(seen.headers[0], ("host".to_owned(), "X".to_owned()));
    assert_eq!(
        (seen.header("Cookie"), seen.header("Authorization")),
        (Some("b"), Some("Zoho-oauthtoken #0"))
    );
}

#[tokio::test]
async fn no_text_of_a_token_or_secret_gets_into_the_ledger() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    let refresh = "1000.sandbox-refresh-token";
    ask(
        &zoho,
        &post(
            &format!("/oauth/v2/token?refresh_token={refresh}"),
            "text/plain",
            "",
        ),
    )
    .await;
    let leaky = format!(
        "DELETE /{token}/{refresh} HTTP/1.1\r\nX-Leak: sandbox-client-secret\r\nAuthorization: Basic {token}\r\n\r\n"
    );
    ask(&zoho, &leaky).await;

    let ledger = serde_json::to_string(&zoho.ledger()).unwrap();

    for secret in [token.as_str(), refresh, "sandbox-client-secret"] {
        assert!(!ledger.contains(secret), "{secret}");
    }
    assert!(ledger.contains("/#0/#refresh-token") && ledger.contains("#client-secret"));
}

#[tokio::test]
async fn calls_are_counted_for_each_token() {
    let zoho = Sandbox::start().await;
    let (first, second) = (token(&zoho).await, token(&zoho).await);
    ask(&zoho, &delete_photo(&second, 1)).await;
    ask(&zoho, &delete_photo(&second, 2)).await;
    ask(&zoho, &delete_photo(&first, 3)).await;
    ask(&zoho, &delete_photo("1000.made.up", 4)).await;

    let ledger = zoho.ledger();

    assert_eq!((ledger.calls, ledger.calls_per_token), (4, vec![1, 2]));
    assert_eq!(
        ledger
            .deletions
            .iter()
            .map(|deletion| deletion.token)
            .collect::<Vec<_>>(),
        [1, 1, 0]
    );
}

#[tokio::test]
async fn calls_met_by_a_fault_are_counted_too() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Reset));

    sent(&zoho, &delete_photo(&token, 1)).await.rest().await;

    let ledger = zoho.ledger();
    assert_eq!(
        (ledger.calls, ledger.calls_per_token, ledger.requests.len()),
        (1, vec![1], 1)
    );
}

#[tokio::test]
async fn old_requests_are_forgotten_and_still_counted() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.keep_requests = 2);
    for id in 1..=5 {
        ask(&zoho, &delete_photo("none", id)).await;
    }

    let ledger = zoho.ledger();

    let targets: Vec<&str> = ledger
        .requests
        .iter()
        .map(|request| request.target.as_str())
        .collect();
    assert_eq!(
        targets,
        ["/bigin/v2/Contacts/4/photo", "/bigin/v2/Contacts/5/photo"]
    );
    assert_eq!(ledger.requests_seen, 5);
}

#[tokio::test]
async fn connections_are_counted_and_not_their_requests() {
    let zoho = Sandbox::start().await;
    let mut client = Client::connect(zoho.address()).await;
    for id in 1..=3 {
        client.send(&delete_photo("none", id)).await;
        client.answer().await;
    }

    assert_eq!((zoho.ledger().connections, zoho.ledger().calls), (1, 3));
}

#[tokio::test]
async fn what_is_no_request_is_counted_and_told_so() {
    let zoho = Sandbox::start().await;

    let answer = ask(
        &zoho,
        "DELETE / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .await;

    assert_eq!(answer.status, 501);
    assert_eq!(
        (zoho.ledger().unreadable_requests, zoho.ledger().calls),
        (1, 0)
    );
}

#[tokio::test]
async fn the_busiest_span_of_token_requests_can_be_asked_for() {
    let zoho = Sandbox::start().await;
    for pause in [0, 0, 500] {
        sleep(Duration::from_millis(pause)).await;
        ask(&zoho, &token_request_with("wrong", "wrong")).await;
    }

    assert_eq!(
        zoho.ledger()
            .most_token_requests_within(Duration::from_millis(450)),
        2
    );
    assert_eq!(
        zoho.ledger()
            .most_token_requests_within(Duration::from_secs(80)),
        3
    );
}

#[tokio::test]
async fn a_ledger_survives_json_with_ids_as_texts() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    ask(&zoho, &delete_photo(&token, 9_999_999_999_999_999_999)).await;
    let ledger = zoho.ledger();

    let json = serde_json::to_string(&ledger).unwrap();

    assert!(json.contains(r#""id":"9999999999999999999""#));
    assert_eq!(serde_json::from_str::<Ledger>(&json).unwrap(), ledger);
}
