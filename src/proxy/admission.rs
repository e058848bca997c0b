//! The right to make one call: nothing that is known of the account forbids it.

use super::{Failure, Shared};
use crate::upstream::{DailyCall, DailyCalls, Pass};

/// The right to make one call. Dropped without one, it is given back: else a request that makes no call could use up the
/// turn of the one that finds out whether there are connections or credits again.
pub(super) struct Admission<'a> {
    breaker: Pass<'a>,
    credits: Pass<'a>,
    daily: Option<DailyCall<'a>>,
}

impl Shared {
    /// Whether a call may be made now.
    pub(super) fn admit(&self) -> Result<Admission<'_>, Failure> {
        Ok(Admission {
            breaker: self.breaker.check()?,
            credits: self.credits.check()?,
            daily: self.daily.as_ref().map(DailyCalls::take).transpose()?,
        })
    }
}

impl Admission<'_> {
    /// The call was sent.
    pub(super) fn used(self) {
        self.breaker.used();
        self.credits.used();
        if let Some(daily) = self.daily {
            daily.used();
        }
    }
}
