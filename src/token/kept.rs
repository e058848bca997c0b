//! Which accounts share a token: one slot and one keeper for each refresh token at each pair of hosts, one budget for
//! each refresh token.

use std::sync::Arc;

use rustls::ClientConfig;

use super::budget::SharedBudget;
use super::credentials::Credentials;
use super::grant::Grant;
use super::keeper::Keeper;
use super::slot::Slot;
use super::store::Store;
use crate::config::{AccountConfig, TokenConfig, TokenStoreConfig};
use crate::telemetry::Telemetry;

/// What an account has of its token.
#[derive(Clone)]
pub struct Kept {
    /// Where the token lies.
    pub slot: Arc<Slot>,
    /// How many token requests are left.
    pub budget: SharedBudget,
}

/// Makes a keeper for each token, and says what each account has of it, in the order of the accounts. The store comes with
/// the TLS that it is reached by.
#[must_use]
pub fn keep(
    accounts: &[AccountConfig],
    http: &reqwest::Client,
    config: &TokenConfig,
    store: Option<(&Arc<TokenStoreConfig>, &Arc<ClientConfig>)>,
    telemetry: &Arc<Telemetry>,
) -> (Vec<Kept>, Vec<Keeper>) {
    let cache = Slot::cache(accounts.len());
    let (mut kept, mut keepers): (Vec<Kept>, Vec<Keeper>) = (Vec::new(), Vec::new());
    for account in accounts {
        let mut earlier = accounts.iter().zip(&kept);
        if let Some((_, shared)) = earlier
            .clone()
            .find(|(other, _)| other.shares_token_with(account))
        {
            kept.push(shared.clone());
            continue;
        }
        let budget = earlier
            .find(|(other, _)| other.shares_budget_with(account))
            .map_or_else(|| SharedBudget::new(config), |(_, it)| it.budget.clone());
        let slot = Arc::new(Slot::new(keepers.len(), cache.clone()));
        let grant = Grant::new(&account.accounts, &account.client_id, http.clone());
        let observer = telemetry.token_observer(&account.name, &account.accounts);
        let credentials = Credentials::new(account, observer.clone());
        let store = store.and_then(|store| Store::of(account, config, store, observer.clone()));
        let keeper = Keeper::new(
            Arc::clone(&slot),
            (credentials, grant, account.api.clone()),
            (budget.clone(), store),
            config,
            observer,
        );
        kept.push(Kept { slot, budget });
        keepers.push(keeper);
    }
    (kept, keepers)
}
