//! One call for those who want the same deletion and have not been sent yet; never for one that is on the wire.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

use crate::support::{Program, Reply, TestApp, client, config_for, eventually, reply};

/// One call at a time, and time to wait for it.
const ONE_BY_ONE: &str = "upstream.max_in_flight = 1\nupstream.queue_timeout = \"10s\"\n";

fn slow(milliseconds: u64) -> ApiFault {
    ApiFault::before(ApiFaultKind::Slow { milliseconds })
}

/// A proxy whose only place is taken by a call for record 1 as soon as there is one; it lasts so long.
async fn busy(milliseconds: u64) -> (Sandbox, TestApp) {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, ONE_BY_ONE).await;
    zoho.on_delete(When::Next(1), slow(milliseconds));
    (zoho, app)
}

/// Deletes the photo of record 1, and meanwhile those of record 7: the replies to the latter.
async fn meanwhile<T>(zoho: &Sandbox, app: &TestApp, others: impl Future<Output = T>) -> T {
    let others = async {
        eventually("a call is under way", async || zoho.ledger().calls == 1).await;
        others.await
    };
    let (first, others) = tokio::join!(app.delete_photo("Contacts", 1), others);
    assert_eq!(first.outcome(), "deleted");
    others
}

/// Deletes the photo of record 7 as a caller with a request id and this much patience.
async fn delete(app: &TestApp, request_id: &str, seconds: f64) -> Reply {
    let request = app.client().delete(app.url("/bigin/v2/Contacts/7/photo"));
    let request = request.header("request-timeout", seconds.to_string());
    reply(request.header("x-request-id", request_id)).await
}

fn count_of(zoho: &Sandbox, record: u64) -> usize {
    let deletions = zoho.ledger().deletions;
    deletions.iter().filter(|it| it.id == record).count()
}

#[tokio::test]
async fn identical_deletions_that_wait_share_one_call_and_keep_their_request_ids() {
    for threads in [1, 2] {
        let zoho = Sandbox::start().await;
        let keys = format!("{ONE_BY_ONE}server.threads = {threads}");
        let app = TestApp::with(&zoho, &keys).await;
        zoho.on_delete(When::Next(1), slow(500));
        let ids: Vec<_> = (0..10).map(|number| format!("caller-{number}")).collect();
        let identical = join_all(ids.iter().map(|id| delete(&app, id, 10.0)));

        let replies = meanwhile(&zoho, &app, identical).await;

        for (id, reply) in ids.iter().zip(&replies) {
            assert_eq!((reply.status.as_u16(), reply.outcome()), (200, "deleted"));
            assert_eq!(reply.header("x-request-id"), id);
            let received = "bigin-photo-proxy; received-status=200";
            assert_eq!(reply.header("proxy-status"), received);
            assert_eq!(reply.body, replies[0].body);
        }
        assert_eq!((zoho.ledger().calls, count_of(&zoho, 7)), (2, 1));
        let joined = app.metric("bigin_requests_joined_total", &[]).await;
        assert!((joined - 9.0).abs() < 0.5, "{joined}");
        let deleted = [r#"outcome="deleted""#];
        let deleted = app.metric("bigin_photo_deletes_total", &deleted).await;
        assert!((deleted - 11.0).abs() < 0.5, "{deleted}");
    }
}

#[tokio::test]
async fn each_has_a_line_of_its_own() {
    let zoho = Sandbox::start().await;
    let mut program = Program::serve(&config_for(&zoho, ONE_BY_ONE));
    let (address, _) = program.addresses();
    eventually("there is a token", async || {
        zoho.ledger().token_requests == 1
    })
    .await;
    zoho.on_delete(When::Next(1), slow(500));
    let client = client();
    let delete = |record: u64, id: &str| {
        let url = format!("http://{address}/bigin/v2/Contacts/{record}/photo");
        reply(client.delete(url).header("x-request-id", id))
    };
    let others = async {
        eventually("a call is under way", async || zoho.ledger().calls == 1).await;
        tokio::join!(delete(7, "b"), delete(7, "c"))
    };
    tokio::join!(delete(1, "a"), others);

    let mut lines: Vec<_> = (0..3).map(|_| program.line("request")).collect();
    lines.sort_by_key(|line| line["request_id"].as_str().unwrap().to_owned());
    let ids: Vec<_> = lines.iter().map(|line| &line["request_id"]).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(lines.iter().all(|line| line["outcome"] == "deleted"));
    assert!(lines[0]["joined"].is_null());
    let calls = |line: &serde_json::Value| (line["calls"].as_u64(), line["joined"].as_bool());
    let mut shared = [calls(&lines[1]), calls(&lines[2])];
    shared.sort_unstable();
    assert_eq!(shared, [(Some(0), Some(true)), (Some(1), None)]);
}

#[tokio::test]
async fn a_call_on_the_wire_is_never_joined() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, ONE_BY_ONE).await;
    zoho.on_delete(When::Next(1), slow(300));
    let later = async {
        eventually("a call is under way", async || zoho.ledger().calls == 1).await;
        delete(&app, "later", 10.0).await
    };

    let (first, later) = tokio::join!(delete(&app, "first", 10.0), later);

    assert_eq!((first.outcome(), later.outcome()), ("deleted", "deleted"));
    assert_eq!(count_of(&zoho, 7), 2);
}

