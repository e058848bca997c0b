//! Request smuggling (RFC 9112, section 11.2): whatever bytes arrive, from a caller or through a proxy in front that shares
//! its connections among callers, Zoho sees the canonical request, byte for byte, or nothing; and nobody gets the answer to
//! somebody else's request.

mod fronts;
mod recorder;
mod vectors;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use zoho_sandbox::{Sandbox, TokenFault, When};

use self::fronts::Front;
use self::recorder::Recorder;
use self::vectors::{Direct, Vector, vectors};
use crate::support::{Reply, TestApp, Wire, with_api};

/// The one access token, so that every byte of a call is known.
const TOKEN: &str = "1000.smuggling";

/// A proxy that calls a recorder.
struct Scene {
    app: TestApp,
    recorder: Recorder,
    /// Markers that were sent so far.
    markers: u64,
}

impl Scene {
    async fn new() -> Self {
        let (zoho, recorder) = (Sandbox::start().await, Recorder::start().await);
        let value = TOKEN.to_owned();
        zoho.on_token(When::Always, TokenFault::Token { value });
        let api_url = format!("http://{}", recorder.address);
        let app = TestApp::of_config(&with_api(&zoho, "", &api_url));
        app.ready().await;
        Self {
            app,
            recorder,
            markers: 0,
        }
    }

    /// A request that is right in every respect: its id, the record that it names, its bytes.
    fn marker(&mut self) -> Marker {
        self.markers += 1;
        let record = 1000 + self.markers;
        let id = format!("marker-{record}");
        let bytes = format!(
            "DELETE /bigin/v2/Contacts/{record}/photo HTTP/1.1\r\nHost: marker\r\nX-Request-Id: {id}\r\n\r\n"
        );
        Marker { id, record, bytes }
    }

    /// The records of the calls that Zoho has seen since it was asked last. Each call is canonical, byte for byte.
    fn seen(&self, what: &str) -> Vec<u64> {
        let host = self.recorder.address;
        let version = env!("CARGO_PKG_VERSION");
        let calls = self.recorder.take();
        let records = calls.iter().map(|call| {
            let record = call
                .strip_prefix("DELETE /bigin/v2/Contacts/")
                .and_then(|rest| rest.split_once("/photo HTTP/1.1\r\n"))
                .and_then(|(record, _)| record.parse().ok())
                .unwrap_or_else(|| panic!("{what}: Zoho saw {call:?}"));
            let canonical = format!(
                "DELETE /bigin/v2/Contacts/{record}/photo HTTP/1.1\r\nhost: {host}\r\n\
                 authorization: Zoho-oauthtoken {TOKEN}\r\naccept: application/json\r\n\
                 accept-encoding: identity\r\nuser-agent: bigin-photo-proxy/{version}\r\n\r\n"
            );
            assert_eq!(*call, canonical, "{what}");
            record
        });
        records.collect()
    }

    /// A caller that comes after all this is served as if nothing had happened.
    async fn expect_marker(&mut self, address: SocketAddr, what: &str) {
        let marker = self.marker();
        let mut wire = Wire::to(address).await;
        wire.send(marker.bytes.as_bytes()).await;
        let answer = wire
            .answer()
            .await
            .unwrap_or_else(|| panic!("{what}: no answer"));
        assert!(marker.is_answered_by(&answer), "{what}: {answer:?}");
        assert_eq!(self.seen(what), [marker.record], "{what}");
    }

    /// Through a proxy in front it matters less how that reads the bytes: each call has its answer, and the connection on
    /// which it passes requests on is in step. Returns whether anything came through.
    async fn expect_in_step(&mut self, front: &Front, vector: &Vector) -> bool {
        let what = vector.to_string();
        let marker = self.marker();
        let mut wire = Wire::to(front.address).await;
        wire.send(vector.bytes.as_bytes()).await;
        wire.send(marker.bytes.as_bytes()).await;
        let mut answers = Vec::new();
        // A front that waits for more of a body would wait long.
        while let Some(answer) = wire.answer_soon().await {
            let is_last = marker.is_answered_by(&answer);
            answers.push(answer);
            if is_last {
                break;
            }
        }
        drop(wire);

        let deleted = answers.iter().filter(|it| it.outcome() == "deleted");
        let calls = self.seen(&what);
        assert_eq!(
            deleted.count(),
            calls.len(),
            "{what}: {calls:?} {answers:?}"
        );
        self.expect_marker(front.address, &what).await;
        answers
            .iter()
            .any(|it| !it.header("proxy-status").is_empty() && !marker.is_answered_by(it))
    }

