//! Nothing is lost when replicas are replaced: 3 of them behind a balancer that learns late of their leaving, and callers
//! that keep their connections and repeat nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;
use zoho_sandbox::{Sandbox, Settings};

use crate::support::{Balancer, Caller, Figures, Outcome, Replica, grouped, start_zoho};

const REPLICAS: usize = 3;

const CALLERS: u32 = 60;

/// How many tenths of the grace period pass until the balancer notices that a replica leaves: 0, 2 and 4 of 5 s.
const NOTICED_AFTER: [u32; 3] = [0, 4, 8];

/// How long callers rest between two requests: so many hundredths of the grace period.
const PACES: [u32; 4] = [1, 2, 5, 20];

#[tokio::test]
async fn six_rolling_restarts_lose_nothing() {
    let grace = Duration::from_millis(500);
    prove(6, grace, "server.drain_delay = \"500ms\"").await;
}

#[tokio::test]
#[ignore = "two minutes: just evidence rollout"]
async fn twenty_rolling_restarts_with_the_default_grace_period_lose_nothing() {
    prove(20, Duration::from_secs(5), "").await;
}

async fn prove(restarts: usize, grace: Duration, keys: &str) {
    let zoho = start_zoho(Settings {
        tokens_per_window: u64::MAX,
        concurrency: u64::MAX,
        credits: u64::MAX,
        // So that some requests are always under way.
        delay_ms: 20,
        ..Settings::default()
    });
    let balancer = Balancer::start().await;
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(join(&balancer, &zoho, keys).await);
    }
    let begun = Instant::now();
    let is_over = AtomicBool::new(false);
    let callers = (0..CALLERS).map(|number| {
        let pace = grace * PACES[number as usize % PACES.len()] / 100;
        call(&balancer, pace, &is_over)
    });
    let (told, ()) = tokio::join!(join_all(callers), async {
        for tenths in NOTICED_AFTER.into_iter().cycle().take(restarts) {
            let leaving = replicas.remove(0);
            let address = leaving.address;
            let (code, ()) = tokio::join!(leaving.terminate(), async {
                sleep(grace * tenths / 10).await;
                balancer.remove(address);
            });
            assert_eq!(code, 0);
            replicas.push(join(&balancer, &zoho, keys).await);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let took = begun.elapsed();

    let mut outcomes = BTreeMap::<Outcome, usize>::new();
    for outcome in told.into_iter().flatten() {
        *outcomes.entry(outcome).or_default() += 1;
    }
    let total: usize = outcomes.values().sum();
    let deleted = outcomes.get(&Outcome::Deleted).copied().unwrap_or_default();
    Figures::of("Rolling restarts")
        .row("replicas", REPLICAS)
        .row("restarts", restarts)
        .row("grace period (`server.drain_delay`)", format!("{grace:?}"))
        .row(
            "the balancer notices after",
            NOTICED_AFTER
                .map(|tenths| format!("{:?}", grace * tenths / 10))
                .join(", "),
        )
        .row("callers, each with a kept connection", CALLERS)
        .row("requests", grouped(total))
        .row(
            "requests/s",
            format!("{:.0}", total as f64 / took.as_secs_f64()),
        )
        .row(
            "connections at the balancer",
            grouped(balancer.connections()),
        )
        .row("**lost**", format!("**{}**", total - deleted))
        .print();
    assert_eq!(outcomes.into_keys().collect::<Vec<_>>(), [Outcome::Deleted]);
    assert_eq!(zoho.ledger().deletions.len(), total);
}

/// A new replica, and connections to it.
async fn join(balancer: &Balancer, zoho: &Sandbox, keys: &str) -> Replica {
    let replica = Replica::start(zoho, keys).await;
    balancer.add(replica.address);
    replica
}

/// What one caller is told until all is over.
async fn call(balancer: &Balancer, pace: Duration, is_over: &AtomicBool) -> Vec<Outcome> {
    let mut caller = Caller::default();
    let mut told = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        told.push(caller.delete_photo(balancer.address).await.outcome);
        sleep(pace).await;
    }
    told
}
