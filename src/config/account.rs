//! The `[accounts.…]` sections: where an organisation lives and which credentials reach it.

use super::reader::Section;
use super::secret::Secrets;
use crate::account::{Accounts, is_account_name};
use crate::zoho::{DataCenter, Origin};

/// One account.
pub struct AccountConfig {
    /// The name that callers use.
    pub name: String,
    /// Where its tokens are issued.
    pub accounts: Origin,
    /// Where its API answers.
    pub api: Origin,
    /// The OAuth client.
    pub client_id: String,
    /// The client's secret, wherever it may stand.
    pub client_secret: Secrets,
    /// The refresh token, which is bound to one user of one organisation.
    pub refresh_token: Secrets,
    /// Calls in any 24 hours, if they are limited.
    pub daily_calls: Option<usize>,
}

impl AccountConfig {
    /// Whether another account's access tokens are this one's too, now and after any change: the same credentials out of the
    /// same places, at the same hosts.
    #[must_use]
    pub fn shares_token_with(&self, other: &Self) -> bool {
        self.accounts == other.accounts
            && self.api == other.api
            && self.client_id == other.client_id
            && self.client_secret.stand_with(&other.client_secret)
            && self.refresh_token.stand_with(&other.refresh_token)
    }

    /// Whether Zoho counts another account's token requests together with this one's: they have a refresh token in common.
    #[must_use]
    pub fn shares_budget_with(&self, other: &Self) -> bool {
        let mut tokens = self.refresh_token.usable();
        self.accounts == other.accounts
            && (self.refresh_token.stand_with(&other.refresh_token)
                || tokens.any(|(_, token)| other.refresh_token.usable().any(|(_, it)| it == token)))
    }

    /// What is to be said of its files that cannot be used while others can.
    pub(super) fn unusable_files(&self) -> impl Iterator<Item = String> {
        let secrets = [&self.client_secret, &self.refresh_token];
        let warnings = secrets.into_iter().flat_map(Secrets::warnings);
        warnings.map(|warning| format!("accounts.{}.{warning}", self.name))
    }
}

pub(super) fn read_all(root: &Section) -> Vec<AccountConfig> {
    let accounts = root.section("accounts");
    accounts
        .names()
        .into_iter()
        .map(|name| read(&accounts, name))
        .collect()
}

/// The names, once all accounts are read; the default account is one of them.
pub(super) fn read_names(root: &Section, accounts: &[AccountConfig]) -> Accounts {
    let names: Vec<String> = accounts
        .iter()
        .map(|account| account.name.clone())
        .collect();
    let default = match (root.text("default_account"), names.as_slice()) {
        (default, [only]) if default.is_empty() => only.clone(),
        (default, _) => default,
    };
    if names.is_empty() {
        root.error(
            "accounts",
            "is empty: add a section such as [accounts.main]",
        );
    } else if default.is_empty() {
        root.error(
            "default_account",
            "is missing: with several accounts, say which one serves requests without a prefix",
        );
    } else if !names.contains(&default) {
        root.error(
            "default_account",
            "must be the name of a section below [accounts]",
        );
    }
    Accounts::new(names, &default)
        .unwrap_or_else(|| Accounts::new(vec![String::new()], "").expect("a list of one"))
}

fn read(accounts: &Section, name: String) -> AccountConfig {
    if !is_account_name(&name) {
        accounts.error(&name, "must be named [a-z][a-z0-9-]{0,31}, and not bigin");
    }
    let account = accounts.section(&name);
    let client_id = account.text("client_id");
    if client_id.is_empty() || !client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        account.error(
            "client_id",
            "must be the client id from https://api-console.zoho.com",
        );
    }
    let center = read_data_center(&account);
    AccountConfig {
        accounts: read_origin(
            &account,
            "accounts_url",
            center.map(|center| center.accounts_url),
        ),
        api: read_origin(&account, "api_url", center.map(|center| center.api_url)),
        client_secret: Secrets::read(&account, "client_secret"),
        refresh_token: Secrets::read(&account, "refresh_token"),
        daily_calls: account.optional_number("daily_calls", 1..=100_000_000),
        client_id,
        name,
    }
}

fn read_data_center(account: &Section) -> Option<DataCenter> {
    let name = account.text("data_center");
    if name.is_empty() {
        return None;
    }
    DataCenter::named(&name).or_else(|| {
        let names = DataCenter::ALL.map(|center| center.name).join(", ");
        account.error(
            "data_center",
            format!("must be one of {names}; for others give accounts_url and api_url instead"),
        );
        // A stand-in, so that its URLs are not reported as missing too.
        DataCenter::ALL.into_iter().next()
    })
}

/// The URL that is written, else the data center's.
fn read_origin(account: &Section, key: &str, of_center: Option<&str>) -> Origin {
    let written = account.text(key);
    let text = if written.is_empty() {
        of_center.unwrap_or_default()
    } else {
        &written
    };
    Origin::parse(text).unwrap_or_else(|problem| {
        if text.is_empty() {
            account.error(
                key,
                "is missing: give data_center, or accounts_url and api_url",
            );
        } else {
            account.error(key, problem);
        }
        Origin::parse("https://invalid").expect("a constant")
    })
}
