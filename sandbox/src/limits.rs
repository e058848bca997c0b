//! How much Zoho admits: token requests in a window, credits in a rolling day.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The throttle of the token endpoint: a window opens with a first request, admits so many, and then refuses until it
/// ends. "The access token creation will be blocked for the rest of the ten minutes", says
/// <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    opened: Option<Instant>,
    count: u64,
}

impl Throttle {
    /// Counts a request, and says whether it is admitted.
    pub(crate) fn admit(&mut self, at_most: u64, window: Duration) -> bool {
        let now = Instant::now();
        if self.opened.is_none_or(|opened| now >= opened + window) {
            *self = Self {
                opened: Some(now),
                count: 0,
            };
        }
        self.count += 1;
        self.count <= at_most
    }
}

/// The credits used in a rolling window.
#[derive(Debug, Default)]
pub(crate) struct Credits {
    /// Slices of the window, oldest first, with what was used in each.
    used: VecDeque<(Instant, u64)>,
    sum: u64,
}

impl Credits {
    /// So many slices keep the window exact to a minute of the day, whatever the traffic.
    const SLICES: u32 = 1440;

    /// Uses one credit, if one is left.
    pub(crate) fn spend(&mut self, at_most: u64, window: Duration) -> bool {
        let now = Instant::now();
        self.forget(now, window);
        if self.sum >= at_most {
            return false;
        }
        self.sum += 1;
        match self.used.back_mut() {
            Some((start, count)) if now < *start + window / Self::SLICES => *count += 1,
            _ => self.used.push_back((now, 1)),
        }
        true
    }

    /// What is left, once it is worth telling: Zoho sends the figure from half of the credits on.
    pub(crate) fn remaining_to_tell(&self, at_most: u64) -> Option<u64> {
        (self.sum.saturating_mul(2) >= at_most).then(|| at_most.saturating_sub(self.sum))
    }

    fn forget(&mut self, now: Instant, window: Duration) {
        while let Some((start, count)) = self.used.front().copied()
            && now >= start + window
        {
            self.sum -= count;
            self.used.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_throttle_refuses_until_its_window_ends_and_no_longer() {
        let mut throttle = Throttle::default();
        let admitted: Vec<bool> = (0..11).map(|_| throttle.admit(10, WINDOW)).collect();
        assert_eq!(admitted.iter().filter(|admitted| **admitted).count(), 10);

        pass(WINDOW / 2).await;
        assert!(!throttle.admit(10, WINDOW));
        pass(WINDOW / 2).await;
        assert!(throttle.admit(10, WINDOW));
    }

    #[tokio::test(start_paused = true)]
    async fn credits_come_back_as_the_window_rolls_on() {
        let mut credits = Credits::default();
        assert!(credits.spend(2, WINDOW));
        pass(WINDOW / 2).await;
        assert!(credits.spend(2, WINDOW));
        assert!(!credits.spend(2, WINDOW));

        pass(WINDOW / 2).await;

        assert!(credits.spend(2, WINDOW));
        assert!(!credits.spend(2, WINDOW));
    }

    #[test]
    fn the_remaining_credits_are_told_from_half_of_them_on() {
        let mut credits = Credits::default();
        credits.spend(4, WINDOW);
        assert_eq!(credits.remaining_to_tell(4), None);

        credits.spend(4, WINDOW);

        assert_eq!(credits.remaining_to_tell(4), Some(2));
    }
}
