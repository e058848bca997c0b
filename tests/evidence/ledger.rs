//! No lie: what callers are told, compared with what Zoho carried out, under every fault and random kills.
//!
//! Each request names a record of its own, so the truth of each is known: `deleted` was carried out, `refused` and
//! `not-sent` were not. `unknown` and a broken connection may be either.

mod faults;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use zoho_sandbox::{Ledger, Sandbox, Settings};

use crate::support::{Caller, Figures, Outcome, Replica, Told, ask, grouped, start_zoho};
use faults::{Incident, misbehave};

/// The budget of token requests is that of the defaults, in a window that is over within a run.
const BUDGET: usize = 8;
const WINDOW: Duration = Duration::from_secs(5);

/// High limits: this is about truth, and a request that is turned away proves little.
const KEYS: &str = "server.request_deadline = \"1s\"
upstream.max_in_flight = 1000
upstream.queue = 1000
token.budget_window = \"5s\"";

/// How many callers there are, and how long each rests between two requests at least.
const CALLERS: usize = 200;
const PACE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn of_ten_thousand_answers_none_is_a_lie() {
    prove(10_000, 1_500).await;
}

#[tokio::test]
#[ignore = "some two minutes: just evidence ledger"]
async fn of_a_hundred_thousand_answers_none_is_a_lie() {
    prove(100_000, 4_000).await;
}

#[tokio::test]
#[ignore = "some twenty minutes: just evidence-long"]
async fn of_a_million_answers_none_is_a_lie() {
    prove(1_000_000, 4_000).await;
}

/// Sends so many requests; a life of the proxy lasts for `per_life` of them on average.
async fn prove(requests: usize, per_life: usize) {
    let zoho = start_zoho(Settings {
        token_lifetime_seconds: 1.0,
        tokens_per_window: u64::MAX,
        concurrency: u64::MAX,
        credits: u64::MAX,
        keep_requests: 0,
        ..Settings::default()
    });
    misbehave(&zoho);
    let sent = AtomicUsize::new(0);
    let begun = Instant::now();

    let first = Replica::start(&zoho, KEYS).await;
    let (address, proxy) = watch::channel(first.address);
    let (told, lives) = tokio::join!(
        join_all((0..CALLERS).map(|_| call(proxy.clone(), &sent, requests))),
        live_and_die(&zoho, first, address, &sent, requests, per_life),
    );
    let took = begun.elapsed();
    // What Zoho has in work is late, but not forgotten.
    sleep(faults::SLOW * 3).await;

    let told: Vec<Told> = told.into_iter().flatten().collect();
    let ledger = zoho.ledger();
    let verdict = Verdict::of(&told, &ledger);
    verdict.figures(&ledger, &lives, took).print();
    assert_eq!(told.len(), requests);
    assert_eq!(verdict.lies, []);
    let deleted = verdict.outcomes[&Outcome::Deleted].0;
    assert!(
        deleted * 2 > requests,
        "too little came through to prove anything"
    );
    assert_eq!(
        (ledger.records_deleted.len(), ledger.unreadable_requests),
        (0, 0)
    );
    for life in lives {
        assert!(
            life.most_token_requests_within(WINDOW) <= BUDGET,
            "{life:?}"
        );
    }
}

/// One caller's requests, and what it was told.
async fn call(
    mut proxy: watch::Receiver<SocketAddr>,
    sent: &AtomicUsize,
    requests: usize,
) -> Vec<Told> {
    let mut caller = Caller::default();
    let mut told = Vec::new();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        if sent.fetch_add(1, Ordering::Relaxed) >= requests {
            return told;
        }
        let address = *proxy.borrow_and_update();
        let answer = caller.delete_photo(address).await;
        told.push(answer);
        if answer.outcome == Outcome::NoConnection {
            // Until there is another one. There is none any more if nobody can say so.
            drop(proxy.changed().await);
        }
    }
}

