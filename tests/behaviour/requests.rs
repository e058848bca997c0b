//! What a caller may send, and what of it reaches Zoho: the one canonical request, or nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{TestApp, eventually, exchange};

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

/// Spellings by which others have turned one path into another. None of them is answered by deleting anything.
const HOSTILE_TARGETS: [&str; 62] = [
    "/bigin/v2/Contacts/1",
    "/bigin/v2/Contacts/1/",
    "/bigin/v2/Contacts/1/photo/",
    "/bigin/v2/Contacts/1/photo//",
    "/bigin/v2/Contacts/1//photo",
    "/bigin/v2/Contacts//1/photo",
    "//bigin/v2/Contacts/1/photo",
    "/bigin//v2/Contacts/1/photo",
    "/bigin/v2/Contacts/1/photo?",
    "/bigin/v2/Contacts/1/photo?x=1",
    "/bigin/v2/Contacts/1?/photo",
    "/bigin/v2/Contacts/1%3f/photo",
    "/bigin/v2/Contacts/1%3F/photo",
    "/bigin/v2/Contacts/1#/photo",
    "/bigin/v2/Contacts/1%23/photo",
    "/bigin/v2/Contacts/1/%70hoto",
    "/bigin/v2/Contacts/1/photo%00",
    "/bigin/v2/Contacts/1%00/photo",
    "/bigin/v2/Contacts/1/photo%20",
    "/bigin/v2/Contacts/1%20/photo",
    "/bigin/v2/Contacts/1%0d%0a/photo",
    "/bigin/v2/Contacts/%31/photo",
    "/bigin/v2/Contact%73/1/photo",
    "/bigin/v2/Contacts%2f1/photo",
    "/bigin/v2/Contacts/1%2fphoto",
    "/bigin/v2/Contacts/1%2Fphoto",
    "/bigin/v2/Contacts/1%252fphoto",
    "/bigin/v2/Contacts/1/../1/photo",
    "/bigin/v2/Contacts/1/./photo",
    "/bigin/v2/Contacts/./1/photo",
    "/bigin/v2/Contacts/../Contacts/1/photo",
    "/bigin/v2/Contacts/1/photo/..",
    "/bigin/v2/Contacts/1/photo/.",
    "/bigin/v2/Contacts/1/%2e%2e/photo",
    "/bigin/v2/Contacts/1/photo/%2e%2e",
    "/bigin/v2/Contacts/1/%2e/photo",
    "/bigin/v2/Contacts/..%2f1/photo",
    "/bigin/v2/Contacts/1\\photo",
    "/bigin/v2/Contacts\\1\\photo",
    "/bigin/v2/Contacts/1%5cphoto",
    "/bigin/v2/Contacts/1;/photo",
    "/bigin/v2/Contacts/1;x=y/photo",
    "/bigin/v2/Contacts/1/photo;x=y",
    "/bigin/v2/Contacts;/1/photo",
    "/bigin/v2/Contacts/1,2/photo",
    "/bigin/v2/Contacts/+1/photo",
    "/bigin/v2/Contacts/-1/photo",
    "/bigin/v2/Contacts/0/photo",
    "/bigin/v2/Contacts/01/photo",
    "/bigin/v2/Contacts/1.0/photo",
    "/bigin/v2/Contacts/1e3/photo",
    "/bigin/v2/Contacts/0x1/photo",
    "/bigin/v2/Contacts/10000000000000000000/photo",
    "/bigin/v2/Contacts/99999999999999999999/photo",
    "/bigin/v2/Contacts/18446744073709551617/photo",
    "/bigin/v2/contacts/1/photo",
    "/BIGIN/v2/Contacts/1/photo",
    "/bigin/v2/Contacts/1/Photo",
    "/bigin/v2/Contacts/1/photos",
    "/bigin/v2/Contacts/1/photo/x",
    "/bigin/v2.1/Contacts/1/photo",
    "/bigin/v2/Contacts/\u{661}/photo",
];

