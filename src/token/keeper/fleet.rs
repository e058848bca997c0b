//! How a keeper gets along with those of other replicas.
//!
//! One of them asks Zoho; the others wait for what comes of it. Nobody waits for ever: not for the store, and not for a
//! replica that took the turn and died. While a token lives, both are waited for into its last tenth, then this replica
//! helps itself, within its own budget.

use std::future;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::Keeper;
use crate::token::access::{AccessToken, Trial};
use crate::token::credentials::Pair;
use crate::token::grant::Failure;
use crate::token::schedule::{Schedule, between};
use crate::token::store::{Seen, Shared, Store, Turn};

/// Seconds between two looks at what another replica's request has brought: callers may be waiting.
const BUSY_WAIT: Range<f64> = 0.05..0.15;

/// A store that is away is waited for as long as so many commands may take, while nobody waits for a token: a replica's own
/// start, or fifty others', may slow it down.
const COMMANDS_TO_START: u32 = 8;

/// Waits for the next look at the store; for ever without one.
pub(super) async fn look(
    store: &mut Option<Store>,
    token: Option<&AccessToken>,
    version: u64,
) -> Seen {
    match store {
        Some(store) => store.look(token, version).await,
        None => future::pending().await,
    }
}

impl Keeper {
    /// A new token is due: from the store, or from Zoho if it is this replica's turn.
    pub(super) async fn renew(&mut self) {
        self.look().await;
        let Some(pair) = self.pair(Instant::now()) else {
            let wait = self.schedule.wait_after_transient();
            return self.fail(Failure::Transient("there are no credentials"), wait);
        };
        let token = self.slot.current();
        let token = token.filter(|token| token.trial() != Trial::Refused);
        // Credentials that are to prove themselves take nothing over: the token at hand is not theirs.
        let token = token.filter(|_| self.credentials.brought_the_latest(&pair));
        let patience = self.patience(token.as_deref());
        let held = self.held_of(&pair);
        let Some(store) = &mut self.store else {
            return self.ask(pair, held + 1).await;
        };
        let command_timeout = store.command_timeout();
        store.turn_to(&pair);
        let turn = if Instant::now() < patience {
            let turn = store.take(held, false);
            let turn = tokio::time::timeout_at(patience, turn).await;
            turn.unwrap_or(Turn::Away)
        } else {
            store.take(held, token.is_some()).await
        };
        match turn {
            Turn::Mine(version) => self.ask(pair, version).await,
            Turn::Newer(token) => self.adopt(token),
            // With what is left, the next turn goes on as if this one had not been.
            Turn::Failed(failure @ Failure::Refused(_), _)
                if self.credentials.refused(&pair, failure) => {}
            Turn::Failed(failure, wait) => self.hear_of(failure, wait),
            Turn::Spent(wait) => self.not_before = Instant::now() + wait,
            Turn::Busy(left) => {
                if token.is_none() {
                    // That is known for so long, even if the store is away meanwhile.
                    self.patience = Some(Instant::now() + left);
                }
                let wait = Duration::from_secs_f64(between(BUSY_WAIT));
                self.wait_for_others(left, wait.min(left)).await;
            }
            Turn::Away => {
                let left = patience.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return self.ask(pair, held + 1).await;
                }
                self.wait_for_others(left, command_timeout.min(left)).await;
            }
        }
    }

    /// Turns the store to the credentials in use, and returns the newest version that is known of their tokens.
    pub(super) fn show_what_is_in_use(&mut self) -> u64 {
        let Some(store) = &mut self.store else {
            return self.version;
        };
        let proved = self.credentials.proved();
        if let Some(pair) = proved.or_else(|| self.credentials.next()) {
            store.turn_to(&pair);
            return self.held_of(&pair);
        }
        self.version
    }

    /// The newest version that is known of a pair's tokens.
    fn held_of(&self, pair: &Pair) -> u64 {
        if self.credentials.brought_the_latest(pair) {
            self.version
        } else {
            0
        }
    }

    /// Until when others are waited for: with a living token until a moment in its last tenth, drawn when the wait begins; for a
    /// moment if the credentials have brought no token that lives and nobody waits for one; else not at all.
    fn patience(&mut self, token: Option<&AccessToken>) -> Instant {
        let now = Instant::now();
        let command_timeout = self.store.as_ref().map(Store::command_timeout);
        let store_wait = command_timeout.unwrap_or_default() * COMMANDS_TO_START;
        let (lifetime, nobody_waits) = (
            self.lifetime,
            !self.slot.was_good() || self.slot.current().is_some(),
        );
        *self.patience.get_or_insert_with(|| match token {
            Some(token) => {
                let own_time = Schedule::own_time(lifetime);
                token.expires().checked_sub(own_time).unwrap_or(now)
            }
            None if nobody_waits => now + store_wait,
            None => now,
        })
    }

    /// Waits a little for something that takes at most so long. If the token dies meanwhile, that is another matter.
    async fn wait_for_others(&mut self, at_most: Duration, wait: Duration) {
        self.slot
            .requesting(Instant::now() + at_most + self.timeout);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.slot.woken() => self.patience = None,
        }
    }

    /// Acts on what the store shows.
    pub(super) async fn learn(&mut self, seen: Seen) {
        match seen {
            Seen::Newer(token) => self.adopt(token),
            // The store has lost it, or was away when this replica got it.
            Seen::Missing if self.shares_the_token_at_hand() => self.publish().await,
            Seen::Accepted => {
                if let Some(token) = self.slot.held() {
                    token.accepted();
                }
            }
            Seen::Missing | Seen::Nothing => {}
        }
    }

    /// Whether there is a living token, and the store is turned to the credentials that it comes from.
    fn shares_the_token_at_hand(&self) -> bool {
        let mut pair = self.store.iter().map(Store::pair);
        self.slot.current().is_some() && pair.any(|pair| self.credentials.brought_the_latest(pair))
    }

    /// Lets the others have the token in the slot. One that is newer takes its place.
    pub(super) async fn publish(&mut self) {
        let (Some(store), Some(token)) = (&mut self.store, self.slot.held()) else {
            return;
        };
        if let Some(newer) = store.publish(&token, self.lifetime).await {
            self.adopt(newer);
        }
    }

    /// Ends this replica's turn without a token. Perhaps another replica has one by now.
    pub(super) async fn leave_turn(&mut self, failure: Option<(Failure, Duration)>) {
        let pair = self.store.as_ref().map(Store::pair);
        let held = pair.map_or(0, |pair| self.held_of(pair));
        let Some(store) = &mut self.store else {
            return;
        };
        if let Some(newer) = store.fail(held, failure).await {
            self.adopt(newer);
        }
    }

    /// Takes another replica's token for this one's.
    fn adopt(&mut self, shared: Shared) {
        if let Some(store) = &self.store {
            self.credentials.accepted(store.pair().clone());
        }
        let token = AccessToken::new(shared.version, shared.authorization, shared.expires);
        if shared.accepted {
            token.accepted();
        }
        let expires_in_s = shared
            .expires
            .saturating_duration_since(Instant::now())
            .as_secs();
        self.put(token, shared.lifetime);
        self.observer.adopted();
        info!(
            account = self.observer.account(),
            version = self.version,
            expires_in_s,
            "access token taken from the store"
        );
    }

    /// Another replica's failure counts here too.
    fn hear_of(&mut self, failure: Failure, wait: Duration) {
        self.schedule.heard_of(&failure);
        self.rest_after(failure, wait);
    }
}
