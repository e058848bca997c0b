//! The task that keeps one refresh token's access token fresh. It never ends, and no request drives it.
//!
//! Each turn is one wait and at most one token request. A panic in a turn counts as a failed request: the budget, the
//! waits and the slot are the keeper's own and survive it. Credentials that have changed are tried at once, beside those that
//! have proved themselves; a permanent refusal leads on to the next ones. With a store, other replicas' tokens and failures count
//! as if they were this one's; how that goes is in `fleet`.

mod fleet;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::access::{AccessToken, Trial};
use super::budget::{Budget, SharedBudget};
use super::credentials::{Credentials, Pair};
use super::grant::{Failure, Grant, Granted};
use super::schedule::Schedule;
use super::slot::{Slot, Standing};
use super::store::Store;
use crate::config::TokenConfig;
use crate::telemetry::TokenObserver;
use crate::zoho::Origin;

/// Keeps the token in one slot fresh.
pub struct Keeper {
    slot: Arc<Slot>,
    credentials: Credentials,
    grant: Grant,
    api: Origin,
    budget: SharedBudget,
    /// What other replicas share with this one, if there are any.
    store: Option<Store>,
    /// The longest that a token request takes.
    timeout: Duration,
    schedule: Schedule,
    observer: TokenObserver,
    /// The latest token's version, and how long it lives in all.
    version: u64,
    lifetime: Duration,
    /// Until when the store, or another replica at work, is waited for while a token still lives. Set when a wait begins.
    patience: Option<Instant>,
    /// When renewal of the latest token is due.
    renew_at: Instant,
    /// Failures forbid any request before.
    not_before: Instant,
    /// When credentials that have not proved themselves yet are tried beside those that have.
    prove_at: Instant,
    /// When the credential files are looked at next.
    look_at: Instant,
    /// The version that Zoho's API has never accepted and refused, once that is dealt with.
    refused: u64,
}

