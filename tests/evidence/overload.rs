//! What Zoho cannot take is turned away at once, and what it can take is used to the full; when load or outage ends, all
//! is well again, with nobody's help.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, Settings, When};

use crate::support::{
    Caller, Connections, Figures, Outcome, Replica, Sample, count, demand, grouped, p99, start_zoho,
};

/// Calls that Zoho takes at once, as many as the proxy makes by default, and how long it takes for each.
const CONCURRENCY: u32 = 10;
const LATENCY: Duration = Duration::from_millis(200);

/// The most that it can do: 50 requests a second.
const BEST: u32 = 1000 / 200 * CONCURRENCY;

/// What is asked of it when there is neither overload nor outage: most of what it can do.
const ORDINARY: u32 = BEST * 8 / 10;

/// How long until all is well again, at most.
const HEALS_WITHIN: Duration = Duration::from_secs(10);

/// The same after an outage in which calls hang: one request deadline, and a moment for those behind them.
const DEADLINE: Duration = Duration::from_secs(16);

/// A request that was turned away later than this has waited for its turn, for `upstream.queue_timeout` in vain.
const WAITED: Duration = Duration::from_millis(900);

#[tokio::test]
async fn a_short_overload_costs_no_goodput_and_ends_with_its_cause() {
    let bounds = Bounds {
        goodput: 0.9,
        rejected_within: Duration::from_millis(50),
    };
    overload(Duration::from_secs(4), Duration::from_secs(3), &bounds).await;
}

#[tokio::test]
#[ignore = "a minute: just evidence overload"]
async fn an_overload_costs_no_goodput_and_ends_with_its_cause() {
    let bounds = Bounds {
        goodput: 0.95,
        rejected_within: Duration::from_millis(5),
    };
    overload(Duration::from_secs(30), Duration::from_secs(15), &bounds).await;
}

#[tokio::test]
async fn a_short_outage_is_over_when_it_is_over() {
    let fault = ApiFaultKind::Close;
    let (outage_lasts, heals_within) = (Duration::from_secs(3), Duration::from_secs(6));
    outage("connections are closed", fault, outage_lasts, heals_within).await;
}

#[tokio::test]
#[ignore = "three minutes: just evidence overload"]
async fn an_outage_is_over_when_it_is_over() {
    let lasts = Duration::from_secs(30);
    let gateway = ApiFaultKind::Html { status: 503 };
    let faults = [
        ("connections are closed", ApiFaultKind::Close, HEALS_WITHIN),
        ("a gateway answers 503", gateway, HEALS_WITHIN),
        ("no call is answered", ApiFaultKind::Hang, DEADLINE),
    ];
    for (name, fault, heals_within) in faults {
        outage(name, fault, lasts, heals_within).await;
    }
}

#[tokio::test]
async fn a_total_outage_adds_at_most_a_tenth_to_a_few_calls() {
    amplification(2_000).await;
}

#[tokio::test]
#[ignore = "ten seconds: just evidence overload"]
async fn a_total_outage_adds_at_most_a_tenth_to_many_calls() {
    amplification(20_000).await;
}

/// Asks for so many deletions while all calls fail, in one way after the other.
async fn amplification(requests: u32) {
    let mut figures = Figures::of("Retry amplification").row("requests each", grouped(requests));
    let faults = [
        ("a gateway answers 503", ApiFaultKind::Html { status: 503 }),
        ("answers are cut", ApiFaultKind::Cut { bytes: 20 }),
        ("connections are reset", ApiFaultKind::Reset),
    ];
    for (name, fault) in faults {
        let calls = calls_per_request(fault, requests).await;
        figures = figures.row(
            format!("calls a request while {name}"),
            format!("{calls:.3}"),
        );
        assert!(calls <= 1.1, "{name}: {calls}");
    }
    figures.print();
}

/// What is asked of a run.
struct Bounds {
    /// The least share of what Zoho can do.
    goodput: f64,
    /// 99 of 100 of those who are turned away learn of it within this time.
    rejected_within: Duration,
}

