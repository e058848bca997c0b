//! Demand that does not care how it is met: requests at fixed moments, whatever becomes of the earlier ones.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::caller::{Caller, Outcome, Told};

/// A request of an open loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was told, counted from the beginning of the load.
    pub(crate) told_at: Duration,
    pub(crate) told: Told,
}

/// How callers treat their connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    Kept,
    /// Every other request is on a new one.
    EveryOtherNew,
}

/// Sends `rate` requests a second for so long, each for a record of its own, and waits for all answers.
pub(crate) async fn demand(
    proxy: SocketAddr,
    rate: u32,
    duration: Duration,
    connections: Connections,
) -> Vec<Sample> {
    let begun = Instant::now();
    let mut due = interval(Duration::from_secs(1) / rate);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut free, mut samples) = (Vec::<Caller>::new(), Vec::new());
    let mut sent = 0_u32;
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = due.tick(), if begun.elapsed() < duration => {
                let mut caller = free.pop().unwrap_or_default();
                sent += 1;
                if connections == Connections::EveryOtherNew && sent.is_multiple_of(2) {
                    caller.disconnect();
                }
                under_way.push(async move {
                    let told = caller.delete_photo(proxy).await;
                    (caller, told)
                });
            }
            Some((caller, told)) = under_way.next() => {
                free.push(caller);
                samples.push(Sample { told_at: begun.elapsed(), told });
            }
            else => return samples,
        }
    }
}

/// How many were told so.
pub(crate) fn count(samples: &[Sample], outcome: Outcome) -> usize {
    let told = samples.iter().filter(|it| it.told.outcome == outcome);
    told.count()
}

/// What all but one of a hundred were below; nothing of none.
pub(crate) fn p99(durations: impl IntoIterator<Item = Duration>) -> Duration {
    let mut sorted: Vec<Duration> = durations.into_iter().collect();
    sorted.sort_unstable();
    let beyond = sorted.len() / 100;
    sorted.into_iter().nth_back(beyond).unwrap_or_default()
}