#[tokio::test]
async fn hostile_spellings_of_the_target_reach_zoho_never() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    join_all(HOSTILE_TARGETS.iter().map(async |target| {
        let request = format!("DELETE {target} HTTP/1.1\r\nHost: proxy\r\n\r\n");
        let reply = exchange(app.address, request.as_bytes()).await;
        assert!(
            [400, 404].contains(&reply.status()),
            "{target}: {}",
            reply.text
        );
    }))
    .await;

    let ledger = zoho.ledger();
    assert_eq!((ledger.calls, ledger.records_deleted.len()), (0, 0));
}

/// Other shapes of a request line, and bytes around it.
const HOSTILE_LINES: [&str; 14] = [
    "DELETE  /bigin/v2/Contacts/1/photo HTTP/1.1",
    "DELETE /bigin/v2/Contacts/1 /photo HTTP/1.1",
    "DELETE /bigin/v2/Contacts/1/photo /x HTTP/1.1",
    "DELETE\t/bigin/v2/Contacts/1/photo HTTP/1.1",
    "DELETE /bigin/v2/Contacts/1\t/photo HTTP/1.1",
    "DELETE bigin/v2/Contacts/1/photo HTTP/1.1",
    "DELETE * HTTP/1.1",
    "DELETE http:///bigin/v2/Contacts/1/photo HTTP/1.1",
    "DELETE http://u@proxy/bigin/v2/Contacts/1/photo HTTP/1.1",
    "DELETE ftp://proxy/bigin/v2/Contacts/1/photo HTTP/1.1",
    "DELETE /bigin/v2/Contacts/1/photo HTTP/2.0",
    "DELETE /bigin/v2/Contacts/1/photo HTTP/1.2",
    "DELETE /bigin/v2/Contacts/1/photo",
    "delete /bigin/v2/Contacts/1/photo HTTP/1.1",
];

#[tokio::test]
async fn hostile_request_lines_reach_zoho_never() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    join_all(HOSTILE_LINES.iter().map(async |line| {
        let request = format!("{line}\r\nHost: proxy\r\n\r\n");
        let reply = exchange(app.address, request.as_bytes()).await;
        assert!(
            reply.status() >= 400 || reply.closed,
            "{line}: {}",
            reply.text
        );
    }))
    .await;

    assert_eq!(zoho.ledger().calls, 0);
}

#[tokio::test]
async fn a_fragment_is_dropped_by_the_http_library_and_changes_nothing() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let request = b"DELETE /bigin/v2/Contacts/1/photo#/../2 HTTP/1.1\r\nHost: proxy\r\n\r\n";
    let reply = exchange(app.address, request).await;

    assert_eq!(reply.status(), 200);
    assert_eq!(
        zoho.ledger().requests[0].target,
        "/bigin/v2/Contacts/1/photo"
    );
}

#[tokio::test]
async fn wrong_modules_and_ids_are_answered_here_with_zohos_codes_and_cost_nothing() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    for (path, status, code) in [
        ("/bigin/v2/Leads/1/photo", 400, "INVALID_MODULE"),
        ("/bigin/v2/contacts/1/photo", 400, "INVALID_MODULE"),
        ("/bigin/v2/Companies/1/photo", 400, "INVALID_MODULE"),
        ("/bigin/v2/Contacts/abc/photo", 400, "INVALID_DATA"),
        ("/bigin/v2/Contacts/0/photo", 400, "INVALID_DATA"),
        (
            "/bigin/v2/Contacts/12345678901234567890/photo",
            400,
            "INVALID_DATA",
        ),
        ("/bigin/v2/Contacts/1", 404, "INVALID_URL_PATTERN"),
        ("/", 404, "INVALID_URL_PATTERN"),
        ("/nobody/bigin/v2/Contacts/1/photo", 404, "UNKNOWN_ACCOUNT"),
    ] {
        let reply = app.delete(path).await;

        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (status, code),
            "{path}"
        );
        assert_eq!(reply.outcome(), "not-sent");
        let proxy_status =
            format!("bigin-photo-proxy; error=http_request_error; details=\"{code}\"");
        assert_eq!(reply.header("proxy-status"), proxy_status);
        let details = &reply.json()["details"];
        assert_eq!(details["outcome"], "not-sent");
        assert_eq!(details["retry"], false);
        assert_eq!(details["act"], "caller");
        assert_eq!(details["request_id"], reply.header("x-request-id"));
        assert_eq!(reply.json()["status"], "error");
    }
    assert_eq!(zoho.ledger().calls, 0);
}