async fn overload(duration: Duration, afterwards: Duration, bounds: &Bounds) {
    let zoho = small_zoho();
    let proxy = Replica::start(&zoho, "").await;

    let (over, ordinary) = tokio::join!(
        demand(proxy.address, 10 * BEST, duration, Connections::Kept),
        async {
            sleep(duration).await;
            demand(proxy.address, ORDINARY, afterwards, Connections::Kept).await
        }
    );
    let peak = zoho.ledger().highest_concurrency;

    // The first second fills the queue.
    let (filled, end) = (Duration::from_secs(1), duration);
    let deleted = over
        .iter()
        .filter(|it| it.told.outcome == Outcome::Deleted && (filled..end).contains(&it.told_at));
    let goodput = deleted.count() as f64 / end.saturating_sub(filled).as_secs_f64();
    let rejected = over.iter().filter(|it| it.told.outcome == Outcome::NotSent);
    let (waited, at_once): (Vec<_>, Vec<_>) = rejected
        .map(|it| it.told.took)
        .partition(|took| *took >= WAITED);
    let rejected_p99 = p99(at_once.iter().copied());
    let healed = healed_after(&ordinary, Duration::ZERO);
    Figures::of("Overload")
        .row("demand, requests/s", 10 * BEST)
        .row("the best that Zoho can do, requests/s", BEST)
        .row(
            "goodput, requests/s",
            format!("{goodput:.1} ({:.1} %)", 100.0 * goodput / f64::from(BEST)),
        )
        .row("turned away at once", grouped(at_once.len()))
        .row("… 99 % of them within", format!("{rejected_p99:.2?}"))
        .row(
            "turned away after a second in the queue",
            grouped(waited.len()),
        )
        .row("most calls at once at Zoho", peak)
        .row("all is well again after", format!("{healed:.2?}"))
        .print();
    let other = over.len() - count(&over, Outcome::Deleted) - count(&over, Outcome::NotSent);
    assert_eq!((other, peak), (0, u64::from(CONCURRENCY)));
    assert!(goodput >= bounds.goodput * f64::from(BEST), "{goodput}");
    assert!(at_once.len() > waited.len(), "most are turned away late");
    assert!(rejected_p99 <= bounds.rejected_within, "{rejected_p99:?}");
    assert!(healed <= HEALS_WITHIN, "{healed:?}");
}

/// Lets Zoho fail for so long under an ordinary demand, and sees how long it takes afterwards.
async fn outage(name: &str, fault: ApiFaultKind, lasts: Duration, heals_within: Duration) {
    let zoho = small_zoho();
    let proxy = Replica::start(&zoho, "").await;

    zoho.on_delete(When::Always, ApiFault::before(fault));
    let observed = lasts + heals_within + Duration::from_secs(2);
    let (samples, ()) = tokio::join!(
        demand(proxy.address, ORDINARY, observed, Connections::Kept),
        async {
            sleep(lasts).await;
            zoho.well();
        }
    );

    let healed = healed_after(&samples, lasts);
    Figures::of(&format!("Outage: {name}"))
        .row("outage", format!("{lasts:?}"))
        .row("demand, requests/s", ORDINARY)
        .row("all is well again after", format!("{healed:.2?}"))
        .print();
    assert!(healed <= heals_within, "{name}: {healed:?}");
}

/// How long after `end` the last request was told anything but `deleted`.
fn healed_after(samples: &[Sample], end: Duration) -> Duration {
    let failed = samples
        .iter()
        .filter(|it| it.told.outcome != Outcome::Deleted);
    let last = failed.map(|it| it.told_at).max().unwrap_or_default();
    last.saturating_sub(end)
}

/// Calls at Zoho for each of so many requests while all calls fail, once the bucket of second calls is empty.
async fn calls_per_request(fault: ApiFaultKind, requests: u32) -> f64 {
    const CALLERS: u32 = 10;
    let zoho = start_zoho(Settings::default());
    let proxy = Replica::start(&zoho, "").await;
    zoho.on_delete(When::Always, ApiFault::before(fault));
    let each_sends = async |requests: u32| {
        let callers = (0..CALLERS).map(async |_| {
            let mut caller = Caller::default();
            for _ in 0..requests {
                caller.delete_photo(proxy.address).await;
            }
        });
        join_all(callers).await;
        zoho.ledger().calls
    };

    let before = each_sends(10).await;
    let after = each_sends(requests / CALLERS).await;

    (after - before) as f64 / f64::from(requests)
}

/// A Zoho that takes [`CONCURRENCY`] calls at once, and [`LATENCY`] for each.
fn small_zoho() -> Sandbox {
    start_zoho(Settings {
        concurrency: CONCURRENCY.into(),
        delay_ms: u64::try_from(LATENCY.as_millis()).unwrap(),
        credits: u64::MAX,
        ..Settings::default()
    })
}
