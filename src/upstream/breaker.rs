//! Leaves Zoho's API alone while connections to it fail.
//!
//! Waiting for a connection that will not come costs every caller its deadline and Zoho the rest of its capacity. If at
//! least half of at least ten calls in ten seconds failed on the level of connections, calls stop for five seconds; then
//! one finds out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::stop::{Pass, Stop};
use super::{CallError, Overloaded};

/// How long calls stop before one finds out.
const PAUSE: Duration = Duration::from_secs(5);

/// The seconds that are looked back on.
const WINDOW: u64 = 10;

/// Fewer calls prove nothing.
const LEAST_CALLS: u64 = 10;

/// One slot a second, a few more than the window has.
const SLOTS: usize = 16;

/// The breaker of one account.
pub struct Breaker {
    stop: Stop,
    started: Instant,
    /// What happened in a second: the second, the calls that ended in it, and how many of them failed.
    seconds: [AtomicU64; SLOTS],
}

impl Breaker {
    /// Whether a call may be made.
    pub(crate) fn check(&self) -> Result<Pass<'_>, Overloaded> {
        self.stop.check().map_err(Overloaded::Unreachable)
    }

    /// Waits until no call may be made.
    pub async fn opened(&self) -> Overloaded {
        Overloaded::Unreachable(self.stop.closed().await)
    }

    /// Learns how a call ended.
    pub fn learn<T>(&self, result: &Result<T, CallError>, ended: Instant) {
        // A call that was not tried says nothing.
        if matches!(
            result,
            Err(CallError::NoTime | CallError::TokenEnded | CallError::NotCanonical)
        ) {
            return;
        }
        let failed = matches!(
            result,
            Err(CallError::Unreachable(_) | CallError::ConnectionLost)
        );
        let now = ended.saturating_duration_since(self.started).as_secs();
        self.note(now, failed);
        if matches!(result, Ok(_) | Err(CallError::InvalidAnswer(_))) {
            self.heal();
        } else if failed && (self.stop.is_set() || self.fails_too_often(now)) {
            self.stop.set(None);
        }
    }

    /// Whether calls are stopped.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stop.is_set()
    }

    /// It works again: what failed before does not count against it.
    fn heal(&self) {
        if self.stop.is_set() {
            for slot in &self.seconds {
                slot.store(0, Ordering::Relaxed);
            }
            self.stop.clear();
        }
    }

    fn note(&self, now: u64, failed: bool) {
        let slot = usize::try_from(now).unwrap_or_default() % SLOTS;
        let Some(slot) = self.seconds.get(slot) else {
            return;
        };
        let added = Slot::pack(0, 1, u64::from(failed));
        let add = |packed| {
            let is_now = Slot::unpack(packed).at == now % Slot::LIMIT;
            Some(if is_now {
                packed + added
            } else {
                Slot::pack(now, 0, 0) + added
            })
        };
        slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .expect("the closure never declines");
    }

    fn fails_too_often(&self, now: u64) -> bool {
        let recent = self
            .seconds
            .iter()
            .map(|slot| Slot::unpack(slot.load(Ordering::Relaxed)))
            .filter(|it| (now % Slot::LIMIT).wrapping_sub(it.at) < WINDOW);
        let (calls, failed) = recent.fold((0, 0), |(calls, failed), it| {
            (calls + it.calls, failed + it.failed)
        });
        calls >= LEAST_CALLS && failed * 2 >= calls
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            stop: Stop::off(PAUSE),
            started: Instant::now(),
            seconds: Default::default(),
        }
    }
}

/// One slot, unpacked: 24 bits of seconds (half a year), and 20 bits each of calls and of failures.
struct Slot {
    at: u64,
    calls: u64,
    failed: u64,
}

impl Slot {
    const COUNT_BITS: u32 = 20;
    const COUNT: u64 = 1 << Self::COUNT_BITS;
    const LIMIT: u64 = 1 << 24;

    fn pack(second: u64, calls: u64, failed: u64) -> u64 {
        ((second % Self::LIMIT) * Self::COUNT + calls) * Self::COUNT + failed
    }

    fn unpack(packed: u64) -> Self {
        Self {
            at: packed >> (2 * Self::COUNT_BITS),
            calls: (packed >> Self::COUNT_BITS) % Self::COUNT,
            failed: packed % Self::COUNT,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::{InvalidAnswer, Unreachable};

    const LOST: Result<(), CallError> = Err(CallError::ConnectionLost);

    async fn after(breaker: &Breaker, results: &[Result<(), CallError>], pause: Duration) {
        for result in results {
            breaker.learn(result, Instant::now());
            tokio::time::advance(pause).await;
        }
    }

    proptest! {
        #[test]
        fn it_opens_at_a_failure_if_half_of_at_least_ten_calls_in_ten_seconds_failed(
            calls in prop::collection::vec((0..1500_u64, 0..6_u8), 1..60),
        ) {
            let breaker = Breaker::default();
            let mut now = 0;
            // The second of each call, and whether it failed.
            let mut so_far: Vec<(u64, bool)> = Vec::new();
            for (pause, kind) in calls {
                now += pause;
                let (result, failed) = match kind {
                    0 => (Ok(()), false),
                    1 => (Err(CallError::Timeout), false),
                    2 => (Err(CallError::InvalidAnswer(InvalidAnswer::Envelope)), false),
                    3 => (Err(CallError::Unreachable(Unreachable::Refused)), true),
                    _ => (LOST, true),
                };
                so_far.push((now / 1000, failed));
                let recent = so_far
                    .iter()
                    .filter(|(second, _)| now / 1000 - second < 10);
                let (calls, failures) = recent.fold((0, 0), |(calls, failures), (_, failed)| {
                    (calls + 1, failures + u32::from(*failed))
                });
                let is_bad = calls >= 10 && failures * 2 >= calls;

                breaker.learn(&result, breaker.started + Duration::from_millis(now));

                prop_assert_eq!(breaker.is_open(), failed && is_bad);
                if breaker.is_open() {
                    break;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_it_has_healed_one_failure_is_one_failure() {
        let breaker = Breaker::default();
        after(&breaker, &[LOST; 10], Duration::ZERO).await;
        tokio::time::advance(PAUSE).await;

        after(&breaker, &[Ok(()), LOST], Duration::ZERO).await;

        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_finds_out_and_a_success_ends_it() {
        let breaker = Breaker::default();
        after(&breaker, &[LOST; 10], Duration::ZERO).await;
        tokio::time::advance(PAUSE).await;
        breaker.check().ok().unwrap().used();
        assert!(breaker.check().is_err());

        after(&breaker, &[LOST], Duration::ZERO).await;
        assert_eq!(breaker.check().err(), Some(Overloaded::Unreachable(PAUSE)));
        tokio::time::advance(PAUSE).await;
        assert!(breaker.check().is_ok());
        after(&breaker, &[Ok(())], Duration::ZERO).await;

        assert!((0..10).all(|_| breaker.check().is_ok()));
    }
}
