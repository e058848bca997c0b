//! How many calls may be in flight at once: the configured number, or fewer while Zoho takes fewer.
//!
//! It shrinks by a tenth when Zoho refuses a call as one too many or lets one time out, and grows back by one a second.
//! Calls that were in flight together tell of one and the same trouble, so all that began before the cap was cut count
//! once, as congestion does in TCP (RFC 3168, section 6.1.2).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long without trouble until the cap grows by one.
pub(super) const GROWS_EVERY: Duration = Duration::from_secs(1);

/// A cap on calls in flight.
pub(super) struct Cap {
    now: AtomicUsize,
    most: usize,
    changes: Mutex<Changes>,
}

struct Changes {
    /// When it grew, or there was trouble, last.
    rests_since: Instant,
    /// When it was cut last.
    cut: Option<Instant>,
}

impl Cap {
    /// A cap of at most that many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            now: AtomicUsize::new(most),
            most,
            changes: Mutex::new(Changes {
                rests_since: Instant::now(),
                cut: None,
            }),
        }
    }

    /// The most calls in flight for now.
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// A call that began then was one too many, or Zoho let it time out: a tenth less, but never nothing.
    pub(super) fn shrink(&self, begun: Instant) {
        let mut changes = self.changes();
        let now = Instant::now();
        changes.rests_since = now;
        if changes.cut.is_some_and(|cut| begun <= cut) {
            return;
        }
        changes.cut = Some(now);
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
        let mut changes = self.changes();
        if changes.rests_since.elapsed() < GROWS_EVERY || self.now() >= self.most {
            return false;
        }
        changes.rests_since = Instant::now();
        self.now.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that began just now is trouble.
    async fn trouble(cap: &Cap) {
        let begun = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        cap.shrink(begun);
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_takes_a_tenth_and_a_quiet_second_gives_one_back() {
        let cap = Cap::new(20);
        trouble(&cap).await;
        assert_eq!(cap.now(), 18);
        tokio::time::advance(Duration::from_millis(1)).await;
        trouble(&cap).await;
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
    async fn calls_that_were_in_flight_together_count_once_however_late_they_end() {
        let cap = Cap::new(25);
        let begun = Instant::now();
        for _ in 0..10 {
            tokio::time::advance(GROWS_EVERY).await;
            cap.shrink(begun);
        }
        assert_eq!(cap.now(), 22);

        trouble(&cap).await;

        assert_eq!(cap.now(), 19);
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_does_not_count_again_still_keeps_it_from_growing() {
        let cap = Cap::new(10);
        let begun = Instant::now();
        cap.shrink(begun);
        tokio::time::advance(GROWS_EVERY).await;
        cap.shrink(begun);

        assert!(!cap.grow());
        tokio::time::advance(GROWS_EVERY).await;
        assert!(cap.grow());
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_shrinks_to_nothing() {
        let cap = Cap::new(10);
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(1)).await;
            trouble(&cap).await;
        }

        assert_eq!(cap.now(), 1);
    }
}
