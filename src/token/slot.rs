//! Where an account's token lies, and where requests learn that there is none.
//!
//! The token itself is in the cache; the slot's state says what its keeper is doing. Requests and keeper meet here and
//! nowhere else. Invariant: the state is changed, and a token put or dropped, under one lock, so that a request never mistakes
//! "about to be asked for" for "between tries".

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::sync::Cache;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::access::{AccessToken, Trial};
use super::grant::Failure;

/// The access tokens, by the number of their slot.
type Tokens = Cache<usize, Arc<AccessToken>>;

/// The place of one account's access token.
pub struct Slot {
    number: usize,
    tokens: Tokens,
    /// What the cache holds for this slot. The cache notes each look at it, which costs as much as a request's timers.
    at_hand: ArcSwapOption<AccessToken>,
    state: watch::Sender<State>,
    wake: Notify,
}

/// What the keeper is doing.
struct State {
    phase: Phase,
    last: Standing,
    /// Whether any token request has brought a token yet.
    was_good: bool,
    /// When a token that Zoho refuses without ever having accepted it is renewed.
    renewal_of_refused: Option<Instant>,
    /// When the tokens that were put here expire, if they have not yet.
    live: Vec<Instant>,
}

enum Phase {
    /// A token request is in flight and ends by then, or begins at once.
    Requesting(Instant),
    /// None is, and whoever has no token must wait until then.
    Resting(Instant),
}

/// How the latest finished token request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None has finished yet.
    Untried,
    /// With a token.
    Good,
    /// Without one.
    Failed(Failure),
}

impl fmt::Display for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untried => out.write_str("the first token request has not ended yet"),
            Self::Good => out.write_str("the latest token request brought a token"),
            Self::Failed(failure) => failure.fmt(out),
        }
    }
}

/// There is no usable access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no usable access token{}", self.cause.map_or_else(String::new, |cause| format!(": {cause}")))]
pub struct Unavailable {
    /// Why, if a token request has failed; otherwise one is still under way.
    pub cause: Option<Failure>,
    /// How long until the next try.
    pub retry_after: Duration,
}

/// What to do about a token that Zoho's API refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is dropped, or was not current any more: wait for a newer one.
    Dropped,
    /// Zoho has never accepted it, so the fault is not the token's age. It stays. The next renewal is that far away, if
    /// its keeper has noticed already.
    NeverAccepted(Option<Duration>),
}

impl Slot {
    /// An empty slot. Slots that share a cache have different numbers.
    #[must_use]
    pub fn new(number: usize, tokens: Tokens) -> Self {
        let state = State {
            phase: Phase::Requesting(Instant::now()),
            last: Standing::Untried,
            was_good: false,
            renewal_of_refused: None,
            live: Vec::new(),
        };
        Self {
            number,
            tokens,
            at_hand: ArcSwapOption::empty(),
            state: watch::Sender::new(state),
            wake: Notify::new(),
        }
    }

    /// A cache for that many slots. It never evicts: it is larger than the number of its keys.
    #[must_use]
    pub fn cache(slots: usize) -> Tokens {
        Cache::new(slots as u64 + 1)
    }

    /// The current token, unless it has expired.
    #[must_use]
    pub fn current(&self) -> Option<Arc<AccessToken>> {
        self.at_hand.load_full().filter(|token| token.is_usable())
    }

