//! The operator's own limit on an account's calls in any 24 hours: a loop of valid deletions must not empty the credits of
//! the whole company.
//!
//! Calls are counted by the quarter of an hour, and a quarter counts until all of it is 24 hours past. So memory is small
//! and fixed, no 24 hours see more calls than allowed, and a call counts at most a quarter of an hour longer than it must.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// What is counted together.
const QUARTER: Duration = Duration::from_mins(15);

/// The quarters of a day, and the one that is under way.
const QUARTERS: usize = 24 * 4 + 1;

/// The calls of one account in the last 24 hours. Known to this process alone, and until it ends.
pub struct DailyCalls {
    limit: usize,
    started: Instant,
    window: Mutex<Window>,
}

/// The day's calls are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the calls that this proxy's configuration allows the account in 24 hours are used up")]
pub struct DailyCallsSpent {
    /// When there will be some again.
    pub retry_after: Duration,
}

/// One of the day's calls. Dropped unused, it is given back.
pub(crate) struct DailyCall<'a> {
    calls: &'a DailyCalls,
    quarter: usize,
}

impl DailyCalls {
    /// So many calls in any 24 hours.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            started: Instant::now(),
            window: Mutex::new(Window::default()),
        }
    }

    /// Takes one of the day's calls, if there is one.
    pub(crate) fn take(&self) -> Result<DailyCall<'_>, DailyCallsSpent> {
        let now = self.started.elapsed();
        let taken = self.window().take(now, self.limit);
        let quarter = taken.map_err(|retry_after| DailyCallsSpent { retry_after })?;
        Ok(DailyCall {
            calls: self,
            quarter,
        })
    }

    /// How many are left now.
    #[must_use]
    pub fn remaining(&self) -> usize {
        let mut window = self.window();
        window.move_to(quarter_of(self.started.elapsed()));
        self.limit.saturating_sub(window.total)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DailyCall<'_> {
    /// The call was sent: it counts.
    pub(crate) fn used(self) {
        std::mem::forget(self);
    }
}

impl Drop for DailyCall<'_> {
    fn drop(&mut self) {
        // What a panic struck may have been sent.
        if !thread::panicking() {
            self.calls.window().give_back(self.quarter);
        }
    }
}

/// The calls of each quarter, as a ring; `newest` is under way.
struct Window {
    calls: [usize; QUARTERS],
    newest: usize,
    total: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            calls: [0; QUARTERS],
            newest: 0,
            total: 0,
        }
    }
}

impl Window {
    /// Counts a call, and says in which quarter; if there is none left, says how long until there is.
    fn take(&mut self, now: Duration, limit: usize) -> Result<usize, Duration> {
        let quarter = quarter_of(now);
        self.move_to(quarter);
        if self.total >= limit {
            return Err(self.moves_at().saturating_sub(now));
        }
        *self.calls_in(quarter) += 1;
        self.total += 1;
        Ok(quarter)
    }

    fn give_back(&mut self, quarter: usize) {
        if quarter + QUARTERS > self.newest {
            *self.calls_in(quarter) -= 1;
            self.total -= 1;
        }
    }

    /// Forgets what is too long ago.
    fn move_to(&mut self, quarter: usize) {
        let gone = quarter.saturating_sub(self.newest).min(QUARTERS);
        for ago in 0..gone {
            let forgotten = std::mem::take(self.calls_in(quarter - ago));
            self.total -= forgotten;
        }
        self.newest = self.newest.max(quarter);
    }

    /// When the first quarter with a call is forgotten.
    fn moves_at(&mut self) -> Duration {
        let oldest = self.newest.saturating_sub(QUARTERS - 1);
        let first = (oldest..self.newest).find(|quarter| *self.calls_in(*quarter) > 0);
        let forgotten_in = first.unwrap_or(self.newest) + QUARTERS;
        QUARTER * u32::try_from(forgotten_in).unwrap_or(u32::MAX)
    }

    fn calls_in(&mut self, quarter: usize) -> &mut usize {
        self.calls
            .get_mut(quarter % QUARTERS)
            .expect("a remainder is smaller than what was divided by")
    }
}

fn quarter_of(now: Duration) -> usize {
    // Even where usize has 32 bits, that many quarters are no process's life.
    usize::try_from(now.as_secs() / QUARTER.as_secs()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_hours(24);

    #[tokio::test(start_paused = true)]
    async fn the_calls_of_a_day_are_as_many_as_allowed() {
        let calls = DailyCalls::new(3);
        for left in [2, 1, 0] {
            calls.take().ok().unwrap().used();
            assert_eq!(calls.remaining(), left);
        }
        tokio::time::advance(Duration::from_hours(1)).await;

        let spent = calls.take().err().unwrap();

        assert_eq!(spent.retry_after, Duration::from_hours(23) + QUARTER);
        let a_little = Duration::from_millis(1);
        tokio::time::advance(spent.retry_after.saturating_sub(a_little)).await;
        assert!(calls.take().is_err());
        tokio::time::advance(a_little).await;
        assert_eq!(calls.remaining(), 3);
        assert!(calls.take().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_sent_is_given_back() {
        let calls = DailyCalls::new(1);

        drop(calls.take().ok().unwrap());

        assert_eq!(calls.remaining(), 1);
        let late = calls.take();
        tokio::time::advance(DAY * 3).await;
        assert_eq!(calls.remaining(), 1);
        drop(late);
        assert_eq!(calls.remaining(), 1);
    }

    proptest! {
        #[test]
        fn no_24_hours_see_more_calls_than_allowed_and_little_more_see_no_fewer(
            limit in 1..20_usize,
            pauses in prop::collection::vec((0..20_000_u64, any::<bool>()), 1..300),
        ) {
            let mut window = Window::default();
            let mut now = Duration::ZERO;
            let mut used: Vec<Duration> = Vec::new();
            let within = |used: &[Duration], now: Duration, span: Duration| {
                used.iter().filter(|then| now.saturating_sub(**then) < span).count()
            };
            for (pause, is_used) in pauses {
                now += Duration::from_secs(pause);
                match window.take(now, limit) {
                    Ok(quarter) if !is_used => window.give_back(quarter),
                    Ok(_) => {
                        used.push(now);
                        prop_assert!(within(&used, now, DAY) <= limit);
                    }
                    Err(wait) => {
                        prop_assert!(within(&used, now, DAY + QUARTER) >= limit);
                        prop_assert!(wait > Duration::ZERO && wait <= DAY + QUARTER);
                        now += wait;
                        let quarter = window.take(now, limit);
                        prop_assert!(quarter.is_ok());
                        window.give_back(quarter.unwrap_or_default());
                    }
                }
            }
        }
    }
}