impl Keeper {
    /// A keeper of `slot` that asks through `grant`, inside `budget`, and expects tokens for `api`.
    pub(super) fn new(
        slot: Arc<Slot>,
        (credentials, grant, api): (Credentials, Grant, Origin),
        (budget, store): (SharedBudget, Option<Store>),
        config: &TokenConfig,
        observer: TokenObserver,
    ) -> Self {
        let now = Instant::now();
        Self {
            slot,
            credentials,
            grant,
            api,
            budget,
            store,
            timeout: config.timeout,
            schedule: Schedule::new(config.budget_window),
            observer,
            version: 0,
            lifetime: Duration::ZERO,
            patience: None,
            renew_at: now,
            not_before: now,
            prove_at: now,
            look_at: now,
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
                self.observer.panicked();
                let wait = self.schedule.wait_after_panic();
                self.fail(Failure::Transient("the token keeper panicked"), wait);
            }
        }
    }

    /// Waits until a token request is due, until a request rejects the token, or until credentials change; then asks, if it
    /// is due.
    async fn turn(&mut self) {
        if self.look_at <= Instant::now() {
            self.look().await;
        }
        let due = self.due();
        if due <= Instant::now() {
            return self.renew().await;
        }
        if self.slot.rest(self.earliest()) {
            let token = self.slot.held();
            let held = self.show_what_is_in_use();
            let seen = tokio::select! {
                () = tokio::time::sleep_until(due.min(self.look_at)) => return,
                // Losing this branch loses nothing: a wake-up that comes meanwhile is kept for the next turn.
                () = self.slot.woken() => return,
                // Nor does this one: the next look shows the same.
                seen = fleet::look(&mut self.store, token.as_deref(), held) => seen,
            };
            self.learn(seen).await;
        }
    }

    /// Looks at the credential files. A new secret is tried at once, even while a refusal is waited out.
    async fn look(&mut self) {
        self.look_at = Instant::now() + self.schedule.look_interval();
        if self.credentials.look().await {
            let now = Instant::now();
            self.prove_at = now;
            if matches!(self.slot.standing(), Standing::Failed(Failure::Refused(_))) {
                self.not_before = now;
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
        let wanted = if self.credentials.has_untried() {
            wanted.min(self.prove_at)
        } else {
            wanted
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

    /// Asks Zoho with this pair, for a token of this version or a later one.
    async fn ask(&mut self, pair: Pair, version: u64) {
        let begun = Instant::now();
        if !self.budget().spend(begun) {
            return self.leave_turn(None).await;
        }
        self.slot.requesting(begun + self.timeout);
        let result = self.grant.refresh(&pair).await;
        self.budget().ended(begun, Instant::now());
        self.observer.requested(
            begun,
            self.grant.latest_status(),
            result.as_ref().map_or_else(Failure::as_str, |_| "ok"),
        );
        match result {
            Ok(granted) => {
                self.credentials.accepted(pair);
                let version = version.max(self.version + 1);
                self.keep(version, granted, begun).await;
            }
            // With what is left, the next turn goes on as if this one had not been.
            Err(failure @ Failure::Refused(_)) if self.credentials.refused(&pair, failure) => {
                let wait = self.schedule.wait_after(&failure);
                self.leave_turn(Some((failure, wait))).await;
            }
            Err(failure) => {
                let wait = self.schedule.wait_after(&failure);
                self.fail(failure, wait);
                self.leave_turn(Some((failure, wait))).await;
            }
        }
    }

    /// What to present: what is new, if its time has come, else what has proved itself.
    fn pair(&self, now: Instant) -> Option<Pair> {
        let proved = self.credentials.proved();
        proved
            .filter(|_| now < self.prove_at)
            .or_else(|| self.credentials.next())
    }

    /// Keeps a token that Zoho has issued. Its life counts from before the request.
    async fn keep(&mut self, version: u64, granted: Granted, begun: Instant) {
        self.compare_api_domain(granted.api_domain.as_deref());
        let expires = begun + granted.lifetime;
        let token = AccessToken::new(version, granted.authorization, expires);
        self.put(token, granted.lifetime);
        info!(
            account = self.observer.account(),
            version,
            expires_in_s = granted.lifetime.as_secs(),
            "access token renewed"
        );
        self.publish().await;
    }

    /// Puts a new token into the slot.
    fn put(&mut self, token: AccessToken, lifetime: Duration) {
        // A token that was refused without ever being accepted is no success yet: the waits go on growing.
        if self
            .slot
            .held()
            .is_none_or(|old| old.trial() != Trial::Refused)
        {
            self.schedule.succeeded();
        }
        let now = Instant::now();
        self.version = token.version();
        self.lifetime = lifetime;
        self.patience = None;
        let rest_of_life = lifetime.saturating_sub(Schedule::renewal_after(lifetime));
        self.renew_at = token.expires().checked_sub(rest_of_life).unwrap_or(now);
        self.not_before = now;
        self.slot.put(Arc::new(token));
        self.slot.finished(Standing::Good);
    }

    /// Notes that a token request of this replica's has failed.
    fn fail(&mut self, failure: Failure, wait: Duration) {
        if matches!(failure, Failure::Unreached(_)) {
            self.budget().refund();
        }
        self.rest_after(failure, wait);
    }

    /// Notes that there is no new token, and that the next try is due after that time.
    fn rest_after(&mut self, failure: Failure, wait: Duration) {
        self.not_before = Instant::now() + wait;
        self.patience = None;
        // What could not be tried must not keep from renewal what has proved itself.
        self.prove_at = self
            .not_before
            .max(Instant::now() + self.schedule.wait_to_prove());
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use reqwest::dns::{Name, Resolve, Resolving};

    use super::*;
    use crate::config::{self, Environment};
    use crate::telemetry::Telemetry;

    /// The first thing that a token request needs.
    #[derive(Default)]
    struct PanickingResolver(Mutex<Vec<Instant>>);

    impl Resolve for PanickingResolver {
        fn resolve(&self, _: Name) -> Resolving {
            self.0.lock().unwrap().push(Instant::now());
            panic!("on purpose");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_that_panics_is_at_work_again_within_a_second_and_counted() {
        let text = "[accounts.main]\ndata_center = \"eu\"\nclient_id = \"1000.ID\"\n\
                    client_secret = \"s\"\nrefresh_token = \"1000.r\"\n";
        let config =
            config::parse(text, &Environment::default()).unwrap_or_else(|it| panic!("{it}"));
        let account = &config.accounts[0];
        let tls = crate::upstream::tls_config(&rustls::RootCertStore::empty(), false).unwrap();
        let telemetry = Telemetry::start(None, &tls).unwrap();
        let resolver = Arc::new(PanickingResolver::default());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::clone(&resolver))
            .build()
            .unwrap();
        let slot = Arc::new(Slot::new(0, Slot::cache(1)));
        let observer = telemetry.token_observer(&account.name, &account.accounts);
        let credentials = Credentials::new(account, observer.clone());
        let grant = Grant::new(&account.accounts, &account.client_id, http);
        let keeper = Keeper::new(
            Arc::clone(&slot),
            (credentials, grant, account.api.clone()),
            (SharedBudget::new(&config.token), None),
            &config.token,
            observer,
        );

        let running = tokio::time::timeout(Duration::from_secs(10), keeper.run());

        assert!(running.await.is_err(), "it never ends");
        let tries = resolver.0.lock().unwrap();
        let [first, second] = tries[..] else {
            panic!("a second panic in a row is no chance event: {tries:?}")
        };
        assert!(second - first <= Duration::from_secs(1));
        assert!(telemetry.metrics.render().contains("bigin_panics_total 2"));
        assert!(matches!(slot.standing(), Standing::Failed(_)));
    }
}
