//! Thousands of slow sockets do not hurt a good caller, nor memory.

mod sockets;
mod victims;

use std::time::Duration;

use tokio::time::interval;
use zoho_sandbox::{Sandbox, Settings};

use crate::support::{
    Connections, Figures, Outcome, Replica, count, demand, grouped, p99, start_zoho,
};
use sockets::Attack;
use victims::{Peer, Victim};

/// What the good caller asks for, in requests a second; half of them on new connections.
const RATE: u32 = 100;

/// The most memory that the proxy may take.
const MEMORY: u64 = 256 * 1024 * 1024;

#[tokio::test]
async fn six_hundred_slow_sockets_cost_a_good_caller_nothing() {
    let zoho = zoho();
    let ours = Victim::Ours(Replica::start(&zoho, "").await);

    let damage = attack(&ours, 600, Duration::from_secs(3)).await;

    damage.figures("600 slow sockets").print();
    assert_eq!(damage.errors, 0);
    assert!(damage.memory <= MEMORY, "{}", damage.memory);
}

#[tokio::test]
#[ignore = "five minutes, with nginx and haproxy installed: just evidence attack"]
async fn ten_thousand_slow_sockets_at_most_double_what_a_good_caller_waits() {
    const MINUTE: Duration = Duration::from_mins(1);
    let zoho = zoho();
    let nginx = attack(&Victim::Peer(Peer::nginx(&zoho).await), 10_000, MINUTE).await;
    nginx.figures("10,000 slow sockets: nginx").print();
    let haproxy = attack(&Victim::Peer(Peer::haproxy(&zoho).await), 10_000, MINUTE).await;
    haproxy.figures("10,000 slow sockets: haproxy").print();
    let ours = Victim::Ours(Replica::start(&zoho, "").await);

    let ours = attack(&ours, 10_000, MINUTE).await;

    ours.figures("10,000 slow sockets: bigin-photo-proxy")
        .print();
    assert_eq!(ours.errors, 0);
    assert!(ours.memory <= MEMORY, "{}", ours.memory);
    let [before, during] = ours.p99;
    assert!(during <= before * 2, "{before:?}, then {during:?}");
}

fn zoho() -> Sandbox {
    start_zoho(Settings {
        concurrency: u64::MAX,
        credits: u64::MAX,
        ..Settings::default()
    })
}

/// What an attack did.
struct Damage {
    /// Requests of the good caller under attack, and how many of them failed.
    requests: usize,
    errors: usize,
    /// What the good caller waited without and with the attack.
    p99: [Duration; 2],
    /// The most memory, in bytes, and the fewest open sockets while it went on.
    memory: u64,
    least_open: usize,
}

/// Attacks for so long with so many sockets, while a good caller goes on.
async fn attack(victim: &Victim, sockets: u32, duration: Duration) -> Damage {
    let caller = |duration| demand(victim.address(), RATE, duration, Connections::EveryOtherNew);
    let before = caller(duration / 2).await;
    let attack = Attack::begin(victim.address(), sockets);
    attack.is_under_way().await;
    let (mut memory, mut least_open) = (0, usize::MAX);
    let watching = async {
        let mut watch = interval(Duration::from_millis(500));
        loop {
            watch.tick().await;
            memory = memory.max(victim.memory());
            least_open = least_open.min(attack.open());
        }
    };
    let during = tokio::select! {
        during = caller(duration) => during,
        () = watching => unreachable!("it watches for ever"),
    };
    let waits = [&before, &during].map(|samples| samples.iter().map(|it| it.told.took));
    Damage {
        requests: during.len(),
        errors: during.len() - count(&during, Outcome::Deleted),
        p99: waits.map(p99),
        memory,
        least_open,
    }
}

impl Damage {
    fn figures(&self, title: &str) -> Figures {
        let pair = |[before, during]: [Duration; 2]| format!("{before:.2?}, then {during:.2?}");
        Figures::of(title)
            .row(
                "slow sockets open at any time, at least",
                grouped(self.least_open),
            )
            .row("requests of the good caller", grouped(self.requests))
            .row("… of these failed", self.errors)
            .row(
                "99th percentile without and with the attack",
                pair(self.p99),
            )
            .row("most memory (PSS), MiB", self.memory / 1024 / 1024)
    }
}
