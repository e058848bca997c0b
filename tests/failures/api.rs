//! Zoho's API in trouble: answers that prove nothing, that do not come, that break off.

use std::time::Duration;

use tokio::time::Instant;
use zoho_sandbox::{ApiFault, ApiFaultKind};

use super::row::{Expected, Request, envelope};
use super::scene::Scene;

/// What came proves nothing, whatever Zoho did. It is not tried again.
fn invalid(error: &str) -> Expected {
    Expected::ours(502, "UPSTREAM_INVALID_RESPONSE", "unknown", error).calls(1)
}

/// No answer came. It is tried once more.
fn lost() -> Expected {
    let error = "connection_terminated";
    Expected::ours(502, "UPSTREAM_CONNECTION_LOST", "unknown", error).calls(2)
}

fn late() -> Expected {
    Expected::ours(504, "UPSTREAM_TIMEOUT", "unknown", "http_response_timeout").calls(1)
}

/// The same row, whether Zoho did what it was asked for before the fault or not. Afterwards all is well.
async fn expect_either_way(kind: ApiFaultKind, expected: &Expected) {
    let scene = Scene::new().await;
    scene.always(ApiFault::before(kind.clone()), expected).await;
    scene.always(ApiFault::after(kind), expected).await;
    scene.expect(&Request::photo(), &Expected::deleted()).await;
}

fn body(status: u16, body: &str) -> ApiFaultKind {
    ApiFaultKind::Body {
        status,
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
    }
}

fn raw(text: impl Into<String>) -> ApiFaultKind {
    ApiFaultKind::Raw { text: text.into() }
}

#[tokio::test]
async fn a_reset_before_an_answer_is_connection_lost() {
    expect_either_way(ApiFaultKind::Reset, &lost()).await;
}

#[tokio::test]
async fn an_end_before_an_answer_is_connection_lost() {
    expect_either_way(ApiFaultKind::Close, &lost()).await;
}

#[tokio::test]
async fn an_end_in_the_head_of_an_answer_is_connection_lost() {
    expect_either_way(ApiFaultKind::Cut { bytes: 40 }, &lost()).await;
}

#[tokio::test]
async fn an_end_in_the_body_of_a_success_is_invalid_and_tried_once_more() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"code\":\"SUCCESS\"";
    expect_either_way(raw(text), &invalid("http_response_incomplete").calls(2)).await;
}

#[tokio::test]
async fn a_success_after_a_lost_call_is_a_success() {
    let scene = Scene::new().await;
    let reset = ApiFault::after(ApiFaultKind::Reset);

    scene.once([reset], &Expected::deleted().calls(2)).await;
}

#[tokio::test]
async fn a_refusal_after_a_lost_call_passes_and_leaves_the_outcome_unknown() {
    let scene = Scene::new().await;
    let reset = ApiFault::after(ApiFaultKind::Reset);
    let refusal = envelope(400, "INVALID_DATA", "the id given seems to be invalid");

    let unknown = Expected::zoho(400, "INVALID_DATA", "unknown").calls(2);
    scene.once([reset, refusal], &unknown).await;
}

#[tokio::test]
async fn no_answer_before_the_deadline_is_upstream_timeout_and_not_tried_again() {
    let scene = Scene::with("server.request_deadline = \"200ms\"").await;

    let begun = Instant::now();
    scene
        .always(ApiFault::after(ApiFaultKind::Hang), &late())
        .await;

    // Some of the time is the test's own.
    assert!((200..600).contains(&begun.elapsed().as_millis()));
}

