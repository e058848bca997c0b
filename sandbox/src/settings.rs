//! How the sandbox behaves when nothing is wrong: credentials, limits, times.
//!
//! Every default is what Zoho documents, or, where it documents nothing, an assumption that is named as one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The behaviour of a [`Sandbox`](crate::Sandbox). JSON of it needs only the keys that differ from the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where all randomness starts: the text of tokens, and which requests a fault with
    /// [`When::Share`](crate::When::Share) hits. A change takes effect with the next reset.
    pub seed: u64,
    /// The one client id that is accepted. A made-up one.
    pub client_id: String,
    /// The one client secret that is accepted. A made-up one.
    pub client_secret: String,
    /// The one refresh token that is accepted. A made-up one; it never changes and never expires, as at Zoho:
    /// <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>.
    pub refresh_token: String,
    /// The grant code that buys this refresh token, once: a self client's, of the API console.
    pub grant_code: String,
    /// The scopes of every access token. The default is the least that deletes photos of all modules; the `ALL` scopes
    /// of <https://www.bigin.com/developer/docs/apis/v2/delete-image.html> are understood as well.
    pub scopes: Vec<String>,
    /// Whether a token answer names the scopes. Zoho's sometimes do, its documented sample does not.
    pub scope_in_answer: bool,
    /// What a token answer says about the address of the API.
    pub api_domain: ApiDomain,
    /// How long an access token lives: an hour, says
    /// <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>. A lifetime that is not whole
    /// seconds is told in Zoho's other form: `expires_in` in milliseconds beside `expires_in_sec`.
    pub token_lifetime_seconds: f64,
    /// How many token requests a window admits: "up to ten access tokens in a span of ten minutes", says
    /// <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>. Whether failed ones count is
    /// not documented; here they do.
    pub tokens_per_window: u64,
    /// How long that window is, from its first request on. After it has been used up, every request is refused until
    /// it ends.
    pub window_seconds: f64,
    /// How many access tokens live at once. One more ends the oldest. Zoho's pages name 10, 15 and 30, the least at
    /// <https://www.zoho.com/accounts/protocol/oauth/token-limits.html>.
    pub live_tokens: usize,
    /// How many API calls may be in work at once. Bigin publishes no number; 25 is the highest that
    /// <https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html> names for the sister product.
    pub concurrency: u64,
    /// How many API calls a rolling day admits, without counting users:
    /// <https://www.zoho.com/bigin/developer/docs/apis/api-limits.html>.
    pub credits: u64,
    /// How long that rolling day is. A day at Zoho; a test may not have that long.
    pub credit_window_seconds: f64,
    /// Whether the accounts server has a port of its own, as it has a host of its own at Zoho. Read when the sandbox
    /// starts, not later.
    pub separate_accounts_port: bool,
    /// After how many idle milliseconds a connection is closed without a word. Zoho's time is not documented; `None`
    /// never closes.
    pub idle_timeout_ms: Option<u64>,
    /// How many milliseconds the API takes for every answer.
    pub delay_ms: u64,
    /// What deleting a photo answers if there is none.
    pub missing_photo: MissingPhoto,
    /// Ids that no record has. Every other well-formed id is a record with a photo.
    pub unknown_records: Vec<u64>,
    /// Whether the user behind the tokens lacks the permission to delete photos.
    pub no_permission: bool,
    /// How many requests the ledger keeps word for word; the oldest go first. The counts stay complete.
    pub keep_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            client_id: "1000.SANDBOX".to_owned(),
            client_secret: "sandbox-client-secret".to_owned(),
            refresh_token: "1000.sandbox-refresh-token".to_owned(),
            grant_code: "1000.sandbox-grant-code".to_owned(),
            scopes: Module::ALL
                .iter()
                .map(|module| module.delete_scope())
                .collect(),
            scope_in_answer: false,
            api_domain: ApiDomain::Own,
            token_lifetime_seconds: 3600.0,
            tokens_per_window: 10,
            window_seconds: 600.0,
            live_tokens: 10,
            concurrency: 25,
            credits: 50_000,
            credit_window_seconds: 86_400.0,
            separate_accounts_port: false,
            idle_timeout_ms: None,
            delay_ms: 0,
            missing_photo: MissingPhoto::Success,
            unknown_records: Vec::new(),
            no_permission: false,
            keep_requests: 10_000,
        }
    }
}

impl Settings {
    /// Whether a token of this sandbox may delete photos of this module.
    pub(crate) fn permit(&self, module: Module) -> bool {
        let enough = [
            module.delete_scope(),
            module.all_scope(),
            "ZohoBigin.modules.ALL".to_owned(),
        ];
        self.scopes.iter().any(|scope| enough.contains(scope))
    }

    pub(crate) fn token_lifetime(&self) -> Duration {
        seconds(self.token_lifetime_seconds)
    }

    pub(crate) fn window(&self) -> Duration {
        seconds(self.window_seconds)
    }

    pub(crate) fn credit_window(&self) -> Duration {
        seconds(self.credit_window_seconds)
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout_ms.map(Duration::from_millis)
    }
}

/// A duration that can be added to any clock: negative counts as none, and nothing is longer than a century.
fn seconds(number: f64) -> Duration {
    const CENTURY: f64 = 3.2e9;
    Duration::try_from_secs_f64(number.min(CENTURY)).unwrap_or_default()
}

/// What a token answer says in `api_domain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiDomain {
    /// The address of the sandbox itself.
    #[default]
    Own,
    /// The field is left out.
    LeftOut,
    /// This text, right or wrong.
    Url(String),
}

/// What a second deletion of the same photo answers. Zoho does not document it, so a client must bear both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingPhoto {
    /// The same as the first.
    #[default]
    Success,
    /// `INVALID_DATA`, as if there were no such record.
    InvalidData,
}

/// A module whose records have photos: <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Module {
    /// `Contacts`.
    Contacts,
    /// `Accounts`, called Companies in the user interface.
    Accounts,
    /// `Products`.
    Products,
}

impl Module {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Contacts, Self::Accounts, Self::Products];

    /// The module of this API name, if it is one. Zoho's names are spelled with a capital.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|module| module.as_str() == name)
    }

    /// The API name, as it stands in paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Accounts => "Accounts",
            Self::Products => "Products",
        }
    }

    fn delete_scope(self) -> String {
        format!(
            "ZohoBigin.modules.{}.DELETE",
            self.as_str().to_ascii_lowercase()
        )
    }

    fn all_scope(self) -> String {
        format!(
            "ZohoBigin.modules.{}.ALL",
            self.as_str().to_ascii_lowercase()
        )
    }
}

impl fmt::Display for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Lets a test write `deletion.module == "Contacts"`.
impl PartialEq<&str> for Module {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
