//! What Zoho says, and what callers hear: never a success that was none, always what it means for the photo.

use serde_json::{Value, json};
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::TestApp;

/// The table on <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.
const DOCUMENTED_ERRORS: [(u16, &str, &str, &str); 9] = [
    (
        400,
        "INVALID_MODULE",
        "The module name given seems to be invalid",
        "refused",
    ),
    (
        400,
        "INVALID_MODULE",
        "The given module is not supported in API",
        "refused",
    ),
    (
        404,
        "INVALID_URL_PATTERN",
        "Please check if the URL trying to access is a correct one",
        "refused",
    ),
    (401, "OAUTH_SCOPE_MISMATCH", "Unauthorized", "refused"),
    (
        403,
        "NO_PERMISSION",
        "Permission denied to delete images",
        "refused",
    ),
    (500, "INTERNAL_ERROR", "Internal Server Error", "unknown"),
    (
        400,
        "INVALID_REQUEST_METHOD",
        "The http request method type is not a valid one",
        "refused",
    ),
    (
        400,
        "AUTHORIZATION_FAILED",
        "User does not have sufficient privilege to delete images",
        "refused",
    ),
    (
        400,
        "INVALID_DATA",
        "the id given seems to be invalid",
        "refused",
    ),
];

fn answer(status: u16, code: impl Into<Value>, message: &str) -> ApiFault {
    ApiFault::before(ApiFaultKind::Answer {
        status,
        code: code.into(),
        message: message.to_owned(),
    })
}

#[tokio::test]
async fn every_documented_error_comes_through_with_its_status_and_body() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let tokens = zoho.ledger().token_requests;

    for (status, code, message, outcome) in DOCUMENTED_ERRORS {
        zoho.on_delete(When::Next(1), answer(status, code, message));
        let reply = app.delete_photo("Contacts", 1).await;

        assert_eq!(reply.status.as_u16(), status);
        let envelope =
            json!({ "code": code, "details": {}, "message": message, "status": "error" });
        assert_eq!(reply.json(), envelope);
        assert_eq!(reply.outcome(), outcome, "{code}");
        let proxy_status = format!("bigin-photo-proxy; received-status={status}");
        assert_eq!(reply.header("proxy-status"), proxy_status);
    }
    assert_eq!(
        zoho.ledger().calls,
        9,
        "an answer is final: nothing is tried twice"
    );
    assert_eq!(
        zoho.ledger().token_requests,
        tokens,
        "no such answer is the token's fault"
    );
}

#[tokio::test]
async fn a_missing_scope_causes_no_token_request() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.change(|settings| settings.scopes = vec!["ZohoBigin.modules.contacts.DELETE".to_owned()]);
    let before = zoho.ledger().token_requests;

    for id in 1..=20 {
        let reply = app.delete_photo("Products", id).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (401, "OAUTH_SCOPE_MISMATCH")
        );
        assert_eq!(reply.outcome(), "refused");
    }

    assert_eq!(zoho.ledger().token_requests, before);
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
}

#[tokio::test]
async fn unknown_codes_pass_unchanged() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(
        When::Next(1),
        answer(409, "RECORD_LOCKED", "the record is locked"),
    );

    let reply = app.delete_photo("Contacts", 1).await;

    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (409, "RECORD_LOCKED")
    );
    assert_eq!(reply.outcome(), "refused");
}

#[tokio::test]
async fn a_code_may_be_a_number() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(When::Always, answer(429, 429, "concurrency limit exceeded"));

    let reply = app.delete_photo("Contacts", 1).await;

    assert_eq!((reply.status.as_u16(), reply.outcome()), (429, "refused"));
    assert_eq!(reply.json()["code"], 429);
}

