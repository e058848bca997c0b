//! The credentials of one account: which are in use, which are tried next, which are refused.
//!
//! The client's secret and the refresh token may each stand in several places, and what stands there may change. Invariants:
//! the pair that has proved itself serves until another one has; a secret that is refused is not tried again before its place
//! changes or nothing else is left; and nothing here tells a secret.

use tracing::{error, info};

use super::grant::Failure;
use crate::config::{AccountConfig, Secret, Secrets};
use crate::telemetry::TokenObserver;

/// What one token request presents beside the client's id.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

impl Pair {
    /// What is presented first, if nothing is known of it yet.
    pub(super) fn first_of(account: &AccountConfig) -> Option<Self> {
        Some(Self {
            client_secret: account.client_secret.usable().next()?.1.clone(),
            refresh_token: account.refresh_token.usable().next()?.1.clone(),
        })
    }
}

/// Everything that may be presented for one account.
pub(super) struct Credentials {
    client_secrets: Candidates,
    refresh_tokens: Candidates,
    /// The pair that brought the latest token, even if it stands in no place any more.
    proved: Option<Pair>,
    observer: TokenObserver,
}

/// One of the two, wherever it stands.
struct Candidates {
    places: Secrets,
    refused: Vec<Secret>,
}

impl Credentials {
    pub(super) fn new(account: &AccountConfig, observer: TokenObserver) -> Self {
        Self {
            client_secrets: Candidates::new(account.client_secret.clone()),
            refresh_tokens: Candidates::new(account.refresh_token.clone()),
            proved: None,
            observer,
        }
    }

    /// Looks at every file again, and says whether there is a new secret.
    pub(super) async fn look(&mut self) -> bool {
        let mut is_new = false;
        // Files that are replaced together are read together: once more, if the first reading may have met both states.
        while self.client_secrets.look(&self.observer).await
            | self.refresh_tokens.look(&self.observer).await
        {
            is_new = true;
        }
        is_new
    }

    /// What is presented next: the first of each that is not refused.
    pub(super) fn next(&self) -> Option<Pair> {
        let proved = self.proved.as_ref();
        Some(Pair {
            client_secret: self
                .client_secrets
                .next(proved.map(|it| &it.client_secret))?,
            refresh_token: self
                .refresh_tokens
                .next(proved.map(|it| &it.refresh_token))?,
        })
    }

    /// The pair that brought the latest token, unless it has been refused since.
    pub(super) fn proved(&self) -> Option<Pair> {
        let proved = self.proved.as_ref()?;
        let is_refused = self.client_secrets.refused.contains(&proved.client_secret)
            || self.refresh_tokens.refused.contains(&proved.refresh_token);
        (!is_refused).then(|| proved.clone())
    }

    /// Whether a pair brought the latest token, refused since or not.
    pub(super) fn brought_the_latest(&self, pair: &Pair) -> bool {
        self.proved.as_ref() == Some(pair)
    }

    /// Whether a pair is to prove itself beside one that has.
    pub(super) fn has_untried(&self) -> bool {
        let proved = self.proved();
        proved.is_some() && self.next() != proved
    }

    /// A pair brought a token: from now on it is the one.
    pub(super) fn accepted(&mut self, pair: Pair) {
        if self.proved.as_ref().is_some_and(|proved| *proved != pair) {
            info!(
                account = self.observer.account(),
                client_secret = self.client_secrets.position(&pair.client_secret),
                refresh_token = self.refresh_tokens.position(&pair.refresh_token),
                "changed credentials have proved themselves and are in use from now on"
            );
        }
        self.proved = Some(pair);
        self.client_secrets.forget_what_is_gone();
        self.refresh_tokens.forget_what_is_gone();
    }

    /// Zoho refuses a pair for good. Says whether there is another one; if not, all of them may be tried again later.
    pub(super) fn refused(&mut self, pair: &Pair, failure: Failure) -> bool {
        let (candidates, secret) = if failure.is_about_the_client() {
            (&mut self.client_secrets, &pair.client_secret)
        } else {
            (&mut self.refresh_tokens, &pair.refresh_token)
        };
        let (key, position) = (candidates.places.key(), candidates.position(secret));
        candidates.refused.push(secret.clone());
        self.observer.credential_failed(key, position, "refused");
        let is_left = self.next().is_some();
        if is_left {
            error!(
                account = self.observer.account(),
                key,
                position,
                cause = %failure,
                "a credential is refused: another one serves, or is tried at once"
            );
        } else {
            self.client_secrets.refused.clear();
            self.refresh_tokens.refused.clear();
        }
        is_left
    }
}

impl Candidates {
    fn new(places: Secrets) -> Self {
        Self {
            places,
            refused: Vec::new(),
        }
    }

    async fn look(&mut self, observer: &TokenObserver) -> bool {
        let (account, key) = (observer.account(), self.places.key());
        let mut is_new = false;
        for news in self.places.look().await {
            let position = news.position;
            match news.found {
                Ok(secret) => {
                    info!(
                        account,
                        key, position, "a credential file has changed: its secret is tried"
                    );
                    self.refused.retain(|refused| refused != secret);
                    is_new = true;
                }
                Err(problem) => {
                    error!(
                        account,
                        key,
                        position,
                        problem,
                        "a credential file cannot be used: what it held before serves on"
                    );
                    observer.credential_failed(key, position, "unusable");
                }
            }
        }
        is_new
    }

    /// The first one that is not refused: in the order of the places, then the one that has proved itself.
    fn next(&self, proved: Option<&Secret>) -> Option<Secret> {
        let usable = self.places.usable().map(|(_, secret)| secret);
        let mut all = usable.chain(proved);
        all.find(|secret| !self.refused.contains(secret)).cloned()
    }

    /// Drops refused secrets that stand nowhere any more.
    fn forget_what_is_gone(&mut self) {
        let places = &self.places;
        self.refused
            .retain(|refused| places.usable().any(|(_, secret)| secret == refused));
    }

    /// Where a secret stands, from 1; 0 if it stands nowhere any more.
    fn position(&self, secret: &Secret) -> usize {
        let mut usable = self.places.usable();
        usable
            .find(|(_, usable)| *usable == secret)
            .map_or(0, |(position, _)| position)
    }
}