#[tokio::test]
async fn those_who_wait_for_a_token_share_one_call() {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 500 });
    let app = TestApp::without_token(&zoho, "");
    let ids: Vec<_> = (0..10).map(|number| number.to_string()).collect();

    let replies = join_all(ids.iter().map(|id| delete(&app, id, 10.0))).await;

    assert!(replies.iter().all(|reply| reply.outcome() == "deleted"));
    assert_eq!(zoho.ledger().calls, 1);
}

#[tokio::test]
async fn who_waits_for_a_second_call_has_been_on_the_wire_and_shares_none() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    zoho.revoke_tokens();
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 500 });
    let later = async {
        app.has_waiting(1).await;
        delete(&app, "later", 10.0).await
    };

    let (first, later) = tokio::join!(delete(&app, "first", 10.0), later);

    assert_eq!((first.outcome(), later.outcome()), ("deleted", "deleted"));
    // One before, one that was refused, and one for each.
    assert_eq!((zoho.ledger().calls, count_of(&zoho, 7)), (4, 2));
}

#[tokio::test]
async fn each_has_its_own_deadline_and_nobody_fails_because_another_gives_up() {
    let (zoho, app) = busy(400).await;
    zoho.on_delete(When::Next(1), slow(800));
    let identical = async {
        tokio::join!(
            delete(&app, "in the queue", 0.2),
            delete(&app, "on the wire", 0.8),
            delete(&app, "in time", 10.0)
        )
    };

    let (in_queue, on_wire, in_time) = meanwhile(&zoho, &app, identical).await;

    let of = |reply: &Reply| (reply.status.as_u16(), reply.outcome().to_owned());
    assert_eq!(of(&in_queue), (504, "not-sent".to_owned()));
    assert_eq!(of(&on_wire), (504, "unknown".to_owned()));
    assert_eq!(of(&in_time), (200, "deleted".to_owned()));
    assert_eq!(zoho.ledger().calls, 2);
}

#[tokio::test]
async fn a_caller_that_hangs_up_takes_nobody_with_it() {
    let (zoho, app) = busy(500).await;
    let identical = async {
        let followers = join_all(["a", "b"].map(|id| delete(&app, id, 5.0)));
        let gone = async {
            app.has_waiting(2).await;
            // It has most time, so it makes the call.
            let mut stream = TcpStream::connect(app.address).await.unwrap();
            let request = b"DELETE /bigin/v2/Contacts/7/photo HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            app.has_waiting(3).await;
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        };
        tokio::join!(followers, gone).0
    };

    let followers = meanwhile(&zoho, &app, identical).await;

    assert!(followers.iter().all(|reply| reply.outcome() == "deleted"));
    assert_eq!(zoho.ledger().calls, 2);
}

#[tokio::test]
async fn all_are_told_the_same_whatever_came_of_the_call() {
    let refusal = || ApiFaultKind::Answer {
        status: 400,
        code: "INVALID_DATA".into(),
        message: "the id given seems to be invalid".to_owned(),
    };
    for (faults, expected) in [
        (vec![refusal()], "400 INVALID_DATA refused"),
        (
            vec![ApiFaultKind::Reset, ApiFaultKind::Reset],
            "502 UPSTREAM_CONNECTION_LOST unknown",
        ),
        // What became of the first call remains unknown to all.
        (
            vec![ApiFaultKind::Reset, refusal()],
            "400 INVALID_DATA unknown",
        ),
    ] {
        let (zoho, app) = busy(300).await;
        let calls = 1 + faults.len() as u64;
        for fault in faults {
            zoho.on_delete(When::Next(1), ApiFault::before(fault));
        }
        let identical = join_all(["a", "b", "c"].map(|id| delete(&app, id, 10.0)));

        let replies = meanwhile(&zoho, &app, identical).await;

        for reply in replies {
            let told = format!(
                "{} {} {}",
                reply.status.as_u16(),
                reply.code(),
                reply.outcome()
            );
            assert_eq!(told, expected);
        }
        assert_eq!(zoho.ledger().calls, calls);
    }
}
