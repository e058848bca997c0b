//! Whether a call can have been carried out: the one fact that every answer of ours rests on.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Shared between the call and whoever must know when the call itself cannot say it any more: it was dropped, it
/// panicked, its time was up.
#[derive(Default)]
pub struct Progress {
    sent: AtomicBool,
    earlier: AtomicBool,
    attempts: AtomicU8,
}

impl Progress {
    /// Notes that a call begins.
    pub(crate) fn calling(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that it was no call yet.
    pub(crate) fn not_called(&self) {
        self.attempts.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many calls were begun.
    #[must_use]
    pub fn attempts(&self) -> u8 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Notes that the request is about to be written.
    pub(crate) fn sending(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Notes that it surely was not carried out: not a byte was written, or Zoho refused the token.
    pub fn not_carried_out(&self) {
        self.sent.store(false, Ordering::Relaxed);
    }

    /// Notes that what became of a call is unknown, whatever becomes of the next one.
    pub fn unknown(&self) {
        self.earlier.store(true, Ordering::Relaxed);
    }

    /// Takes over how far a call has got that another request made as well for this one.
    pub(crate) fn take_over(&self, shared: &Self) {
        self.sent.store(shared.is_sent(), Ordering::Relaxed);
        let earlier = shared.earlier_may_be_carried_out();
        self.earlier.store(earlier, Ordering::Relaxed);
        self.attempts.store(shared.attempts(), Ordering::Relaxed);
    }

    /// Whether an earlier call can have been carried out.
    #[must_use]
    pub fn earlier_may_be_carried_out(&self) -> bool {
        self.earlier.load(Ordering::Relaxed)
    }

    /// Whether this call was sent, and what became of it is not known yet.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether the photo can have been deleted.
    #[must_use]
    pub fn may_be_carried_out(&self) -> bool {
        self.is_sent() || self.earlier_may_be_carried_out()
    }
}
