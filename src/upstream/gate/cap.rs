//! How many calls may be in flight at once: the configured number, or fewer while Zoho takes fewer.
//!
//! It shrinks by a tenth when Zoho refuses a call as one too many or lets one time out, and grows back by one a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long without trouble until the cap grows by one.
pub(super) const GROWS_EVERY: Duration = Duration::from_secs(1);

/// A cap on calls in flight.
pub(super) struct Cap {
    now: AtomicUsize,
    most: usize,
    /// When it was changed last.
    changed: Mutex<Instant>,
    /// When a call timed out last.
    timed_out: Mutex<Option<Instant>>,
}

impl Cap {
    /// A cap of at most that many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            now: AtomicUsize::new(most),
            most,
            changed: Mutex::new(Instant::now()),
            timed_out: Mutex::new(None),
        }
    }

    /// The most calls in flight for now.
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Zoho let a call time out. All that hang in one stall end together and count once, or nothing would be left.
    pub(super) fn shrink_after_time_out(&self) {
        let mut last = self
            .timed_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < GROWS_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        self.shrink();
    }

    /// Zoho had more calls than it can take: a tenth less, but never nothing.
    pub(super) fn shrink(&self) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let smaller = |cap: usize| Some((cap * 9 / 10).max(1));
        self.now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, smaller)
            .expect("the closure never declines");
    }

    /// Zoho answered, and took the call well: one more, once a second. Says whether there is one more.
    pub(super) fn grow(&self) -> bool {
        // While all is well this is all.
        if self.now() >= self.most {
            return false;
        }
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.elapsed() < GROWS_EVERY || self.now() >= self.most {
            return false;
        }
        *changed = Instant::now();
        self.now.fetch_add(1, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_takes_a_tenth_and_a_quiet_second_gives_one_back() {
        let cap = Cap::new(20);
        cap.shrink();
        assert_eq!(cap.now(), 18);
        cap.shrink();
        assert_eq!(cap.now(), 16);

        assert!(!cap.grow());
        for more in [17, 18, 19, 20] {
            tokio::time::advance(GROWS_EVERY).await;
            assert!(cap.grow() && !cap.grow());
            assert_eq!(cap.now(), more);
        }
        tokio::time::advance(GROWS_EVERY).await;
        assert!(!cap.grow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_that_many_calls_hang_in_counts_once() {
        let cap = Cap::new(10);
        (0..10).for_each(|_| cap.shrink_after_time_out());
        assert_eq!(cap.now(), 9);
        tokio::time::advance(GROWS_EVERY).await;

        cap.shrink_after_time_out();

        assert_eq!(cap.now(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_shrinks_to_nothing() {
        let cap = Cap::new(10);
        (0..100).for_each(|_| cap.shrink());

        assert_eq!(cap.now(), 1);
    }
}
