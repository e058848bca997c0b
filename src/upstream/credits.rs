//! What is known of an account's API credits, which its whole organisation shares.
//!
//! Zoho counts credits in a rolling window of 24 hours (<https://www.bigin.com/developer/docs/apis/v2/api-limits.html>). Once it
//! has said that they are spent, asking again is of no use until the window has moved: one call at a time finds out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use super::answer::Answer;
use super::stop::{Pass, Stop};

/// How often a call finds out whether there are credits again, if Zoho does not say when.
const PROBE_EVERY: Duration = Duration::from_mins(1);

/// The most that is believed of Zoho's own Retry-After: the window moves all the time.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// There is no such number of credits: none was told yet.
const UNTOLD: u64 = u64::MAX;

/// The credits of one account.
pub struct Credits {
    spent: Stop,
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
    pub(crate) fn check(&self) -> Result<Pass<'_>, CreditsSpent> {
        let spent = |retry_after| CreditsSpent { retry_after };
        self.spent.check().map_err(spent)
    }

    /// Waits until no call may be made.
    pub async fn ended(&self) -> CreditsSpent {
        CreditsSpent {
            retry_after: self.spent.closed().await,
        }
    }

    /// Learns from an answer of Zoho's.
    pub fn learn(&self, answer: &Answer) {
        if let Some(remaining) = answer.credits_remaining() {
            self.remaining.store(remaining, Ordering::Relaxed);
        }
        if answer.envelope.credits_spent {
            let wait = answer.retry_after().map(|wait| wait.min(LONGEST_WAIT));
            self.spent.set(wait);
        } else if proves_credits(answer.status) {
            self.spent.clear();
        }
    }

    /// Whether they are spent, as far as is known.
    pub(crate) fn are_spent(&self) -> bool {
        self.spent.is_set()
    }

    /// How many are left, if Zoho has told.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        Some(self.remaining.load(Ordering::Relaxed)).filter(|it| *it != UNTOLD)
    }
}

impl Default for Credits {
    fn default() -> Self {
        Self {
            spent: Stop::off(PROBE_EVERY),
            remaining: AtomicU64::new(UNTOLD),
        }
    }
}

/// A fault says nothing about credits, and neither does a refusal because too many calls are under way.
fn proves_credits(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}
