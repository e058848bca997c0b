//! Whether a call that brought no final answer is made once more, and how often that may happen.
//!
//! This is the one place that repeats anything. A deletion is tried at most twice; whether the first try can have been
//! carried out is known by then and never forgotten.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use crate::upstream::{Answer, CallError, InvalidAnswer};

/// How often a deletion is tried at most.
pub(super) const MOST_CALLS: usize = 2;

/// How long to wait before a call that Zoho refused because too many were under way, in milliseconds. Long enough for
/// one of them to end; jittered, so that those who were refused together do not come back together.
const MOMENT_MS: Range<u64> = 100..300;

/// Why a call deserves a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing was sent.
    NotSent,
    /// It was sent, and what became of it is unknown.
    Unknown,
    /// Zoho refused it for now: too many calls at once.
    Refused,
}

impl Again {
    /// Reads it off a result. Never a time-out, which has used up the caller's patience; never an answer that would be
    /// the same again.
    pub(super) fn of(result: &Result<Answer, CallError>) -> Option<Self> {
        match result {
            Err(CallError::Unreachable(_)) => Some(Self::NotSent),
            Err(
                CallError::ConnectionLost
                | CallError::InvalidAnswer(InvalidAnswer::Incomplete | InvalidAnswer::Gateway),
            ) => Some(Self::Unknown),
            Ok(answer) if answer.is_of_a_gateway() => Some(Self::Unknown),
            // If Zoho says how long to wait, the caller is told.
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                let for_a_moment = answer.says_too_many_at_once() && answer.retry_after().is_none();
                for_a_moment.then_some(Self::Refused)
            }
            _ => None,
        }
    }

    /// How long to wait before the second call.
    pub(super) fn moment(self) -> Duration {
        match self {
            Self::NotSent | Self::Unknown => Duration::ZERO,
            Self::Refused => Duration::from_millis(fastrand::u64(MOMENT_MS)),
        }
    }
}

/// What second calls may cost: a bucket of ten that starts full and gains a tenth with each request, so that an outage
/// adds at most a tenth to the load. One bucket an account; counted in tenths.
pub struct RetryBudget {
    tenths: AtomicU32,
    refused: AtomicU64,
}

impl RetryBudget {
    /// Ten second calls.
    const FULL: u32 = 100;
    /// One second call.
    const CALL: u32 = 10;

    /// A request came.
    pub(super) fn gain(&self) {
        // A plain load first: while all is well this is no write to a shared cache line.
        if self.tenths.load(Ordering::Relaxed) < Self::FULL {
            self.update(|tenths| Some((tenths + 1).min(Self::FULL)));
        }
    }

    /// Takes one second call out of the bucket, if there is one.
    pub(super) fn draw(&self) -> bool {
        let drawn = self.update(|tenths| tenths.checked_sub(Self::CALL));
        if !drawn {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        drawn
    }

    /// How often there was none.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn update(&self, change: impl Fn(u32) -> Option<u32>) -> bool {
        self.tenths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            tenths: AtomicU32::new(Self::FULL),
            refused: AtomicU64::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::Unreachable;

    proptest! {
        #[test]
        fn no_run_of_requests_has_more_second_calls_than_ten_and_a_tenth_of_it(
            is_request in prop::collection::vec(prop::bool::weighted(0.7), 1..300),
        ) {
            let budget = RetryBudget::default();
            // Tenths of a second call, for the runs that begin at each request so far.
            let mut left_to_runs: Vec<i32> = Vec::new();
            for is_request in is_request {
                left_to_runs.push(100);
                let change = if is_request {
                    budget.gain();
                    1
                } else if budget.draw() {
                    -10
                } else {
                    prop_assert!(left_to_runs.iter().any(|left| *left < 10));
                    0
                };
                for left in &mut left_to_runs {
                    *left += change;
                    prop_assert!(*left >= 0);
                }
            }
        }
    }

    fn answer(status: u16, retry_after: Option<&str>, message: &str) -> Result<Answer, CallError> {
        let code = if status == 429 {
            "TOO_MANY_REQUESTS"
        } else {
            "OTHER"
        };
        let body = format!(r#"{{"code":"{code}","message":"{message}","status":"error"}}"#);
        let mut response = http::Response::builder().status(status);
        if let Some(wait) = retry_after {
            response = response.header("retry-after", wait);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        Answer::read(head, body.into()).map_err(CallError::InvalidAnswer)
    }

    #[test]
    fn what_may_be_otherwise_the_next_time_deserves_a_second_call() {
        for (result, again) in [
            (
                Err(CallError::Unreachable(Unreachable::Refused)),
                Some(Again::NotSent),
            ),
            (Err(CallError::ConnectionLost), Some(Again::Unknown)),
            (
                Err(CallError::InvalidAnswer(InvalidAnswer::Incomplete)),
                Some(Again::Unknown),
            ),
            (
                Err(CallError::InvalidAnswer(InvalidAnswer::Gateway)),
                Some(Again::Unknown),
            ),
            (Err(CallError::InvalidAnswer(InvalidAnswer::Envelope)), None),
            (Err(CallError::Timeout), None),
            (Err(CallError::NoTime), None),
            (answer(502, None, "x"), Some(Again::Unknown)),
            (answer(500, None, "x"), None),
            (answer(403, None, "x"), None),
            (answer(429, None, "x"), Some(Again::Refused)),
            (answer(429, Some("3"), "x"), None),
            (answer(429, None, "no credits"), None),
        ] {
            assert_eq!(Again::of(&result), again, "{:?}", result.err());
        }
    }

    #[test]
    fn the_bucket_starts_full_and_holds_ten() {
        let budget = RetryBudget::default();

        assert_eq!((0..20).filter(|_| budget.draw()).count(), 10);
    }

    #[test]
    fn ten_requests_earn_one_second_call() {
        let budget = RetryBudget::default();
        while budget.draw() {}

        (0..9).for_each(|_| budget.gain());
        assert!(!budget.draw());
        budget.gain();
        assert!(budget.draw());
        assert!(!budget.draw());
    }
}