    /// Sent to the proxy itself: exactly these answers, exactly the calls that they tell of, and a connection that is in
    /// step or closed.
    async fn expect_direct(&mut self, vector: &Vector, piece: usize) -> Result<(), String> {
        let what = vector.to_string();
        let marker = self.marker();
        let mut wire = Wire::to(self.app.address).await;
        let bytes = format!("{}{}", vector.bytes, marker.bytes);
        for piece in bytes.as_bytes().chunks(piece) {
            wire.send(piece).await;
        }
        wire.finish().await;
        let mut answers = wire.answers().await;

        let is_open = answers.pop_if(|last| marker.is_answered_by(last)).is_some();
        let deleted = answers
            .iter()
            .filter(|it| it.outcome() == "deleted")
            .count();
        let statuses: Vec<_> = answers.iter().map(|it| it.status.as_u16()).collect();
        let (expected, stays_open) = match vector.direct {
            Direct::Open(statuses) => (statuses, true),
            Direct::Closed(statuses) => (statuses, false),
        };
        let mut calls: Vec<_> = [1, 2].into_iter().take(deleted).collect();
        calls.extend(is_open.then_some(marker.record));
        let seen = self.seen(&what);
        if (&statuses[..], is_open, &seen) == (expected, stays_open, &calls) {
            return Ok(());
        }
        let state = if is_open { "open" } else { "closed" };
        Err(format!("{what}: {statuses:?}, {state}, Zoho saw {seen:?}"))
    }
}

/// A request of somebody who comes behind a vector.
struct Marker {
    id: String,
    record: u64,
    bytes: String,
}

impl Marker {
    fn is_answered_by(&self, reply: &Reply) -> bool {
        reply.header("x-request-id") == self.id && reply.outcome() == "deleted"
    }
}

#[tokio::test]
async fn whatever_a_caller_sends_zoho_sees_the_canonical_request_or_nothing() {
    expect_all_direct(usize::MAX).await;
}

#[tokio::test]
async fn it_makes_no_difference_in_which_pieces_the_bytes_arrive() {
    for piece in [1, 7, 64] {
        expect_all_direct(piece).await;
    }
}

async fn expect_all_direct(piece: usize) {
    let mut scene = Scene::new().await;
    let mut wrong = Vec::new();
    for vector in vectors() {
        wrong.extend(scene.expect_direct(&vector, piece).await.err());
        let address = scene.app.address;
        scene.expect_marker(address, &vector.to_string()).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn whatever_comes_through_haproxy_zoho_sees_the_canonical_request_or_nothing() {
    let mut scene = Scene::new().await;
    let front = Front::haproxy(scene.app.address).await;
    expect_all_in_step(&mut scene, &front).await;
}

#[tokio::test]
async fn whatever_comes_through_nginx_zoho_sees_the_canonical_request_or_nothing() {
    let mut scene = Scene::new().await;
    let front = Front::nginx(scene.app.address).await;
    expect_all_in_step(&mut scene, &front).await;
}

async fn expect_all_in_step(scene: &mut Scene, front: &Front) {
    let mut through = 0;
    for vector in vectors() {
        through += u32::from(scene.expect_in_step(front, &vector).await);
    }
    // A front that let nothing through would prove nothing.
    assert!(through >= 100, "{through}");
}

#[tokio::test]
async fn a_front_shares_one_connection_among_callers() {
    for haproxy in [true, false] {
        let mut scene = Scene::new().await;
        let front = if haproxy {
            Front::haproxy(scene.app.address).await
        } else {
            Front::nginx(scene.app.address).await
        };
        let mut peers = BTreeSet::new();
        for _ in 0..5 {
            scene.expect_marker(front.address, "a front").await;
            let id = format!("marker-{}", 1000 + scene.markers);
            let line = scene.app.log_line(&id).await;
            peers.insert(line["peer"].as_str().unwrap().to_owned());
        }
        assert_eq!(peers.len(), 1, "{peers:?}");
    }
}

#[test]
fn there_are_vectors_enough_and_no_two_are_the_same() {
    let vectors = vectors();

    assert!(vectors.len() >= 150, "{}", vectors.len());
    let bytes: BTreeSet<_> = vectors.iter().map(|vector| &vector.bytes).collect();
    assert_eq!(bytes.len(), vectors.len());
    let names: BTreeSet<_> = vectors.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), vectors.len());
}
