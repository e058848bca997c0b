//! The API on a bad day: each fault, byte for byte, and whether the photo is gone.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::client::{Answer, Client, ask, delete_photo, sent, token};

const SUCCESS: &str =
    r#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

/// A connection on which a deletion has been sent that is hit by this fault.
async fn hit_by(zoho: &Sandbox, fault: ApiFault) -> Client {
    let token = token(zoho).await;
    zoho.on_delete(When::Next(1), fault);
    sent(zoho, &delete_photo(&token, 1)).await
}

/// The answer to a deletion that is hit by this kind of fault before it is carried out.
async fn answer_under(kind: ApiFaultKind) -> (Answer, usize) {
    let zoho = Sandbox::start().await;
    let answer = hit_by(&zoho, ApiFault::before(kind)).await.answer().await;
    (answer, zoho.ledger().deletions.len())
}

/// All bytes of such a deletion until the connection ends, and whether it ended in order.
async fn bytes_under(kind: ApiFaultKind) -> (String, bool) {
    let zoho = Sandbox::start().await;
    let (bytes, in_order) = hit_by(&zoho, ApiFault::before(kind)).await.rest().await;
    assert!(zoho.ledger().deletions.is_empty());
    (String::from_utf8_lossy(&bytes).into_owned(), in_order)
}

#[tokio::test]
async fn a_fault_strikes_before_or_after_the_deletion_as_it_is_told() {
    let (before, after) = (Sandbox::start().await, Sandbox::start().await);

    hit_by(&before, ApiFault::before(ApiFaultKind::Reset))
        .await
        .rest()
        .await;
    hit_by(&after, ApiFault::after(ApiFaultKind::Reset))
        .await
        .rest()
        .await;

    assert_eq!(
        (
            before.ledger().deletions.len(),
            before.ledger().credits_used
        ),
        (0, 0)
    );
    assert_eq!(
        (after.ledger().deletions.len(), after.ledger().credits_used),
        (1, 1)
    );
}

#[tokio::test]
async fn a_refused_call_is_not_carried_out_by_a_fault_after_it() {
    let zoho = Sandbox::start().await;
    zoho.on_delete(
        When::Next(1),
        ApiFault::after(ApiFaultKind::Html { status: 502 }),
    );

    ask(&zoho, &delete_photo("1000.made.up", 1)).await;

    assert!(zoho.ledger().deletions.is_empty());
}

#[tokio::test]
async fn an_answer_is_any_envelope() {
    let kind = ApiFaultKind::Answer {
        status: 429,
        code: json!(429),
        message: "Too many".to_owned(),
    };

    let (answer, deletions) = answer_under(kind).await;

    assert_eq!(answer.status, 429);
    assert_eq!(
        answer.body,
        r#"{"code":429,"details":{},"message":"Too many","status":"error"}"#
    );
    assert_eq!(deletions, 0);
}

#[tokio::test]
async fn answers_that_are_no_envelopes() {
    let odd = ApiFaultKind::Body {
        status: 200,
        content_type: "text/x".to_owned(),
        body: "odd".to_owned(),
    };

    let (html, _) = answer_under(ApiFaultKind::Html { status: 503 }).await;
    let (body, _) = answer_under(odd).await;
    let (nothing, _) = answer_under(ApiFaultKind::NoContent).await;
    let (empty, _) = answer_under(ApiFaultKind::EmptyOk).await;

    assert_eq!(
        (html.status, html.header("Content-Type")),
        (503, Some("text/html;charset=UTF-8"))
    );
    assert_eq!(
        (body.header("Content-Type"), body.body.as_str()),
        (Some("text/x"), "odd")
    );
    assert_eq!(
        (nothing.status, nothing.header("Content-Length")),
        (204, None)
    );
    assert_eq!(
        (empty.status, empty.header("Content-Length")),
        (200, Some("0"))
    );
}

#[tokio::test]
async fn a_status_of_200_can_hide_an_error() {
    let (answer, deletions) = answer_under(ApiFaultKind::StatusError).await;

    assert_eq!(
        (answer.status, answer.text("status")),
        (200, "error".to_owned())
    );
    assert_eq!(deletions, 0);
}

#[tokio::test]
async fn a_redirect_points_elsewhere() {
    let location = "https://elsewhere.example/".to_owned();

    let (answer, _) = answer_under(ApiFaultKind::Redirect {
        status: 307,
        location: location.clone(),
    })
    .await;

    assert_eq!(
        (answer.status, answer.header("Location")),
        (307, Some(location.as_str()))
    );
}

#[tokio::test]
async fn a_slow_answer_is_late_and_the_deletion_is_on_either_side_of_the_wait() {
    for (fault, deleted_meanwhile) in [(ApiFault::before as fn(_) -> _, 0), (ApiFault::after, 1)] {
        let zoho = Sandbox::start().await;
        let start = Instant::now();
        let mut client = hit_by(&zoho, fault(ApiFaultKind::Slow { milliseconds: 400 })).await;
        sleep(Duration::from_millis(100)).await;
        let meanwhile = zoho.ledger().deletions.len();

        let answer = client.answer().await;

        assert_eq!((meanwhile, answer.status), (deleted_meanwhile, 200));
        assert!(start.elapsed() >= Duration::from_millis(400));
        assert_eq!(zoho.ledger().deletions.len(), 1);
    }
}

