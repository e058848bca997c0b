//! When the keeper tries again. Every wait is a share of the budget window, so that a scaled window scales them all.

use std::ops::Range;
use std::time::Duration;

use super::grant::Failure;

/// The share of a token's life after which renewal starts in the background, while the old token still serves: late
/// enough that ten replicas stay under Zoho's ten live tokens, early enough for several tries.
const RENEW_AT: Range<f64> = 0.85..0.92;

/// The share of a token's life, inside its last tenth, up to which the store or another replica's renewal is waited for.
/// It lies after every renewal's beginning, and leaves time for one of this replica's own.
const WAIT_UNTIL: Range<f64> = 0.92..0.96;

/// The window that the waits below are written for.
const UNIT: f64 = 1.0 / 600.0;

/// Seconds of a 600 s window to wait after the first, second and third transient failure in a row.
const FIRST_WAITS: [f64; 3] = [5.0, 15.0, 45.0];

/// And after every further one: seven tries in the first window, so that the budget of eight is never the limit.
const LATER_WAITS: Range<f64> = 110.0..120.0;

/// A try that never reached the accounts server costs Zoho nothing and is repeated soon.
const UNREACHED_WAIT: f64 = 5.0;

/// Zoho refuses the credentials. Only people mend that, so asking often is of no use.
const REFUSED_WAIT: f64 = 300.0;

/// After a panic the keeper is at work again within a second.
const RESTART_WAIT: f64 = 0.9;

/// How often to look whether a credential file has changed.
const LOOK_INTERVAL: f64 = 10.0;

/// In a long window too: whoever rotates a secret waits as long.
const LONGEST_LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The waits of one keeper.
pub(super) struct Schedule {
    window: Duration,
    failures: usize,
}

impl Schedule {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            failures: 0,
        }
    }

    /// How long after the start of a token request the next one is due, given how long the token lives.
    pub(super) fn renewal_after(lifetime: Duration) -> Duration {
        lifetime.mul_f64(between(RENEW_AT))
    }

    /// How long before a token's end this replica stops waiting for others, given how long the token lives.
    pub(super) fn own_time(lifetime: Duration) -> Duration {
        lifetime.mul_f64(1.0 - between(WAIT_UNTIL))
    }

    /// All is well again: the next failure is a first one.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after a failure.
    pub(super) fn wait_after(&mut self, failure: &Failure) -> Duration {
        match failure {
            Failure::Unreached(_) => self.seconds(UNREACHED_WAIT),
            Failure::Refused(_) => self.seconds(REFUSED_WAIT),
            // When Zoho's window began is not known here: other replicas may have opened it. A whole one is surely enough.
            Failure::Throttled(retry_after) => retry_after
                .unwrap_or(self.window)
                .clamp(self.seconds(UNREACHED_WAIT), self.window),
            Failure::Transient(_) => self.wait_after_transient(),
        }
    }

    /// Counts another replica's failure: the next wait grows as if it had been this one's.
    pub(super) fn heard_of(&mut self, failure: &Failure) {
        if matches!(failure, Failure::Transient(_)) {
            self.failures += 1;
        }
    }

    /// How long to wait after a failure that may be gone at any time.
    pub(super) fn wait_after_transient(&mut self) -> Duration {
        let wait = FIRST_WAITS.get(self.failures).copied();
        self.failures += 1;
        self.seconds(wait.unwrap_or_else(|| between(LATER_WAITS)))
    }

    /// How long to wait after a panic of the keeper: a first one is taken for a chance event.
    pub(super) fn wait_after_panic(&mut self) -> Duration {
        let wait = self.wait_after_transient();
        if self.failures == 1 {
            self.seconds(RESTART_WAIT)
        } else {
            wait
        }
    }

    /// How long to go on with credentials that have proved themselves after others could not be tried.
    pub(super) fn wait_to_prove(&self) -> Duration {
        self.seconds(between(LATER_WAITS))
    }

    /// How long from one look at the credential files to the next.
    pub(super) fn look_interval(&self) -> Duration {
        self.seconds(LOOK_INTERVAL).min(LONGEST_LOOK_INTERVAL)
    }

    fn seconds(&self, seconds: f64) -> Duration {
        self.window.mul_f64(seconds * UNIT)
    }
}

/// A random value, so that many replicas do not act in step.
pub(super) fn between(range: Range<f64>) -> f64 {
    range.start + fastrand::f64() * (range.end - range.start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure() -> impl Strategy<Value = Failure> {
        prop_oneof![
            4 => Just(Failure::Transient("test")),
            1 => Just(Failure::Unreached("test")),
            1 => Just(Failure::Refused("test")),
            1 => prop::option::of((0..2000_u64).prop_map(Duration::from_secs)).prop_map(Failure::Throttled),
        ]
    }

    proptest! {
        #[test]
        fn each_kind_of_failure_has_its_wait_as_a_share_of_the_window(
            minutes in 1..20_u32,
            turns in prop::collection::vec(prop::option::weighted(0.9, failure()), 1..12),
        ) {
            let window = Duration::from_mins(1) * minutes;
            let share = |seconds: u32| window * seconds / 600;
            let mut schedule = Schedule::new(window);
            let mut transient_ones = 0;
            for turn in turns {
                let Some(failure) = turn else {
                    schedule.succeeded();
                    transient_ones = 0;
                    continue;
                };
                transient_ones += u32::from(matches!(failure, Failure::Transient(_)));
                let (least, most) = match failure {
                    Failure::Transient(_) => match transient_ones {
                        1 => (share(5), share(5)),
                        2 => (share(15), share(15)),
                        3 => (share(45), share(45)),
                        _ => (share(110), share(120)),
                    },
                    Failure::Unreached(_) => (share(5), share(5)),
                    Failure::Refused(_) => (share(300), share(300)),
                    Failure::Throttled(None) => (window, window),
                    Failure::Throttled(Some(given)) => {
                        let wait = given.max(share(5)).min(window);
                        (wait, wait)
                    }
                };

                let wait = schedule.wait_after(&failure);

                let rounding = Duration::from_micros(1);
                prop_assert!(least <= wait + rounding && wait <= most + rounding, "{failure:?}: {wait:?}");
            }
        }

        #[test]
        fn renewal_is_due_at_85_to_92_percent_of_any_life(seconds in 1..=3600_u64) {
            let life = Duration::from_secs(seconds);

            let wait = Schedule::renewal_after(life);

            prop_assert!(life.mul_f64(0.85) <= wait && wait <= life.mul_f64(0.92));
        }
    }

    #[test]
    fn replicas_do_not_act_in_step() {
        let mut schedule = Schedule::new(Duration::from_mins(10));
        let renewals: Vec<_> = (0..1000)
            .map(|_| Schedule::renewal_after(Duration::from_secs(1000)).as_secs())
            .collect();
        let waits: Vec<_> = (0..1000)
            .map(|_| schedule.wait_after_transient().as_secs())
            .skip(3)
            .collect();

        for (values, first, last) in [(renewals, 850, 919), (waits, 110, 119)] {
            assert!(
                values.contains(&first) && values.contains(&last),
                "no jitter"
            );
        }
    }
}
