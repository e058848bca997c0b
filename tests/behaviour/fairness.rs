//! One caller cannot keep the others out, and nobody waits for what cannot be had.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Client;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{Reply, TestApp, client_at, eventually, reply};

/// Where callers are that the proxy does not trust.
const STRANGER: [u8; 4] = [127, 0, 0, 2];

/// Peers at 127.0.0.1 say who their callers are.
const NAMED: &str = "server.caller_header = \"x-caller\"\nserver.trusted_peers = [\"127.0.0.1\"]";

/// One who deletes photos.
struct Caller {
    client: Client,
    name: &'static str,
}

impl Caller {
    fn at(address: [u8; 4]) -> Self {
        Self::named(address, "")
    }

    fn named(address: [u8; 4], name: &'static str) -> Self {
        let client = client_at(address);
        Self { client, name }
    }

    async fn delete(&self, app: &TestApp, id: u64) -> Reply {
        let url = app.url(&format!("/bigin/v2/Contacts/{id}/photo"));
        reply(self.client.delete(url).header("x-caller", self.name)).await
    }
}

/// One that sends a hundred requests at a time, for ever, and one that sends twenty after each other.
async fn greedy_and_modest(keys: &str, greedy: Caller, modest: Caller) {
    let zoho = Sandbox::start().await;
    let keys = format!("upstream.max_in_flight = 2\nupstream.queue = 10\n{keys}");
    let app = TestApp::with(&zoho, &keys).await;
    let slow = ApiFaultKind::Slow { milliseconds: 10 };
    zoho.on_delete(When::Always, ApiFault::before(slow));
    let (ids, over, shed) = (
        AtomicU64::new(1000),
        AtomicBool::new(false),
        AtomicU64::new(0),
    );
    let connection = async || {
        while !over.load(Ordering::Relaxed) {
            let id = ids.fetch_add(1, Ordering::Relaxed);
            if greedy.delete(&app, id).await.outcome() == "not-sent" {
                shed.fetch_add(1, Ordering::Relaxed);
                // Who is told to come back in a second comes back in a moment.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let modest = async {
        eventually("the queue is full", async || {
            shed.load(Ordering::Relaxed) > 100
        })
        .await;
        for id in 1..=20 {
            let reply = modest.delete(&app, id).await;
            assert_eq!(reply.outcome(), "deleted", "{}", reply.body);
        }
        over.store(true, Ordering::Relaxed);
    };

    tokio::join!(join_all((0..100).map(|_| connection())), modest);

    let of_greedy = zoho.ledger().deletions.len() - 20;
    assert!(of_greedy >= 20, "{of_greedy}");
}

#[tokio::test]
async fn a_greedy_peer_costs_a_modest_one_nothing() {
    greedy_and_modest("", Caller::at(STRANGER), Caller::at([127, 0, 0, 3])).await;
}

#[tokio::test]
async fn a_greedy_caller_costs_a_modest_one_behind_the_same_trusted_peer_nothing() {
    let named = |name| Caller::named([127, 0, 0, 1], name);
    greedy_and_modest(NAMED, named("greedy"), named("modest")).await;
}

/// A proxy that lets two wait for a call that hangs.
async fn hung(keys: &str) -> (Sandbox, TestApp) {
    let zoho = Sandbox::start().await;
    let keys = format!(
        "upstream.max_in_flight = 1\nupstream.queue = 2\nupstream.queue_timeout = \"10s\"
server.request_deadline = \"2s\"\n{keys}"
    );
    let app = TestApp::with(&zoho, &keys).await;
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Hang));
    (zoho, app)
}

/// The outcomes of a request that hangs, of two that wait for it, and of a third that comes then.
async fn outcomes(keys: &str, callers: [Caller; 4]) -> [String; 4] {
    let (zoho, app) = hung(keys).await;
    let [hanging, first, second, third] = &callers;
    let after = async |place: usize, caller: &Caller| {
        match place {
            0 => {}
            1 => eventually("the call hangs", async || zoho.ledger().calls == 1).await,
            _ => app.has_waiting(place - 1).await,
        }
        let reply = caller.delete(&app, place as u64 + 1).await;
        format!("{} {}", reply.code(), reply.outcome())
    };
    let (hanging, first, second, third) = tokio::join!(
        after(0, hanging),
        after(1, first),
        after(2, second),
        after(3, third)
    );
    [hanging, first, second, third]
}

const SHED: &str = "OVERLOADED not-sent";
const TIMED_OUT: &str = "UPSTREAM_TIMEOUT unknown";

#[tokio::test]
async fn a_full_queue_makes_room_for_a_caller_that_has_nothing_in_it() {
    let greedy = || Caller::at(STRANGER);
    let callers = [greedy(), greedy(), greedy(), Caller::at([127, 0, 0, 3])];

    let [hanging, first, newest, modest] = outcomes("", callers).await;

    assert_eq!((hanging.as_str(), newest.as_str()), (TIMED_OUT, SHED));
    assert!(first != SHED && modest != SHED, "{first}, {modest}");
}

#[tokio::test]
async fn a_name_is_not_believed_from_just_anybody() {
    let stranger = |name| Caller::named(STRANGER, name);
    let callers = [stranger("a"), stranger("b"), stranger("c"), stranger("d")];

    let [_, first, second, third] = outcomes(NAMED, callers).await;

    assert_eq!(third, SHED);
    assert!(first != SHED && second != SHED, "{first}, {second}");
}

#[tokio::test]
async fn while_one_call_finds_out_whether_zoho_is_back_the_others_do_not_wait_for_its_place() {
    let zoho = Sandbox::start().await;
    let keys = "upstream.max_in_flight = 1\nupstream.queue_timeout = \"10s\"
server.request_deadline = \"7s\"";
    let app = TestApp::with(&zoho, keys).await;
    zoho.on_delete(When::Always, ApiFault::before(ApiFaultKind::Close));
    for id in 1..=10 {
        app.delete_photo("Contacts", id).await;
    }
    let calls = zoho.ledger().calls;
    zoho.well();
    zoho.on_delete(When::Always, ApiFault::before(ApiFaultKind::Hang));
    let finds_out = async {
        while app.delete_photo("Contacts", 1).await.code() == "OVERLOADED" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let other = async {
        eventually("one finds out", async || zoho.ledger().calls > calls).await;
        let begun = Instant::now();
        let reply = app.delete_photo("Contacts", 2).await;
        (reply, begun.elapsed())
    };

    let ((), (reply, waited)) = tokio::join!(finds_out, other);

    assert_eq!(
        (reply.code().as_str(), reply.outcome()),
        ("OVERLOADED", "not-sent")
    );
    assert!(
        reply
            .header("proxy-status")
            .contains("destination_unavailable")
    );
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}