#[tokio::test]
async fn a_caller_with_less_patience_is_answered_sooner() {
    let scene = Scene::new().await;
    let slow = ApiFaultKind::Slow { milliseconds: 2000 };
    scene
        .zoho
        .on_delete(zoho_sandbox::When::Next(1), ApiFault::after(slow));

    let begun = Instant::now();
    let request = Request::photo().with("Request-Timeout: 0.1");
    scene.expect(&request, &late()).await;

    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_body_that_trickles_for_ever_ends_at_the_deadline() {
    let scene = Scene::with("server.request_deadline = \"200ms\"").await;

    scene
        .always(ApiFault::after(ApiFaultKind::Endless), &late())
        .await;
}

#[tokio::test]
async fn a_peer_that_has_vanished_behind_a_kept_connection_ends_at_the_deadline() {
    let scene = Scene::with("server.request_deadline = \"200ms\"").await;
    // The connection is open for the proxy and dead for Zoho: nothing is ever said on it.
    scene
        .once([ApiFault::before(ApiFaultKind::Hang)], &late())
        .await;

    scene.expect(&Request::photo(), &Expected::deleted()).await;
}

#[tokio::test]
async fn a_200_that_says_error_is_invalid() {
    expect_either_way(ApiFaultKind::StatusError, &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_200_with_an_empty_body_is_invalid() {
    expect_either_way(ApiFaultKind::EmptyOk, &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_200_with_another_body_is_invalid() {
    let expected = invalid("http_protocol_error");
    expect_either_way(body(200, "{}"), &expected).await;
    expect_either_way(ApiFaultKind::Html { status: 200 }, &expected).await;
    for spoilt in [
        r#"{"code":"SUCCESS","details":{},"message":"","status":"success"} more"#,
        r#"{"code":"SUCCESS","details":{},"message":"","status":"success""#,
    ] {
        expect_either_way(body(200, spoilt), &expected).await;
    }
}

#[tokio::test]
async fn a_204_is_invalid() {
    expect_either_way(ApiFaultKind::NoContent, &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_4xx_that_says_success_is_invalid() {
    let text = r#"{"code":"SUCCESS","details":{},"message":"","status":"success"}"#;
    expect_either_way(body(400, text), &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_4xx_that_is_no_envelope_is_invalid() {
    expect_either_way(
        ApiFaultKind::Html { status: 404 },
        &invalid("http_protocol_error"),
    )
    .await;
}

#[tokio::test]
async fn an_answer_over_64_kib_is_invalid() {
    let bytes = 64 * 1024 + 1;
    let expected = invalid("http_response_body_size");
    expect_either_way(ApiFaultKind::Oversized { bytes }, &expected).await;
}

#[tokio::test]
async fn a_compressed_answer_is_invalid() {
    expect_either_way(ApiFaultKind::Gzip, &invalid("http_response_content_coding")).await;
}

#[tokio::test]
async fn ten_thousand_headers_are_invalid() {
    let count = 10_000;
    let expected = invalid("http_response_header_section_size");
    expect_either_way(ApiFaultKind::ManyHeaders { count }, &expected).await;
}

#[tokio::test]
async fn bytes_that_are_not_http_are_invalid() {
    expect_either_way(ApiFaultKind::Garbage, &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_goaway_of_http_2_is_invalid() {
    // A SETTINGS frame and a GOAWAY frame: http/1.1 is all that is ever offered, so none of them is expected.
    let frames = "\0\0\0\u{4}\0\0\0\0\0\0\0\u{8}\u{7}\0\0\0\0\0\0\0\0\0\0\0\0\0";
    expect_either_way(raw(frames), &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_redirect_is_invalid_and_not_followed() {
    for status in [301, 302, 307, 308] {
        let location = "/bigin/v2/Contacts/1".to_owned();
        let redirect = ApiFaultKind::Redirect { status, location };
        expect_either_way(redirect, &invalid("http_protocol_error")).await;
    }
}

#[tokio::test]
async fn a_wrong_length_is_invalid() {
    let short = ApiFaultKind::WrongLength { claimed: 10 };
    expect_either_way(short, &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_gateways_page_with_502_503_or_504_is_invalid_and_tried_once_more() {
    for status in [502, 503, 504] {
        let page = ApiFaultKind::Html { status };
        expect_either_way(page, &invalid("http_protocol_error").calls(2)).await;
    }
}

#[tokio::test]
async fn a_page_with_500_is_invalid_and_not_tried_again() {
    let page = ApiFaultKind::Html { status: 500 };
    expect_either_way(page, &invalid("http_protocol_error")).await;
}

#[tokio::test]
async fn a_second_answer_that_nobody_asked_for_is_not_the_next_callers() {
    let scene = Scene::new().await;
    let second = ApiFault::before(ApiFaultKind::SecondAnswer);
    scene.once([second], &Expected::deleted()).await;

    let refusal = envelope(403, "NO_PERMISSION", "Permission denied to delete images");
    let refused = Expected::zoho(403, "NO_PERMISSION", "refused").act("zoho-admin");
    scene.once([refusal], &refused).await;
}
