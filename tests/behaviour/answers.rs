//! What Zoho says, and what callers hear: never a success that was none, always what it means for the photo.

use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::TestApp;

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
async fn informational_answers_are_passed_over() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Informational { count: 5 }),
    );

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
}
