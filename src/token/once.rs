//! One token request outside of any keeper, for whoever examines an account. Nothing keeps what it brings.

use super::credentials::Pair;
use super::grant::{Failure, Grant};
use crate::config::AccountConfig;

/// Asks for an access token with the first of the account's credentials, and returns the API host that Zoho names with it.
pub async fn ask_once(
    account: &AccountConfig,
    http: reqwest::Client,
) -> Result<Option<String>, Failure> {
    let pair = Pair::first_of(account).ok_or(Failure::Transient("there are no credentials"))?;
    let grant = Grant::new(&account.accounts, &account.client_id, http);
    Ok(grant.refresh(&pair).await?.api_domain)
}
