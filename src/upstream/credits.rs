//! What is known of an account's API credits, which its whole organisation shares.
//!
//! Zoho counts credits in a rolling window of 24 hours (<https://www.bigin.com/developer/docs/apis/v2/api-limits.html>). Once it
//! has said that they are spent, asking again is of no use until the window has moved: one call at a time finds out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::answer::Answer;

/// How often a call finds out whether there are credits again, if Zoho does not say when.
const PROBE_EVERY: Duration = Duration::from_mins(1);

/// There is no such number of credits: none was told yet.
const UNTOLD: u64 = u64::MAX;

/// The credits of one account.
pub struct Credits {
    started: Instant,
    /// When the next call may find out whether there are credits again, in milliseconds since the start; 0 while there are.
    spent_until: AtomicU64,
    remaining: AtomicU64,
}

/// There are no credits left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the organisation's API credits of the day are spent")]
pub struct CreditsSpent {
    /// When one call may find out whether there are some again.
    pub retry_after: Duration,
}

impl Credits {
    /// Whether a call may be made. While credits are spent, one may in each minute, or when Zoho said.
    pub fn check(&self) -> Result<(), CreditsSpent> {
        let until = self.spent_until.load(Ordering::Relaxed);
        // Without a look at the clock while all is well.
        if until == 0 {
            return Ok(());
        }
        let now = self.now();
        let next = now + milliseconds(PROBE_EVERY);
        // Of those who come when the time is up, one goes.
        let is_first = || {
            self.spent_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if until <= now && is_first() {
            return Ok(());
        }
        let until = self.spent_until.load(Ordering::Relaxed);
        let retry_after = Duration::from_millis(until.saturating_sub(now));
        Err(CreditsSpent { retry_after })
    }

    /// Learns from an answer of Zoho's.
    pub fn learn(&self, answer: &Answer) {
        if let Some(remaining) = answer.credits_remaining() {
            self.remaining.store(remaining, Ordering::Relaxed);
        }
        if answer.envelope.credits_spent {
            let wait = answer.retry_after().unwrap_or(PROBE_EVERY);
            let until = self.now() + milliseconds(wait).max(1);
            self.spent_until.store(until, Ordering::Relaxed);
        } else if self.spent_until.load(Ordering::Relaxed) != 0 && proves_credits(answer.status) {
            self.spent_until.store(0, Ordering::Relaxed);
        }
    }

    /// How many are left, if Zoho has told.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        Some(self.remaining.load(Ordering::Relaxed)).filter(|it| *it != UNTOLD)
    }

    fn now(&self) -> u64 {
        milliseconds(self.started.elapsed())
    }
}

impl Default for Credits {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            spent_until: AtomicU64::new(0),
            remaining: AtomicU64::new(UNTOLD),
        }
    }
}

/// A fault says nothing about credits, and neither does a refusal because too many calls are under way.
fn proves_credits(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
