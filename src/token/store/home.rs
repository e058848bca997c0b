//! Where an account's entries lie in the store, and what seals them: both depend on its credentials.

use super::seal::Seal;
use crate::config::{AccountConfig, TokenStoreConfig};
use crate::token::credentials::Pair;
use crate::token::fingerprint::Fingerprint;
use crate::zoho::Origin;

/// The places of the names that entries are bound to.
pub(super) const TOKEN: usize = 0;
pub(super) const FAILURE: usize = 2;

/// What is the same whatever the credentials: the account, its data center, and what every key begins with.
pub(super) struct Home {
    prefix: String,
    account: String,
    client_id: String,
    accounts: Origin,
    api: Origin,
}

impl Home {
    pub(super) fn of(account: &AccountConfig, config: &TokenStoreConfig) -> Self {
        Self {
            prefix: config.key_prefix.clone(),
            account: account.name.clone(),
            client_id: account.client_id.clone(),
            accounts: account.accounts.clone(),
            api: account.api.clone(),
        }
    }

    pub(super) fn names_and_seal(&self, pair: &Pair) -> ([String; 5], Seal) {
        let (prefix, account) = (&self.prefix, &self.account);
        let of_token = Fingerprint::of_token(&self.client_id, pair, &self.accounts);
        let of_budget = Fingerprint::of_budget(pair, &self.accounts).name();
        let seal = Seal::new(of_token.sealing_key(), format!("{account} {}", self.api));
        let of_token = of_token.name();
        let names = [
            format!("{prefix}:{account}:{of_token}:token"),
            format!("{prefix}:{account}:{of_token}:lease"),
            format!("{prefix}:{account}:{of_token}:failure"),
            format!("{prefix}:{of_budget}:spent"),
            format!("{prefix}:{of_budget}:throttled"),
        ];
        (names, seal)
    }
}