#[tokio::test]
async fn companies_are_told_their_api_name() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let reply = app.delete_photo("Companies", 1).await;

    assert!(
        reply.json()["message"]
            .as_str()
            .unwrap()
            .contains("use Accounts")
    );
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
async fn requests_that_break_the_framing_rules_are_refused_and_the_connection_is_closed() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let line = "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\n";

    for rest in [
        "\r\n",
        "Host: a\r\nHost: a\r\n\r\n",
        "Host: a\r\nHost: b\r\n\r\n",
        "Host:\r\n\r\n",
        "Host: user@a\r\n\r\n",
        "Host: a:99999\r\n\r\n",
        "Host: a b\r\n\r\n",
        "Host: a\r\nContent-Length: 2\r\n\r\n{}",
        "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: identity\r\n\r\n",
        "Host: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nxxxxx",
        "Host: a\r\nContent-Length: -1\r\n\r\n",
        "Host: a\r\nContent-Length: 0x0\r\n\r\n",
        "Host: a\r\n X: folded\r\n\r\n",
        "Host: a\r\nX : space\r\n\r\n",
        "Host: a\r\nX\r\n\r\n",
    ] {
        let reply = exchange(app.address, format!("{line}{rest}").as_bytes()).await;
        assert_eq!(
            (reply.status(), reply.closed),
            (400, true),
            "{rest:?}: {}",
            reply.text
        );
    }
    let query = "DELETE /bigin/v2/Contacts/1/photo?a=b HTTP/1.1\r\nHost: a\r\n\r\n";
    let reply = exchange(app.address, query.as_bytes()).await;
    assert_eq!((reply.status(), reply.closed), (400, true));
    assert!(reply.text.contains("BAD_REQUEST"));

    assert_eq!(zoho.ledger().calls, 0);
}

#[tokio::test]
async fn a_length_of_zero_is_no_body() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let request =
        b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

    assert_eq!(exchange(app.address, request).await.status(), 200);
}

#[tokio::test]
async fn the_absolute_form_is_taken_and_never_chooses_where_the_call_goes() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let request =
        "DELETE http://www.zohoapis.cn:1/bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: other\r\n\r\n";
    let reply = exchange(app.address, request.as_bytes()).await;

    assert_eq!(reply.status(), 200, "{}", reply.text);
    assert_eq!(zoho.ledger().deletions.len(), 1);
}

#[tokio::test]
async fn http_1_0_without_a_host_is_served_and_closed() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let reply = exchange(
        app.address,
        b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.0\r\n\r\n",
    )
    .await;

    assert!(
        reply.text.contains("200 OK") && reply.closed,
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let request = |id: &str| {
        format!(
            "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n"
        )
    };
    let reply = exchange(
        app.address,
        (request("first") + &request("second")).as_bytes(),
    )
    .await;

    let (first, second) = (
        reply.text.find("first").unwrap(),
        reply.text.find("second").unwrap(),
    );
    assert!(first < second);
    assert_eq!(zoho.ledger().deletions.len(), 2);
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

#[tokio::test]
async fn a_call_whose_caller_hangs_up_is_finished_and_counted() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 200 }),
    );

    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let request = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    eventually("the call is under way", async || zoho.ledger().calls == 1).await;
    // With a reset, which no server can mistake for a half-closed connection.
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);

    eventually("the deletion is counted", async || {
        app.metric("bigin_photo_deletes_total", &[r#"outcome="deleted""#])
            .await
            > 0.0
    })
    .await;
    assert_eq!(zoho.ledger().deletions.len(), 1);
    // Its connection is still good for the next call.
    let connections = zoho.ledger().connections;
    assert_eq!(app.delete_photo("Contacts", 2).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().connections, connections);
}
