//! One token request outside of any keeper, for whoever examines an account: with a store by the rules of the fleet, so
//! that the fleet's budget counts it and the fleet uses what it brings.

use std::time::Duration;

use tokio::time::Instant;

use super::access::AccessToken;
use super::credentials::Pair;
use super::grant::{Failure, Grant};
use super::schedule::Schedule;
use super::store::{Store, Turn};
use crate::config::{AccountConfig, TokenConfig};

/// What came of it.
pub enum Asked {
    /// A token, and the API host that Zoho names with it.
    Brought(Option<String>),
    /// No request: the replicas have a token, for so long.
    Stored(Duration),
    /// No request: another replica is at it, or all together have used up the budget, for so long.
    NotNow(Duration),
    /// The failure of a request, this one or another replica's.
    Failed(Failure),
}

/// Asks for an access token with the first of the account's credentials, if the store that replicas share has none. A store
/// that is away is as good as none.
pub async fn ask_once(
    account: &AccountConfig,
    http: reqwest::Client,
    config: &TokenConfig,
    store: Option<&mut Store>,
) -> Asked {
    let Some(pair) = Pair::first_of(account) else {
        return Asked::Failed(Failure::Transient("there are no credentials"));
    };
    let grant = Grant::new(&account.accounts, &account.client_id, http);
    let Some(store) = store else {
        return match grant.refresh(&pair).await {
            Ok(granted) => Asked::Brought(granted.api_domain),
            Err(failure) => Asked::Failed(failure),
        };
    };
    let version = match store.take(0, false).await {
        Turn::Mine(version) => version,
        Turn::Away => 1,
        Turn::Newer(shared) => {
            return Asked::Stored(shared.expires.saturating_duration_since(Instant::now()));
        }
        Turn::Busy(wait) | Turn::Spent(wait) => return Asked::NotNow(wait),
        Turn::Failed(failure, _) => return Asked::Failed(failure),
    };
    let begun = Instant::now();
    match grant.refresh(&pair).await {
        Ok(granted) => {
            let expires = begun + granted.lifetime;
            let token = AccessToken::new(version, granted.authorization, expires);
            store.publish(&token, granted.lifetime).await;
            Asked::Brought(granted.api_domain)
        }
        Err(failure) => {
            let wait = Schedule::new(config.budget_window).wait_after(&failure);
            store.fail(0, Some((failure, wait))).await;
            Asked::Failed(failure)
        }
    }
}