#[tokio::test]
async fn of_zohos_headers_only_those_that_help_go_on() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let body = r#"{"code":"TOO_MANY_REQUESTS","details":{},"message":"x","status":"error"}"#;
    let raw = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 7\r\n\
         X-API-CREDITS-REMAINING: 99\r\nServer: ZGS\r\nSet-Cookie: JSESSIONID=1\r\nLocation: /x\r\n\
         Strict-Transport-Security: max-age=1\r\nConnection: keep-alive\r\nProxy-Status: zoho\r\n\
         Delete-Outcome: deleted\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Raw { text: raw }),
    );

    let reply = app.delete_photo("Contacts", 1).await;

    let mut names: Vec<_> = reply
        .headers
        .keys()
        .map(axum::http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    let expected = [
        "content-length",
        "content-type",
        "date",
        "delete-outcome",
        "proxy-status",
        "retry-after",
        "x-api-credits-remaining",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(reply.header("retry-after"), "7");
    assert_eq!(reply.header("x-api-credits-remaining"), "99");
    assert_eq!(reply.outcome(), "refused");
    assert_eq!(reply.body, body);
}

/// Answers that prove nothing, whether the deletion was carried out or not, and RFC 9209's word for each.
fn unbelievable_answers() -> Vec<(ApiFaultKind, &'static str)> {
    let body = |status, body: &str| ApiFaultKind::Body {
        status,
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
    };
    let redirect = |status| ApiFaultKind::Redirect {
        status,
        location: "/elsewhere".to_owned(),
    };
    vec![
        (ApiFaultKind::StatusError, "http_protocol_error"),
        (ApiFaultKind::EmptyOk, "http_protocol_error"),
        (ApiFaultKind::NoContent, "http_protocol_error"),
        (ApiFaultKind::Html { status: 200 }, "http_protocol_error"),
        (ApiFaultKind::Html { status: 404 }, "http_protocol_error"),
        (ApiFaultKind::Html { status: 502 }, "http_protocol_error"),
        (ApiFaultKind::Html { status: 503 }, "http_protocol_error"),
        (ApiFaultKind::Html { status: 504 }, "http_protocol_error"),
        (body(200, "{}"), "http_protocol_error"),
        (
            body(200, r#"{"code":"SUCCESS","status":"success"} trailing"#),
            "http_protocol_error",
        ),
        (
            body(200, r#"{"code":"SUCCESS","status":"success""#),
            "http_protocol_error",
        ),
        (
            body(
                400,
                r#"{"code":"SUCCESS","details":{},"message":"","status":"success"}"#,
            ),
            "http_protocol_error",
        ),
        (redirect(301), "http_protocol_error"),
        (redirect(307), "http_protocol_error"),
        (ApiFaultKind::Gzip, "http_response_content_coding"),
        (
            ApiFaultKind::Oversized {
                bytes: 64 * 1024 + 1,
            },
            "http_response_body_size",
        ),
        (
            ApiFaultKind::ManyHeaders { count: 10_000 },
            "http_response_header_section_size",
        ),
        (ApiFaultKind::Garbage, "http_protocol_error"),
        (
            ApiFaultKind::WrongLength { claimed: 10 },
            "http_protocol_error",
        ),
    ]
}

#[tokio::test]
async fn an_answer_that_proves_nothing_is_unknown_and_its_connection_is_not_used_again() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    for (kind, error) in unbelievable_answers() {
        zoho.on_delete(When::Always, ApiFault::after(kind.clone()));
        let reply = app.delete_photo("Contacts", 1).await;
        zoho.well();

        assert_eq!(reply.status.as_u16(), 502, "{kind:?}");
        assert_eq!(reply.code(), "UPSTREAM_INVALID_RESPONSE", "{kind:?}");
        assert_eq!(reply.outcome(), "unknown", "{kind:?}");
        let proxy_status =
            format!("bigin-photo-proxy; error={error}; details=\"UPSTREAM_INVALID_RESPONSE\"");
        assert_eq!(reply.header("proxy-status"), proxy_status, "{kind:?}");
        assert_eq!(
            app.delete_photo("Contacts", 2).await.outcome(),
            "deleted",
            "after {kind:?}"
        );
    }
}

#[tokio::test]
async fn the_largest_answer_in_the_smallest_pieces_is_read() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let success = r#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;
    let chunks = (success.to_owned() + &" ".repeat(65536 - success.len()))
        .bytes()
        .fold(String::new(), |text, byte| {
            text + "1\r\n" + char::from(byte).encode_utf8(&mut [0; 4]) + "\r\n"
        });
    let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Raw { text }));

    let reply = app.delete_photo("Contacts", 1).await;

    assert_eq!((reply.outcome(), reply.body.len()), ("deleted", 65536));
}

#[tokio::test]
async fn a_connection_that_breaks_before_an_answer_leaves_the_outcome_unknown() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    for kind in [ApiFaultKind::Reset, ApiFaultKind::Close] {
        for fault in [
            ApiFault::before(kind.clone()),
            ApiFault::after(kind.clone()),
        ] {
            zoho.on_delete(When::Always, fault);
            let reply = app.delete_photo("Contacts", 1).await;
            zoho.well();

            assert_eq!(reply.status.as_u16(), 502);
            assert_eq!(reply.code(), "UPSTREAM_CONNECTION_LOST");
            assert_eq!(reply.outcome(), "unknown");
            let expected = "bigin-photo-proxy; error=connection_terminated; details=\"UPSTREAM_CONNECTION_LOST\"";
            assert_eq!(reply.header("proxy-status"), expected);
        }
    }
}

#[tokio::test]
async fn no_answer_before_the_deadline_leaves_the_outcome_unknown() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.request_deadline = \"200ms\"").await;

    for kind in [ApiFaultKind::Hang, ApiFaultKind::Endless] {
        zoho.on_delete(When::Next(1), ApiFault::after(kind.clone()));
        let begun = std::time::Instant::now();
        let reply = app.delete_photo("Contacts", 1).await;

        assert_eq!(reply.status.as_u16(), 504, "{kind:?}");
        assert_eq!(
            (reply.code().as_str(), reply.outcome()),
            ("UPSTREAM_TIMEOUT", "unknown")
        );
        let expected =
            "bigin-photo-proxy; error=http_response_timeout; details=\"UPSTREAM_TIMEOUT\"";
        assert_eq!(reply.header("proxy-status"), expected);
        assert!(begun.elapsed().as_millis() >= 200);
    }
    assert_eq!(app.delete_photo("Contacts", 2).await.outcome(), "deleted");
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Informational { count: 5 }),
    );

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
}

#[tokio::test]
async fn a_second_answer_that_nobody_asked_for_is_never_taken_for_another_call() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::SecondAnswer));
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");

    zoho.on_delete(
        When::Next(1),
        answer(403, "NO_PERMISSION", "Permission denied to delete images"),
    );
    let reply = app.delete_photo("Contacts", 2).await;

    assert_eq!(
        (reply.code().as_str(), reply.outcome()),
        ("NO_PERMISSION", "refused")
    );
    assert_eq!(zoho.ledger().deletions.len(), 1);
}
