//! Whatever bytes come back from Zoho's side: a success is told only of a whole and well-framed one, and a connection that
//! is in doubt is not used again.

use std::fmt::Write;

use zoho_sandbox::Sandbox;

use crate::support::{RawApi, Reply, TestApp, Then, eventually, with_api};

const SUCCESS: &str =
    r#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;
const REFUSAL: &str = r#"{"code":"NO_PERMISSION","details":{},"message":"x","status":"error"}"#;

/// An answer with these header lines and this body, as they are.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

fn with_length(status: &str, body: &str) -> String {
    answer(status, &format!("Content-Length: {}\r\n", body.len()), body)
}

/// The body in chunks of nine bytes.
fn in_chunks(body: &str) -> String {
    let mut chunks = String::new();
    for chunk in body.as_bytes().chunks(9) {
        let text = std::str::from_utf8(chunk).unwrap();
        write!(chunks, "{:x}\r\n{text}\r\n", chunk.len()).unwrap();
    }
    chunks + "0\r\n\r\n"
}

fn chunked(headers: &str, chunks: &str) -> String {
    let headers = format!("Transfer-Encoding: chunked\r\n{headers}");
    answer("200 OK", &headers, chunks)
}

/// The proxy before an API of raw bytes.
struct Scene {
    /// It issues the tokens.
    zoho: Sandbox,
    api: RawApi,
    app: TestApp,
}

impl Scene {
    async fn set(keys: &str) -> Self {
        let (zoho, api) = (Sandbox::start().await, RawApi::start().await);
        let url = format!("http://{}", api.address);
        let app = TestApp::of_config(&with_api(&zoho, keys, &url));
        eventually("ready", async || app.readyz().await.status == 200).await;
        Self { zoho, api, app }
    }

