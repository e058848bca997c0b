//! The task that keeps one refresh token's access token fresh. It never ends, and no request drives it.
//!
//! Each turn is one wait and at most one token request. A panic in a turn counts as a failed request: the budget, the
//! waits and the slot are the keeper's own and survive it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::access::{AccessToken, Trial};
use super::budget::{Budget, SharedBudget};
use super::grant::{Failure, Grant, Granted};
use super::schedule::Schedule;
use super::slot::{Slot, Standing};
use crate::config::TokenConfig;
use crate::telemetry::TokenObserver;
use crate::zoho::Origin;

/// Keeps the token in one slot fresh.
pub struct Keeper {
    slot: Arc<Slot>,
    grant: Grant,
    api: Origin,
    budget: SharedBudget,
    /// The longest that a token request takes.
    timeout: Duration,
    schedule: Schedule,
    observer: TokenObserver,
    /// The latest token's version.
    version: u64,
    /// When renewal of the latest token is due.
    renew_at: Instant,
    /// Failures forbid any request before.
    not_before: Instant,
    /// The version that Zoho's API has never accepted and refused, once that is dealt with.
    refused: u64,
}

impl Keeper {
    /// A keeper of `slot` that asks through `grant`, inside `budget`, and expects tokens for `api`.
    pub(super) fn new(
        slot: Arc<Slot>,
        (grant, api): (Grant, Origin),
        (budget, config): (SharedBudget, &TokenConfig),
        observer: TokenObserver,
    ) -> Self {
        let now = Instant::now();
        Self {
            slot,
            grant,
            api,
            budget,
            timeout: config.timeout,
            schedule: Schedule::new(config.budget_window),
            observer,
            version: 0,
            renew_at: now,
            not_before: now,
            refused: 0,
        }
    }

    /// Keeps the token fresh for ever.
    pub async fn run(mut self) {
        loop {
            if AssertUnwindSafe(self.turn()).catch_unwind().await.is_err() {
                error!(
                    account = self.observer.account(),
                    "the token keeper panicked and goes on"
                );
                self.fail(Failure::Transient("the token keeper panicked"));
            }
        }
    }

    /// Waits until a token request is due, or until a request rejects the token; then asks, if it is due.
    async fn turn(&mut self) {
        let due = self.due();
        if due <= Instant::now() {
            return self.renew().await;
        }
        if self.slot.rest(self.earliest()) {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                // Losing this branch loses nothing: a wake-up that comes meanwhile is kept for the next turn.
                () = self.slot.woken() => {}
            }
        }
    }

    /// When the next token request should begin.
    fn due(&mut self) -> Instant {
        let wanted = match self.slot.held() {
            None => self.not_before,
            Some(token) if token.trial() == Trial::Refused => self.renewal_of_refused(&token),
            Some(_) => self.renew_at,
        };
        wanted.max(self.earliest())
    }

    /// Zoho refuses a token that it has never accepted. It stays, and is renewed as after a transient failure.
    fn renewal_of_refused(&mut self, token: &AccessToken) -> Instant {
        if self.refused != token.version() {
            self.refused = token.version();
            let wait = self.schedule.wait_after_transient();
            self.renew_at = self.renew_at.min(Instant::now() + wait);
            self.slot.renews_refused(self.renew_at.max(self.earliest()));
            error!(
                account = self.observer.account(),
                next_try_s = wait.as_secs_f64(),
                "Zoho's API refuses a fresh access token: wrong data center, or a user without access"
            );
        }
        self.renew_at
    }

    /// When a token request is allowed, wanted or not.
    fn earliest(&self) -> Instant {
        self.not_before.max(self.budget().free_at(Instant::now()))
    }

    async fn renew(&mut self) {
        let begun = Instant::now();
        if !self.budget().spend(begun) {
            return;
        }
        self.slot.requesting(begun + self.timeout);
        let result = self.grant.refresh().await;
        self.budget().ended(begun, Instant::now());
        self.observer.requested(
            begun,
            result.as_ref().map_or_else(Failure::as_str, |_| "ok"),
        );
        match result {
            Ok(granted) => self.keep(granted, begun),
            Err(failure) => self.fail(failure),
        }
    }

    /// Puts a new token into the slot. Its life counts from before the request.
    fn keep(&mut self, granted: Granted, begun: Instant) {
        self.compare_api_domain(granted.api_domain.as_deref());
        // A token that was refused without ever being accepted is no success yet: the waits go on growing.
        if self
            .slot
            .held()
            .is_none_or(|old| old.trial() != Trial::Refused)
        {
            self.schedule.succeeded();
        }
        self.version += 1;
        self.renew_at = begun + Schedule::renewal_after(granted.lifetime);
        self.not_before = begun;
        self.slot.put(Arc::new(AccessToken::new(
            self.version,
            granted.authorization,
            begun + granted.lifetime,
        )));
        self.slot.finished(Standing::Good);
        let expires_in_s = granted.lifetime.as_secs();
        info!(
            account = self.observer.account(),
            version = self.version,
            expires_in_s,
            "access token renewed"
        );
    }

    fn fail(&mut self, failure: Failure) {
        if matches!(failure, Failure::Unreached(_)) {
            self.budget().refund();
        }
        let wait = self.schedule.wait_after(&failure);
        self.not_before = Instant::now() + wait;
        self.slot.finished(Standing::Failed(failure));
        let (account, next_try_s) = (self.observer.account(), wait.as_secs_f64());
        if matches!(failure, Failure::Refused(_)) {
            error!(account, next_try_s, cause = %failure, "no access token: somebody must act");
        } else {
            warn!(account, next_try_s, cause = %failure, "no access token for now");
        }
    }

    /// Zoho names an API host with each token. The token goes to the configured one only; another one is reported.
    fn compare_api_domain(&self, named: Option<&str>) {
        if named.is_some_and(|named| !self.api.is_same_place_as(named)) {
            self.observer.foreign_api_domain();
            warn!(
                account = self.observer.account(),
                configured = %self.api,
                "the accounts server names another API host than the configured one: is data_center right?"
            );
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock()
    }
}
