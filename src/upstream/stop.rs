//! A stop: while it is on, nobody passes until its time is up, and then one at a time finds out whether it is over.
//!
//! Without a lock, and without a look at the clock while it is off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Off, or on until a moment.
pub(super) struct Stop {
    started: Instant,
    /// In milliseconds since `started`; 0 is off.
    until: AtomicU64,
    /// How long one who finds out has for it, and how long the others wait meanwhile.
    patience: Duration,
}

impl Stop {
    /// A stop that is off.
    pub(super) fn off(patience: Duration) -> Self {
        Self {
            started: Instant::now(),
            until: AtomicU64::new(0),
            patience,
        }
    }

    /// Whether one may pass; if not, how long until somebody may.
    pub(super) fn check(&self) -> Result<(), Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return Ok(());
        }
        let now = milliseconds(self.started.elapsed());
        if until <= now && self.is_first(until, now) {
            return Ok(());
        }
        match self.until.load(Ordering::Relaxed) {
            // It was cleared meanwhile.
            0 => Ok(()),
            until => Err(Duration::from_millis(until.saturating_sub(now))),
        }
    }

    /// Of those who come when the time is up, one goes.
    fn is_first(&self, until: u64, now: u64) -> bool {
        let next = now + milliseconds(self.patience);
        self.until
            .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// On for so long, or for as long as one who finds out has.
    pub(super) fn set(&self, wait: Option<Duration>) {
        let wait = milliseconds(wait.unwrap_or(self.patience)).max(1);
        let until = milliseconds(self.started.elapsed()).saturating_add(wait);
        self.until.store(until, Ordering::Relaxed);
    }

    /// Off again.
    pub(super) fn clear(&self) {
        if self.is_set() {
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// Whether it is on.
    pub(super) fn is_set(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn while_it_is_off_everybody_passes() {
        let stop = Stop::off(PATIENCE);

        assert!((0..100).all(|_| stop.check().is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_time_is_up_one_passes_and_the_others_wait_again() {
        let stop = Stop::off(PATIENCE);
        stop.set(Some(Duration::from_secs(2)));
        assert_eq!(stop.check(), Err(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(2)).await;

        assert_eq!(stop.check(), Ok(()));
        assert_eq!(stop.check(), Err(PATIENCE));
        tokio::time::advance(PATIENCE).await;
        assert_eq!(stop.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn cleared_it_is_off() {
        let stop = Stop::off(PATIENCE);
        stop.set(None);
        assert!(stop.is_set());

        stop.clear();

        assert!(!stop.is_set() && stop.check().is_ok());
    }
}
