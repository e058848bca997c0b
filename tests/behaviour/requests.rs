//! What a caller may send, and what of it reaches Zoho: the one canonical request, or nothing.

use std::collections::BTreeSet;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{TestApp, exchange};

/// The success of <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.
const SUCCESS: &str =
    r#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

#[tokio::test]
async fn the_documented_request_without_credentials_gets_zohos_answer() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let reply = app
        .delete_photo("Contacts", 2_034_020_000_000_489_033)
        .await;

    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, SUCCESS));
    assert_eq!(reply.outcome(), "deleted");
    assert_eq!(
        reply.header("proxy-status"),
        "bigin-photo-proxy; received-status=200"
    );
    assert_eq!(
        reply.header("content-type"),
        "application/json;charset=UTF-8"
    );
    let deletions = zoho.ledger().deletions;
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0].module, "Contacts");
    assert_eq!(deletions[0].id, 2_034_020_000_000_489_033);
}

#[tokio::test]
async fn every_module_with_photos_is_served() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    for module in ["Contacts", "Accounts", "Products"] {
        assert_eq!(
            app.delete_photo(module, 7).await.outcome(),
            "deleted",
            "{module}"
        );
    }

    assert_eq!(zoho.ledger().deletions.len(), 3);
}

#[tokio::test]
async fn nothing_of_the_caller_but_module_and_id_reaches_zoho() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let request = app
        .client()
        .delete(format!("http://{}/bigin/v2/Products/42/photo", app.address))
        .header("authorization", "Bearer of the caller")
        .header("cookie", "a=b")
        .header("accept", "text/html")
        .header("accept-encoding", "gzip")
        .header("user-agent", "caller/1")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .header("x-http-method-override", "GET")
        .header("x-forwarded-for", "10.1.2.3")
        .header("x-request-id", "of-the-caller");
    assert_eq!(request.send().await.unwrap().status(), 200);

    let seen = zoho.ledger().requests.remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("DELETE", "/bigin/v2/Products/42/photo")
    );
    assert_eq!(seen.body_length, 0);
    let headers: BTreeSet<_> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "host",
            "user-agent"
        ]
    );
    let value = |name: &str| headers.iter().find(|(it, _)| it == name).unwrap().1.clone();
    assert_eq!(value("accept"), "application/json");
    assert_eq!(value("accept-encoding"), "identity");
    assert_eq!(value("host"), zoho.address().to_string());
    assert!(value("authorization").starts_with("Zoho-oauthtoken "));
    assert!(value("user-agent").starts_with("bigin-photo-proxy/"));
}

#[tokio::test]
async fn other_methods_are_refused_and_delete_is_named() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "PHOTO",
    ] {
        let request =
            format!("{method} /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: proxy\r\n\r\n");
        let reply = exchange(app.address, request.as_bytes()).await;

        assert_eq!(reply.status(), 405, "{method}: {}", reply.text);
        let text = reply.text.to_ascii_lowercase();
        assert_eq!(
            text.matches("\r\nallow: delete\r\n").count(),
            1,
            "{}",
            reply.text
        );
        assert!(method == "HEAD" || reply.text.contains("INVALID_REQUEST_METHOD"));
        assert!(text.contains("delete-outcome: not-sent"));
    }
    assert_eq!(zoho.ledger().calls, 0);
}

#[tokio::test]
async fn the_callers_request_id_is_kept_if_it_is_harmless() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let delete = async |id: &str| {
        let url = format!("http://{}/bigin/v2/Contacts/1/photo", app.address);
        let response = app
            .client()
            .delete(url)
            .header("x-request-id", id)
            .send()
            .await
            .unwrap();
        response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let longest = "x".repeat(64);

    for kept in ["a", "A-b_9", &longest] {
        assert_eq!(delete(kept).await, kept);
    }
    for replaced in ["", "a b", "a/b", "\"", &(longest.clone() + "x")] {
        let id = delete(replaced).await;
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_caller_that_only_closes_its_own_side_still_gets_its_answer() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(
        When::Always,
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 100 }),
    );

    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let request = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text)
        .await
        .unwrap();

    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
}