/// Kills the proxy and starts it anew until all requests are sent, with an incident at Zoho in each life. What each
/// life asked of the accounts server.
async fn live_and_die(
    zoho: &Sandbox,
    first: Replica,
    address: watch::Sender<SocketAddr>,
    sent: &AtomicUsize,
    requests: usize,
    per_life: usize,
) -> Vec<Ledger> {
    let mut dice = fastrand::Rng::with_seed(1);
    let mut incidents = Incident::ALL.into_iter().cycle();
    let mut replica = first;
    let (mut lives, mut known) = (Vec::new(), 0);
    let mut death = 0;
    loop {
        let birth = death;
        death = birth + dice.usize(per_life / 8..per_life * 2);
        until_sent(sent, requests.min(usize::midpoint(birth, death))).await;
        incidents.next().unwrap().happen(zoho);
        until_sent(sent, requests.min(death)).await;
        drop(replica);
        // What it sent before its death has been read when Zoho answers somebody else.
        let last_word = "GET /__sandbox/settings HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        ask(zoho.address(), last_word).await.unwrap();
        let mut token_log = zoho.ledger().token_log;
        let earlier = std::mem::replace(&mut known, token_log.len());
        lives.push(Ledger {
            token_log: token_log.split_off(earlier),
            ..Ledger::default()
        });
        if death >= requests {
            return lives;
        }
        replica = Replica::start(zoho, KEYS).await;
        address.send_replace(replica.address);
    }
}

async fn until_sent(sent: &AtomicUsize, number: usize) {
    while sent.load(Ordering::Relaxed) < number {
        sleep(Duration::from_millis(1)).await;
    }
}

/// What the comparison brought.
struct Verdict {
    /// How many were told so, and for how many of them the photo was deleted.
    outcomes: BTreeMap<Outcome, (usize, usize)>,
    lies: Vec<(u64, Outcome)>,
}

impl Verdict {
    fn of(told: &[Told], ledger: &Ledger) -> Self {
        let carried_out: HashSet<u64> = ledger.deletions.iter().map(|it| it.id).collect();
        let mut verdict = Self {
            outcomes: BTreeMap::new(),
            lies: Vec::new(),
        };
        for &Told { id, outcome, .. } in told {
            let is_deleted = carried_out.contains(&id);
            let is_true = match outcome {
                Outcome::Deleted => is_deleted,
                Outcome::Refused | Outcome::NotSent | Outcome::NoConnection => !is_deleted,
                Outcome::Unknown | Outcome::Broken => true,
            };
            let (count, deleted) = verdict.outcomes.entry(outcome).or_default();
            *count += 1;
            *deleted += usize::from(is_deleted);
            if !is_true {
                verdict.lies.push((id, outcome));
            }
        }
        verdict
    }

    fn figures(&self, ledger: &Ledger, lives: &[Ledger], took: Duration) -> Figures {
        let total: usize = self.outcomes.values().map(|(count, _)| count).sum();
        let seconds = took.as_secs_f64();
        let mut figures = Figures::of("Ledger")
            .row("requests", grouped(total))
            .row("requests/s", format!("{:.0}", total as f64 / seconds))
            .row("calls at Zoho", grouped(ledger.calls))
            .row("SIGKILLs of the proxy", lives.len());
        for (outcome, &(count, deleted)) in &self.outcomes {
            let share = 100.0 * count as f64 / total as f64;
            let row = format!("told `{}`", outcome.as_str());
            let value = format!("{} ({share:.1} %)", grouped(count));
            figures = figures.row(
                row,
                format!("{value}, of these deleted: {}", grouped(deleted)),
            );
        }
        let most = lives
            .iter()
            .map(|life| life.most_token_requests_within(WINDOW));
        figures
            .row(
                "most token requests of a life in a window (budget 8)",
                most.max().unwrap_or_default(),
            )
            .row("**lies**", format!("**{}**", self.lies.len()))
    }
}
