//! One access token: the header that carries it, its end, and whether Zoho ever accepted it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use tokio::time::Instant;

/// An access token. It has no `Debug`: its header is a secret.
pub struct AccessToken {
    version: u64,
    authorization: HeaderValue,
    expires: Instant,
    expiry_timestamp: f64,
    trial: AtomicU8,
}

/// What Zoho's API has said of a token so far. It only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trial {
    /// Nothing yet.
    Untried = 0,
    /// Only refusals: perhaps the account is at fault and not the token.
    Refused = 1,
    /// It was accepted once, so a later refusal means that it is dead.
    Accepted = 2,
    /// That refusal has come.
    Dropped = 3,
}

impl AccessToken {
    pub(super) fn new(version: u64, authorization: HeaderValue, expires: Instant) -> Self {
        Self {
            version,
            authorization,
            expires,
            expiry_timestamp: timestamp(expires),
            trial: AtomicU8::new(Trial::Untried as u8),
        }
    }

    /// Counts the tokens of an account, from 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The value of the `Authorization` header, marked sensitive.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// When its time is over.
    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.expires <= Instant::now()
    }

    /// Whether it may still be sent: its time is not over, and Zoho has not refused it since it accepted it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.trial() != Trial::Dropped && !self.has_expired()
    }

    /// The same in seconds since 1970, as dashboards want it. Nothing is decided by it.
    #[must_use]
    pub fn expiry_timestamp(&self) -> f64 {
        self.expiry_timestamp
    }

    /// Notes that Zoho's API accepted it.
    pub fn accepted(&self) {
        // A plain load first: after the first request this is no write to a shared cache line any more.
        if self.trial() < Trial::Accepted {
            self.trial
                .fetch_max(Trial::Accepted as u8, Ordering::Relaxed);
        }
    }

    /// Notes a refusal. It does not undo an acceptance.
    pub(super) fn refused(&self) {
        self.trial
            .fetch_max(Trial::Refused as u8, Ordering::Relaxed);
    }

    /// Notes that it must not be used any more.
    pub(super) fn drop_it(&self) {
        self.trial
            .fetch_max(Trial::Dropped as u8, Ordering::Relaxed);
    }

    pub(super) fn trial(&self) -> Trial {
        match self.trial.load(Ordering::Relaxed) {
            0 => Trial::Untried,
            1 => Trial::Refused,
            2 => Trial::Accepted,
            _ => Trial::Dropped,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an expiry that people read is a date"
)]
fn timestamp(moment: Instant) -> f64 {
    let date = SystemTime::now() + moment.saturating_duration_since(Instant::now());
    date.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(lifetime: Duration) -> AccessToken {
        let authorization = HeaderValue::from_static("Zoho-oauthtoken x");
        AccessToken::new(7, authorization, Instant::now() + lifetime)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a date is what is tested")]
    fn its_end_is_told_as_a_date() {
        let hour = Duration::from_hours(1);
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();

        let told = token(hour).expiry_timestamp();

        let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let margin = 0.001;
        assert!(told >= (before + hour).as_secs_f64() - margin, "{told}");
        assert!(told <= (after + hour).as_secs_f64() + margin, "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_usable_until_its_end_and_not_at_it() {
        let second = Duration::from_secs(1);
        let token = token(second);
        assert!(token.is_usable() && !token.has_expired());

        tokio::time::advance(second).await;

        assert!(!token.is_usable() && token.has_expired());
    }

    #[test]
    fn what_zoho_has_said_of_it_only_rises() {
        let token = token(Duration::from_hours(1));
        assert_eq!((token.version(), token.trial()), (7, Trial::Untried));
        token.refused();
        assert_eq!(token.trial(), Trial::Refused);
        token.accepted();
        token.refused();
        assert_eq!(token.trial(), Trial::Accepted);
        assert!(token.is_usable());

        token.drop_it();
        token.accepted();

        assert_eq!(token.trial(), Trial::Dropped);
        assert!(!token.is_usable());
        assert_eq!(token.authorization(), "Zoho-oauthtoken x");
    }
}