#[tokio::test]
async fn a_hanging_call_gets_no_byte_and_takes_its_place_until_the_client_leaves() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.concurrency = 1);
    let mut hanging = hit_by(&zoho, ApiFault::after(ApiFaultKind::Hang)).await;
    let silence = hanging.arrives_within(Duration::from_millis(50)).await;
    let token = token(&zoho).await;

    let meanwhile = ask(&zoho, &delete_photo(&token, 2)).await.status;
    drop(hanging);
    sleep(Duration::from_millis(200)).await;
    let afterwards = ask(&zoho, &delete_photo(&token, 2)).await.status;

    assert_eq!((silence.as_str(), meanwhile, afterwards), ("", 429, 200));
}

#[tokio::test]
async fn a_connection_is_reset_or_closed_without_a_byte() {
    assert_eq!(
        bytes_under(ApiFaultKind::Reset).await,
        (String::new(), false)
    );
    assert_eq!(
        bytes_under(ApiFaultKind::Close).await,
        (String::new(), true)
    );
}

#[tokio::test]
async fn an_answer_is_cut_where_the_fault_says_and_never_whole() {
    let (status_line, in_order) = bytes_under(ApiFaultKind::Cut { bytes: 15 }).await;
    let (almost_all, _) = bytes_under(ApiFaultKind::Cut { bytes: 1_000_000 }).await;

    assert_eq!((status_line.as_str(), in_order), ("HTTP/1.1 200 OK", true));
    assert!(almost_all.ends_with(r#""status":"success""#));
}

#[tokio::test]
async fn garbage_is_not_http() {
    let (bytes, in_order) = bytes_under(ApiFaultKind::Garbage).await;

    assert!(!bytes.is_empty() && !bytes.contains("HTTP"));
    assert!(in_order);
}

#[tokio::test]
async fn raw_text_goes_out_as_it_stands() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n".to_owned();

    assert_eq!(
        bytes_under(ApiFaultKind::Raw { text: text.clone() }).await,
        (text, true)
    );
}

#[tokio::test]
async fn an_oversized_answer_is_true_and_as_long_as_the_fault_says() {
    let (answer, deletions) = answer_under(ApiFaultKind::Oversized { bytes: 100_000 }).await;

    assert_eq!(answer.body.len(), 100_000);
    assert_eq!(answer.text("code"), "SUCCESS");
    assert_eq!(deletions, 1);
}

#[tokio::test]
async fn an_endless_answer_trickles_on() {
    let zoho = Sandbox::start().await;
    let mut client = hit_by(&zoho, ApiFault::before(ApiFaultKind::Endless)).await;

    let bytes = client.arrives_within(Duration::from_millis(400)).await;

    assert!(bytes.contains("Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n1\r\n \r\n"));
    assert!(zoho.ledger().deletions.is_empty());
}

#[tokio::test]
async fn a_gzipped_answer_says_so_and_is_true() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Gzip));
    let request = delete_photo(&token, 1).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");

    let (bytes, _) = sent(&zoho, &request).await.rest().await;

    let body = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(String::from_utf8_lossy(&bytes[..body]).contains("Content-Encoding: gzip\r\n"));
    assert_eq!(bytes[body..body + 3], [0x1f, 0x8b, 8]);
    assert_eq!(&bytes[body + 15..bytes.len() - 8], SUCCESS.as_bytes());
    assert_eq!(zoho.ledger().deletions.len(), 1);
}

#[tokio::test]
async fn many_headers_stand_before_a_true_answer() {
    let (answer, deletions) = answer_under(ApiFaultKind::ManyHeaders { count: 10_000 }).await;

    assert!(answer.head.lines().count() > 10_000);
    assert_eq!((answer.body.as_str(), deletions), (SUCCESS, 1));
}

#[tokio::test]
async fn informational_answers_come_before_the_real_one() {
    let zoho = Sandbox::start().await;
    let mut client = hit_by(
        &zoho,
        ApiFault::before(ApiFaultKind::Informational { count: 2 }),
    )
    .await;

    let statuses = [
        client.answer().await.status,
        client.answer().await.status,
        client.answer().await.status,
    ];

    assert_eq!(statuses, [102, 102, 200]);
    assert_eq!(zoho.ledger().deletions.len(), 1);
}

#[tokio::test]
async fn a_wrong_length_leaves_the_connection_open() {
    let zoho = Sandbox::start().await;
    let mut client = hit_by(
        &zoho,
        ApiFault::before(ApiFaultKind::WrongLength { claimed: 1000 }),
    )
    .await;

    let bytes = client.arrives_within(Duration::from_millis(50)).await;

    assert!(bytes.contains("Content-Length: 1000\r\n") && bytes.ends_with(SUCCESS));
    assert!(zoho.ledger().deletions.is_empty());
}

#[tokio::test]
async fn a_second_answer_follows_the_true_one_unasked() {
    let zoho = Sandbox::start().await;
    let mut client = hit_by(&zoho, ApiFault::before(ApiFaultKind::SecondAnswer)).await;

    let answers = [client.answer().await, client.answer().await];

    assert!(answers.iter().all(|answer| answer.body == SUCCESS));
    assert_eq!(zoho.ledger().deletions.len(), 1);
}

#[tokio::test]
async fn a_normal_answer_can_be_the_last_of_its_connection() {
    let zoho = Sandbox::start().await;
    let client = hit_by(&zoho, ApiFault::before(ApiFaultKind::ConnectionClose)).await;

    let (bytes, in_order) = client.rest().await;

    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("Connection: close\r\n") && text.ends_with(SUCCESS) && in_order);
    assert_eq!(zoho.ledger().deletions.len(), 1);
}
