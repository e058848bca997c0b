//! When the keeper tries again. Every wait is a share of the budget window, so that a scaled window scales them all.

use std::ops::Range;
use std::time::Duration;

use super::grant::Failure;

/// The share of a token's life after which renewal starts in the background, while the old token still serves: late
/// enough that ten replicas stay under Zoho's ten live tokens, early enough for several tries.
const RENEW_AT: Range<f64> = 0.85..0.92;

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

    fn seconds(&self, seconds: f64) -> Duration {
        self.window.mul_f64(seconds * UNIT)
    }
}

/// A random value, so that many replicas do not act in step.
fn between(range: Range<f64>) -> f64 {
    range.start + fastrand::f64() * (range.end - range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    #[test]
    fn transient_failures_wait_5_15_45_and_then_110_to_120_seconds() {
        let mut schedule = Schedule::new(WINDOW);
        let mut wait = || schedule.wait_after(&Failure::Transient("test"));

        assert_eq!(
            [wait(), wait(), wait()],
            [5, 15, 45].map(Duration::from_secs)
        );
        for _ in 0..100 {
            assert!((Duration::from_secs(110)..=Duration::from_mins(2)).contains(&wait()));
        }
    }

    #[test]
    fn a_success_makes_the_next_failure_a_first_one() {
        let mut schedule = Schedule::new(WINDOW);
        schedule.wait_after_transient();

        schedule.succeeded();

        assert_eq!(schedule.wait_after_transient(), Duration::from_secs(5));
    }

    #[test]
    fn each_kind_of_failure_has_its_wait() {
        let mut schedule = Schedule::new(WINDOW);
        let mut wait = |failure| schedule.wait_after(&failure).as_secs();

        assert_eq!(wait(Failure::Unreached("test")), 5);
        assert_eq!(wait(Failure::Unreached("test")), 5);
        assert_eq!(wait(Failure::Refused("invalid_code")), 300);
        assert_eq!(wait(Failure::Throttled(None)), 600);
        assert_eq!(wait(Failure::Throttled(Some(Duration::from_secs(7)))), 7);
        assert_eq!(
            wait(Failure::Throttled(Some(Duration::from_secs(7000)))),
            600
        );
        assert_eq!(wait(Failure::Throttled(Some(Duration::ZERO))), 5);
    }

    #[test]
    fn a_scaled_window_scales_every_wait() {
        let mut schedule = Schedule::new(WINDOW / 100);

        assert_eq!(schedule.wait_after_transient(), Duration::from_millis(50));
        assert_eq!(
            schedule.wait_after(&Failure::Refused("invalid_code")),
            Duration::from_secs(3)
        );
        assert_eq!(
            schedule.wait_after(&Failure::Throttled(None)),
            Duration::from_secs(6)
        );
    }

    #[test]
    fn renewal_is_due_at_85_to_92_percent_of_the_life() {
        let waits: Vec<_> = (0..1000)
            .map(|_| Schedule::renewal_after(Duration::from_secs(1000)).as_secs_f64())
            .collect();

        assert!(waits.iter().all(|wait| (850.0..=920.0).contains(wait)));
        assert!(
            waits.iter().any(|wait| *wait < 860.0) && waits.iter().any(|wait| *wait > 910.0),
            "no jitter"
        );
    }
}