    /// How the latest token request ended.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.state.borrow().last
    }

    /// Whether any token request has brought a token yet.
    #[must_use]
    pub fn was_good(&self) -> bool {
        self.state.borrow().was_good
    }

    /// How many tokens that were put here have not expired. It is not known which of them Zoho has forgotten.
    #[must_use]
    pub fn live(&self) -> usize {
        let now = Instant::now();
        let state = self.state.borrow();
        state.live.iter().filter(|expires| **expires > now).count()
    }

    /// How long no token request is made, wanted or not.
    #[must_use]
    pub fn cooldown(&self) -> Duration {
        match self.state.borrow().phase {
            Phase::Resting(next_try) => next_try.saturating_duration_since(Instant::now()),
            Phase::Requesting(_) => Duration::ZERO,
        }
    }

    /// The current token, or the first one that a token request in flight brings before the deadline.
    pub async fn wait(&self, deadline: Instant) -> Result<Arc<AccessToken>, Unavailable> {
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let mut state = self.state.subscribe();
        loop {
            // The state before the cache: a keeper fills the cache first and rests afterwards.
            let resting = state.borrow_and_update().resting();
            if let Some(token) = self.current() {
                return Ok(token);
            }
            if let Some(unavailable) = resting {
                return Err(unavailable);
            }
            let changed = tokio::time::timeout_at(deadline, state.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return Err(self.state.borrow().out_of_time());
            }
        }
    }

    /// Notes that Zoho's API refused a token.
    pub fn reject(&self, token: &AccessToken) -> Rejection {
        let before = token.trial();
        token.refused();
        let mut rejection = Rejection::Dropped;
        self.state.send_if_modified(|state| {
            let is_current = self
                .tokens
                .get(&self.number)
                .is_some_and(|now| now.version() == token.version());
            if is_current && token.trial() == Trial::Refused {
                rejection = Rejection::NeverAccepted(state.until_renewal_of_refused());
                return false;
            }
            // Requests that hold it and have not sent it yet must learn of it too.
            token.drop_it();
            if !is_current {
                return false;
            }
            self.tokens.invalidate(&self.number);
            self.at_hand.store(None);
            state.request_if_allowed()
        });
        // Once a change, and not once a request: the keeper may be looking at the store.
        if token.trial() != before {
            self.wake.notify_one();
        }
        rejection
    }

    /// Puts a new token in the place of the old one.
    pub(super) fn put(&self, token: Arc<AccessToken>) {
        // Under the lock: a refusal of the old token must not empty the slot behind the new one.
        self.state.send_if_modified(|state| {
            let now = Instant::now();
            state.live.retain(|expires| *expires > now);
            state.live.push(token.expires());
            self.tokens.insert(self.number, Arc::clone(&token));
            self.at_hand.store(Some(token));
            false
        });
    }

    /// The token in the slot, expired or not.
    pub(super) fn held(&self) -> Option<Arc<AccessToken>> {
        self.tokens.get(&self.number)
    }

    /// Says that a token request begins, and by when it is over.
    pub(super) fn requesting(&self, until: Instant) {
        self.state.send_modify(|state| {
            state.phase = Phase::Requesting(until);
            state.renewal_of_refused = None;
        });
    }

    /// Says when the current token, which Zoho refuses without ever having accepted it, is renewed.
    pub(super) fn renews_refused(&self, at: Instant) {
        self.state.send_if_modified(|state| {
            state.renewal_of_refused = Some(at);
            // Nobody waits for this.
            false
        });
    }

    /// Notes how a token request ended.
    pub(super) fn finished(&self, standing: Standing) {
        self.state.send_modify(|state| {
            state.last = standing;
            state.was_good |= standing == Standing::Good;
        });
    }

    /// Says that the keeper rests; who has no token must wait until `next_try`. Not if that is due already.
    pub(super) fn rest(&self, next_try: Instant) -> bool {
        self.state.send_if_modified(|state| {
            let due = self.tokens.get(&self.number).is_none() && next_try <= Instant::now();
            if !due {
                state.phase = Phase::Resting(next_try);
            }
            !due
        })
    }

    /// Waits until a request rejects a token.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl State {
    /// What a request without a token is told while the keeper rests.
    fn resting(&self) -> Option<Unavailable> {
        let Phase::Resting(next_try) = self.phase else {
            return None;
        };
        let cause = match self.last {
            Standing::Failed(failure) => Some(failure),
            Standing::Untried | Standing::Good => None,
        };
        Some(Unavailable {
            cause,
            retry_after: next_try.saturating_duration_since(Instant::now()),
        })
    }

    /// What a request is told that has waited in vain for a token request in flight: how long that may still take.
    fn out_of_time(&self) -> Unavailable {
        let (Phase::Requesting(until) | Phase::Resting(until)) = self.phase;
        Unavailable {
            cause: None,
            retry_after: until.saturating_duration_since(Instant::now()),
        }
    }

    fn until_renewal_of_refused(&self) -> Option<Duration> {
        let at = self.renewal_of_refused?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn request_if_allowed(&mut self) -> bool {
        let allowed = matches!(self.phase, Phase::Resting(next_try) if next_try <= Instant::now());
        if allowed {
            self.phase = Phase::Requesting(Instant::now());
        }
        allowed
    }
}

#[cfg(test)]
mod tests;
