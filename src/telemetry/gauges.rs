//! What changes without an event: read whenever somebody looks at the metrics, so that it costs requests nothing.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use tokio::runtime::RuntimeMetrics;

use super::catalogue::{self, Declared, Kind};
use crate::process::Usage;

/// An account, as whoever looks sees it.
pub struct AccountGauges {
    /// Its name.
    pub account: String,
    /// Reads all of it.
    pub read: Box<dyn Fn() -> AccountReading + Send + Sync>,
}

/// What an account is like at a moment.
#[derive(Clone, Copy, Debug)]
pub struct AccountReading {
    /// When its token expires, in seconds since 1970; 0 without one.
    pub token_expiry: f64,
    /// The version of its token; 0 without one.
    pub token_version: u64,
    /// Tokens that were seen and have not expired.
    pub tokens_live: u64,
    /// Token requests that are left in the window.
    pub token_budget: u64,
    /// How long no token request is made.
    pub token_cooldown: Duration,
    /// Calls in flight.
    pub in_flight: u64,
    /// Requests that wait.
    pub waiting: u64,
    /// The most calls in flight for now.
    pub cap: u64,
    /// Whether calls are stopped because connections fail.
    pub breaker_open: bool,
    /// Second calls that the budget for them forbade so far.
    pub retries_refused: u64,
    /// API credits that the organisation has left, once Zoho has told.
    pub credits_remaining: Option<u64>,
    /// Calls that its `daily_calls` leave, if that is configured.
    pub daily_calls_remaining: Option<u64>,
}

/// How one number is read off an account.
type Count = fn(&AccountReading) -> Option<u64>;

const COUNTS: [(Declared, Count); 10] = [
    (catalogue::TOKEN_VERSION, |it| Some(it.token_version)),
    (catalogue::TOKENS_LIVE, |it| Some(it.tokens_live)),
    (catalogue::TOKEN_BUDGET, |it| Some(it.token_budget)),
    (catalogue::IN_FLIGHT, |it| Some(it.in_flight)),
    (catalogue::WAITING, |it| Some(it.waiting)),
    (catalogue::LIMIT, |it| Some(it.cap)),
    (catalogue::BREAKER_OPEN, |it| Some(it.breaker_open.into())),
    (catalogue::RETRIES_REFUSED, |it| Some(it.retries_refused)),
    (catalogue::CREDITS, |it| it.credits_remaining),
    (catalogue::DAILY_CALLS, |it| it.daily_calls_remaining),
];

/// Reads accounts.
pub(super) fn watch_accounts(meter: &Meter, accounts: &Arc<[AccountGauges]>) {
    for (declared, count) in COUNTS {
        let accounts = Arc::clone(accounts);
        watch_count(meter, &declared, move |seen| {
            for account in accounts.iter() {
                if let Some(value) = count(&(account.read)()) {
                    seen.observe(value, &[KeyValue::new("account", account.account.clone())]);
                }
            }
        });
    }
    let expiry: fn(&AccountReading) -> f64 = |it| it.token_expiry;
    let cooldown: fn(&AccountReading) -> f64 = |it| it.token_cooldown.as_secs_f64();
    for (declared, seconds) in [
        (catalogue::TOKEN_EXPIRY, expiry),
        (catalogue::TOKEN_COOLDOWN, cooldown),
    ] {
        let accounts = Arc::clone(accounts);
        watch_seconds(meter, &declared, move |seen| {
            for account in accounts.iter() {
                let value = seconds(&(account.read)());
                seen.observe(value, &[KeyValue::new("account", account.account.clone())]);
            }
        });
    }
}

/// Reads runtimes, which have a name each.
pub(super) fn watch_runtimes(meter: &Meter, runtimes: Vec<(String, RuntimeMetrics)>) {
    let runtimes: Arc<[_]> = runtimes
        .into_iter()
        .map(|(name, metrics)| ([KeyValue::new("runtime", name)], metrics))
        .collect();
    let tasks: fn(&RuntimeMetrics) -> usize = RuntimeMetrics::num_alive_tasks;
    for (declared, count) in [
        (catalogue::TASKS, tasks),
        (catalogue::RUN_QUEUE, RuntimeMetrics::global_queue_depth),
    ] {
        let runtimes = Arc::clone(&runtimes);
        watch_count(meter, &declared, move |seen| {
            for (name, metrics) in runtimes.iter() {
                seen.observe(count(metrics) as u64, name);
            }
        });
    }
    watch_seconds(meter, &catalogue::BUSY, move |seen| {
        for (name, metrics) in runtimes.iter() {
            // Each has one worker: the thread that runs it.
            seen.observe(metrics.worker_total_busy_duration(0).as_secs_f64(), name);
        }
    });
}

/// Reads what the process uses.
pub(super) fn watch_process(meter: &Meter) {
    let resident: fn(Usage) -> Option<u64> = |it| it.resident_bytes;
    for (declared, count) in [
        (catalogue::RESIDENT, resident),
        (catalogue::VIRTUAL, |it| it.virtual_bytes),
        (catalogue::OPEN_FDS, |it| it.open_descriptors),
        (catalogue::MAX_FDS, |it| it.most_descriptors),
    ] {
        watch_count(meter, &declared, move |seen| {
            if let Some(value) = count(Usage::now()) {
                seen.observe(value, &[]);
            }
        });
    }
    watch_seconds(meter, &catalogue::CPU, |seen| {
        seen.observe(Usage::now().cpu.as_secs_f64(), &[]);
    });
    let start = unix_seconds();
    watch_seconds(meter, &catalogue::START_TIME, move |seen| {
        seen.observe(start, &[]);
    });
}

/// An instrument of whole numbers that `read` fills.
pub(super) fn watch_count(
    meter: &Meter,
    declared: &Declared,
    read: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    let Declared {
        name,
        unit,
        meaning,
        ..
    } = *declared;
    match declared.kind {
        Kind::Counter => drop(
            meter
                .u64_observable_counter(name)
                .with_unit(unit)
                .with_description(meaning)
                .with_callback(read)
                .build(),
        ),
        Kind::Gauge | Kind::Histogram => drop(
            meter
                .u64_observable_gauge(name)
                .with_unit(unit)
                .with_description(meaning)
                .with_callback(read)
                .build(),
        ),
    }
}

/// An instrument of seconds that `read` fills.
fn watch_seconds(
    meter: &Meter,
    declared: &Declared,
    read: impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static,
) {
    let Declared {
        name,
        unit,
        meaning,
        ..
    } = *declared;
    match declared.kind {
        Kind::Counter => drop(
            meter
                .f64_observable_counter(name)
                .with_unit(unit)
                .with_description(meaning)
                .with_callback(read)
                .build(),
        ),
        Kind::Gauge | Kind::Histogram => drop(
            meter
                .f64_observable_gauge(name)
                .with_unit(unit)
                .with_description(meaning)
                .with_callback(read)
                .build(),
        ),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a start that people read is a date"
)]
fn unix_seconds() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
