//! The budget of token requests: at most so many in any window, whatever happens.
//!
//! Zoho blocks a refresh token for the rest of the window after 10 requests in 10 minutes
//! (<https://www.zoho.com/accounts/protocol/oauth/token-limits.html>). Whether failed requests count there is not published, so
//! here they do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::TokenConfig;

/// The budget of one refresh token, for all who spend from it.
#[derive(Clone)]
pub struct SharedBudget(Arc<Mutex<Budget>>);

impl SharedBudget {
    pub(super) fn new(config: &TokenConfig) -> Self {
        let budget = Budget::new(config.budget, config.budget_window);
        Self(Arc::new(Mutex::new(budget)))
    }

    /// How many token requests are left in the current window.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.lock().remaining(Instant::now())
    }

    /// A budget is right after every statement, so a panic elsewhere has not spoilt it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Budget> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moments at which the requests of the current window ended, or began if they are under way.
pub(super) struct Budget {
    size: usize,
    window: Duration,
    spent: VecDeque<Instant>,
}

impl Budget {
    pub(super) fn new(size: usize, window: Duration) -> Self {
        Self {
            size,
            window,
            spent: VecDeque::with_capacity(size),
        }
    }

    /// The first moment at which a request is allowed.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        match self.spent.front() {
            Some(oldest) if self.spent.len() >= self.size => now.max(*oldest + self.window),
            _ => now,
        }
    }

    /// Takes one request out of the budget, if it is allowed now.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        self.forget_before(now);
        let allowed = self.spent.len() < self.size;
        if allowed {
            self.spent.push_back(now);
        }
        allowed
    }

    /// The request that was begun then has ended. It counts from now on: when Zoho saw it is not known.
    pub(super) fn ended(&mut self, begun: Instant, now: Instant) {
        if let Some(place) = self.spent.iter().position(|moment| *moment == begun) {
            self.spent.remove(place);
            self.spent.push_back(now);
        }
    }

    /// Puts the latest request back: it surely never reached Zoho.
    pub(super) fn refund(&mut self) {
        self.spent.pop_back();
    }

    /// How many requests are left now.
    pub(super) fn remaining(&mut self, now: Instant) -> usize {
        self.forget_before(now);
        self.size - self.spent.len()
    }

    fn forget_before(&mut self, now: Instant) {
        while self
            .spent
            .front()
            .is_some_and(|oldest| *oldest + self.window <= now)
        {
            self.spent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    proptest! {
        #[test]
        fn no_window_of_zohos_sees_more_than_the_budget_and_nothing_less_is_refused(
            tries in prop::collection::vec((0..120_u64, 0..15_u64, 0.0..=1.0, prop::bool::weighted(0.8)), 1..100),
        ) {
            let mut budget = Budget::new(8, WINDOW);
            let mut now = Instant::now();
            // When each request was seen by Zoho, and when it had ended.
            let mut requests: Vec<(Instant, Instant)> = Vec::new();
            for (pause, takes, seen_at, is_sent) in tries {
                now += Duration::from_secs(pause);
                if !budget.spend(now) {
                    let counted = requests.iter().filter(|(_, ended)| now < *ended + WINDOW).count();
                    prop_assert_eq!(counted, 8);
                    let free_at = budget.free_at(now);
                    prop_assert!(now < free_at && free_at <= now + WINDOW);
                    now = free_at;
                    prop_assert!(budget.spend(now));
                }
                let begun = now;
                let takes = Duration::from_secs(takes);
                now += takes;
                budget.ended(begun, now);
                if is_sent {
                    requests.push((begun + takes.mul_f64(seen_at), now));
                } else {
                    budget.refund();
                }
            }
            prop_assert!(requests.windows(9).all(|nine| nine[8].0 - nine[0].0 >= WINDOW));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_possible_moment_is_known() {
        let mut budget = Budget::new(2, WINDOW);
        let start = Instant::now();
        assert!(budget.spend(start));
        assert_eq!(budget.free_at(start), start);
        let later = start + Duration::from_mins(1);
        assert!(budget.spend(later));

        assert_eq!(budget.free_at(later), start + WINDOW);
        assert!(!budget.spend(start + WINDOW - Duration::from_millis(1)));
        assert!(budget.spend(start + WINDOW));
        assert_eq!(budget.free_at(start + WINDOW), later + WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_spend_from_it_see_what_is_left() {
        let budget = SharedBudget::new(&TokenConfig {
            timeout: Duration::from_secs(10),
            budget: 3,
            budget_window: WINDOW,
        });
        let other = budget.clone();
        assert!(budget.lock().spend(Instant::now()));
        assert_eq!((budget.remaining(), other.remaining()), (2, 2));

        tokio::time::advance(WINDOW).await;

        assert_eq!(other.remaining(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_left_is_put_back() {
        let mut budget = Budget::new(1, WINDOW);
        let now = Instant::now();
        assert!(budget.spend(now));
        assert_eq!(budget.remaining(now), 0);

        budget.refund();

        assert_eq!(budget.remaining(now), 1);
        assert!(budget.spend(now));
    }
}