    /// What a caller gets for these bytes, and whether the connection they came on was used again.
    async fn try_out(&self, bytes: &str, then: Then) -> (Reply, bool) {
        self.api.says(bytes.as_bytes(), then);
        let reply = self.app.delete_photo("Contacts", 1).await;
        let connections = self.api.connections();
        self.api
            .says(with_length("200 OK", SUCCESS).as_bytes(), Then::Keep);
        // Enough good calls between the bad ones that these are no outage.
        for id in 1..=4 {
            let good = self.app.delete_photo("Contacts", id).await;
            assert_eq!(good.outcome(), "deleted", "after {bytes:?}: {good:?}");
        }
        (reply, self.api.connections() == connections)
    }
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_says_nothing() {
    let scene = Scene::set("").await;
    for (whole, has_framing) in [
        (with_length("200 OK", SUCCESS), true),
        (with_length("403 Forbidden", REFUSAL), true),
        (chunked("", &in_chunks(SUCCESS)), true),
        (
            chunked(
                "",
                &(in_chunks(SUCCESS).replace("0\r\n\r\n", "0;x=y\r\nA: b\r\n\r\n")),
            ),
            true,
        ),
        (answer("200 OK", "", SUCCESS), false),
    ] {
        let head = whole.find("\r\n\r\n").unwrap() + 4;
        for bytes in 0..whole.len() {
            for then in [Then::Close, Then::Reset] {
                let (reply, reused) = scene
                    .try_out(whole.get(..bytes).unwrap(), then.clone())
                    .await;

                let case = format!("{bytes} of {whole:?}, then {then:?}: {reply:?}");
                assert_eq!(
                    (reply.status.as_u16(), reply.outcome()),
                    (502, "unknown"),
                    "{case}"
                );
                assert!(!reused, "{case}");
                // A reset may overtake what was sent before it.
                if matches!(then, Then::Close) {
                    let lost = reply.code() == "UPSTREAM_CONNECTION_LOST";
                    assert_eq!(lost, bytes < head, "{case}");
                    let cut = reply
                        .header("proxy-status")
                        .contains("=http_response_incomplete;");
                    assert_eq!(cut, bytes >= head && has_framing, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn whole_answers_are_told_however_they_are_framed_and_doubtful_ends_are_not_used_again() {
    let scene = Scene::set("").await;
    let length = SUCCESS.len();
    let both = format!("Content-Length: {length}\r\nContent-Length: {length}\r\n");
    let good = with_length("200 OK", SUCCESS);
    for (bytes, then, is_reused) in [
        (good.clone(), Then::Keep, true),
        (good.replace("\r\n", "\n"), Then::Keep, true),
        (good.replace("200 OK", "200"), Then::Keep, true),
        (answer("200 OK", &both, SUCCESS), Then::Keep, true),
        (chunked("", &in_chunks(SUCCESS)), Then::Keep, true),
        (
            chunked(
                "",
                &(in_chunks(SUCCESS).replace("0\r\n\r\n", "0;x=y\r\nA: b\r\n\r\n")),
            ),
            Then::Keep,
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(2000) + &good,
            Then::Keep,
            true,
        ),
        (with_length("201 Created", SUCCESS), Then::Keep, true),
        (answer("200 OK", "", SUCCESS), Then::Close, false),
        (good.replace("HTTP/1.1", "HTTP/1.0"), Then::Keep, false),
        (
            good.replace("\r\n\r\n", "\r\nConnection: x, Close\r\n\r\n"),
            Then::Keep,
            false,
        ),
        (good.clone(), Then::Close, false),
        (good.clone() + "\r\n", Then::Keep, false),
        (
            good.clone() + &with_length("403 Forbidden", REFUSAL),
            Then::Keep,
            false,
        ),
        (
            chunked("", &(in_chunks(SUCCESS) + &good)),
            Then::Keep,
            false,
        ),
    ] {
        let (reply, reused) = scene.try_out(&bytes, then.clone()).await;

        assert_eq!(reply.outcome(), "deleted", "{bytes:?}: {reply:?}");
        assert_eq!(reply.body, SUCCESS, "{bytes:?}");
        assert_eq!(reused, is_reused, "{bytes:?}, then {then:?}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_its_request_is_never_taken_for_one() {
    let scene = Scene::set("").await;
    let early = with_length("403 Forbidden", REFUSAL).leak();
    scene.api.says(
        with_length("200 OK", SUCCESS).as_bytes(),
        Then::Later(early),
    );

    for id in 1..=5 {
        assert_eq!(
            scene.app.delete_photo("Contacts", id).await.outcome(),
            "deleted"
        );
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }

    assert_eq!(scene.api.connections(), 5);
    assert_eq!(scene.zoho.ledger().token_requests, 1);
}

const PROTOCOL: &str = "http_protocol_error";
const HEAD_SIZE: &str = "http_response_header_section_size";
const BODY_SIZE: &str = "http_response_body_size";
const INCOMPLETE: &str = "http_response_incomplete";

/// Answers that prove nothing, and RFC 9209's word for each.
fn doubtful_answers() -> Vec<(String, &'static str)> {
    [
        no_http(),
        statuses(),
        heads(),
        lengths(),
        codings(),
        chunks(),
    ]
    .concat()
}

fn no_http() -> Vec<(String, &'static str)> {
    let good = with_length("200 OK", SUCCESS);
    let h2_goaway = "\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0";
    let answers = [
        h2_goaway.to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        good.replace("HTTP/1.1", "HTTP/2"),
        good.replace("HTTP/1.1", "HTTP/1.2"),
        good.replace("HTTP/1.1", "ICY"),
        SUCCESS.to_owned(),
        "SSH-2.0-OpenSSH_9.2p1\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".to_owned() + SUCCESS,
    ];
    answers.map(|answer| (answer, PROTOCOL)).to_vec()
}

fn statuses() -> Vec<(String, &'static str)> {
    let statuses = [
        "20 OK",
        "2000 OK",
        "+20 OK",
        "600 OK",
        "999 OK",
        "302 Found",
        "304 Not Modified",
        "204 No Content",
        "403 Forbidden",
    ];
    let mut answers = statuses
        .map(|status| (with_length(status, SUCCESS), PROTOCOL))
        .to_vec();
    answers.push((with_length("200 OK", REFUSAL), PROTOCOL));
    answers
}

/// A success with one more header.
fn with_header(line: &str) -> String {
    with_length("200 OK", SUCCESS).replacen("\r\n", &format!("\r\n{line}\r\n"), 1)
}

fn heads() -> Vec<(String, &'static str)> {
    let lines = [
        " folded",
        "X: y\r\n folded",
        "X: a\0b",
        "X\0: a",
        "X : a",
        ": a",
        "no colon",
        "X: a\rY: b",
    ];
    let mut answers = lines.map(|line| (with_header(line), PROTOCOL)).to_vec();
    answers.push((
        with_header(&format!("X: {}", "x".repeat(70_000))),
        HEAD_SIZE,
    ));
    answers.push((with_header(&"X: y\r\n".repeat(10_000)), HEAD_SIZE));
    answers
}

fn lengths() -> Vec<(String, &'static str)> {
    let said = |length: &str| answer("200 OK", &format!("Content-Length: {length}\r\n"), SUCCESS);
    vec![
        (said("-1"), PROTOCOL),
        (said("+76"), PROTOCOL),
        (said("0x4c"), PROTOCOL),
        (said("76, 77"), PROTOCOL),
        (said(""), PROTOCOL),
        (said("10"), PROTOCOL),
        (said("0"), PROTOCOL),
        (said("18446744073709551616"), PROTOCOL),
        // More than hyper can count: it says so with the same word as of a head.
        (said("18446744073709551615"), HEAD_SIZE),
        (said("9223372036854775807"), BODY_SIZE),
        (with_header("Content-Length: 1"), PROTOCOL),
    ]
}

/// Two ways to say where the body ends, and codings that nobody agreed on.
fn codings() -> Vec<(String, &'static str)> {
    let error = "http_response_transfer_coding";
    let coded = |headers: &str| answer("200 OK", headers, &in_chunks(SUCCESS));
    let content = "http_response_content_coding";
    vec![
        (
            coded("Transfer-Encoding: chunked\r\nContent-Length: 76\r\n"),
            error,
        ),
        (
            coded("Content-Length: 76\r\nTransfer-Encoding: chunked\r\n"),
            error,
        ),
        (
            coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            error,
        ),
        (coded("Transfer-Encoding: gzip, chunked\r\n"), error),
        (coded("Transfer-Encoding: chunked, chunked\r\n"), error),
        (
            coded("Transfer-Encoding: chunked\r\n").replace("/1.1", "/1.0"),
            PROTOCOL,
        ),
        (with_header("Transfer-Encoding: chunked"), INCOMPLETE),
        (with_header("Content-Encoding: gzip"), content),
        (with_header("Content-Encoding: identity, br"), content),
    ]
}

fn chunks() -> Vec<(String, &'static str)> {
    let of_size = |size: &str| chunked("", &format!("{size}\r\n{SUCCESS}\r\n0\r\n\r\n"));
    vec![
        (of_size("4D"), INCOMPLETE),
        (of_size("-4C"), INCOMPLETE),
        (of_size("0x4c"), INCOMPLETE),
        (of_size(""), INCOMPLETE),
        (of_size("1000000000000004C"), INCOMPLETE),
        (of_size(&format!("4c;{}", "x".repeat(100_000))), INCOMPLETE),
        (
            chunked("", &format!("4c\r\n{SUCCESS}0\r\n\r\n")),
            INCOMPLETE,
        ),
        (
            chunked(
                "",
                &in_chunks(SUCCESS).replace("0\r\n\r\n", "0\r\nA\0: b\r\n\r\n"),
            ),
            INCOMPLETE,
        ),
        (chunked("", &in_chunks(&" ".repeat(70_000))), BODY_SIZE),
    ]
}

#[tokio::test]
async fn a_doubtful_answer_is_unknown_and_its_connection_is_not_used_again() {
    let scene = Scene::set("").await;
    for (bytes, error) in doubtful_answers() {
        for then in [Then::Keep, Then::Close] {
            let (reply, reused) = scene.try_out(&bytes, then.clone()).await;

            let start: String = bytes.chars().take(150).collect();
            let case = format!("{start:?}, then {then:?}: {reply:?}");
            assert_eq!(
                (reply.status.as_u16(), reply.outcome()),
                (502, "unknown"),
                "{case}"
            );
            assert_eq!(reply.code(), "UPSTREAM_INVALID_RESPONSE", "{case}");
            let proxy_status = format!("; error={error};");
            assert!(
                reply.header("proxy-status").contains(&proxy_status),
                "{case}"
            );
            assert!(!reused, "{case}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_unknown_at_the_deadline_or_when_it_is_too_large() {
    let scene = Scene::set("server.request_deadline = \"250ms\"").await;
    let timeout = ("UPSTREAM_TIMEOUT", "http_response_timeout");
    let body_size = ("UPSTREAM_INVALID_RESPONSE", BODY_SIZE);
    let head_size = ("UPSTREAM_INVALID_RESPONSE", HEAD_SIZE);
    let longer = answer("200 OK", "Content-Length: 99\r\n", SUCCESS);
    for (bytes, then, (code, error)) in [
        (String::new(), Then::Keep, timeout),
        ("HTTP/1.1 200 OK\r\n".to_owned(), Then::Keep, timeout),
        (longer, Then::Keep, timeout),
        (answer("200 OK", "", SUCCESS), Then::Keep, timeout),
        (
            String::new(),
            Then::Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            timeout,
        ),
        (
            "HTTP/1.1 200 OK\r\n".to_owned(),
            Then::Repeat("X: y\r\n"),
            head_size,
        ),
        (
            "HTTP/1.1 200 OK\r\nX: ".to_owned(),
            Then::Repeat("y"),
            head_size,
        ),
        (answer("200 OK", "", SUCCESS), Then::Repeat(" "), body_size),
        (
            chunked("", ""),
            Then::Repeat("8\r\n        \r\n"),
            body_size,
        ),
        (
            chunked("", &in_chunks(SUCCESS).replace("0\r\n\r\n", "")),
            Then::Repeat("8\r\n        \r\n"),
            body_size,
        ),
    ] {
        let (reply, reused) = scene.try_out(&bytes, then.clone()).await;

        let case = format!("{bytes:?}, then {then:?}: {reply:?}");
        assert_eq!(
            (reply.code().as_str(), reply.outcome()),
            (code, "unknown"),
            "{case}"
        );
        assert!(reply.header("proxy-status").contains(error), "{case}");
        assert!(!reused, "{case}");
    }
}
