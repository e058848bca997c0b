//! What must hold for any bytes whatever. `just fuzz` looks for bytes for which it does not; `tests/corpora.rs` replays those
//! that were interesting.

mod caller;
mod oracle;
mod store;
mod token;
mod upstream;
mod zoho;

use bigin_photo_proxy::account::Accounts;
use bigin_photo_proxy::config::{self, Environment};
use bigin_photo_proxy::target::Target;
use bigin_photo_proxy::zoho::Envelope;
use http::uri::PathAndQuery;

pub use caller::caller_bytes;
pub use store::store_answer;
pub use token::token_answer;
pub use upstream::upstream_bytes;

/// A function that any bytes may be given to.
pub type Property = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const PROPERTIES: [(&str, Property); 7] = [
    ("target", target),
    ("envelope", envelope),
    ("config", config),
    ("token_answer", token_answer),
    ("store_answer", store_answer),
    ("upstream_bytes", upstream_bytes),
    ("caller_bytes", caller_bytes),
];

/// A path is accepted if and only if it is spelt as it will be sent, behind a configured account or none.
pub fn target(path: &[u8]) {
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let accounts =
        Accounts::new(vec!["main".to_owned(), "eu".to_owned()], "main").expect("one is named");
    let sent = ["/main", "/eu", ""].into_iter().find_map(|account| {
        path.strip_prefix(account)
            .filter(|rest| oracle::deletes_a_photo(rest))
    });
    let understood = Target::parse(path, &accounts)
        .ok()
        .map(|target| target.path());
    assert_eq!(
        understood.as_ref().map(PathAndQuery::as_str),
        sent,
        "{path:?}"
    );
}

/// An envelope is an object with a code and a status; only one says that the photo is deleted.
pub fn envelope(body: &[u8]) {
    let Some(envelope) = Envelope::parse(body) else {
        return;
    };
    let Some(value) = oracle::json(body) else {
        return;
    };
    assert!(value.is_object(), "{value}");
    assert_eq!(envelope.success, value["status"] == "success", "{value}");
    assert_eq!(
        envelope.says_deleted(),
        oracle::says_deleted(&value),
        "{value}"
    );
}

/// What no error and no rendering may repeat.
const SECRET: &str = "hunter2";

/// A configuration is read or refused, and what is said of it quotes no value.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    // Files are read whole, and some never end.
    if text.contains("_file") || text.contains('\\') {
        return;
    }
    let said = match config::parse(text, &Environment::default()) {
        Ok(config) => {
            let effective = config.effective;
            assert!(effective.parse::<toml::Table>().is_ok(), "{effective}");
            let secrets = config
                .accounts
                .iter()
                .flat_map(|it| it.client_secret.usable().chain(it.refresh_token.usable()));
            // Elsewhere it may have been written as something that is no secret.
            let mut secrets = secrets.map(|(_, secret)| secret.expose());
            if !secrets.any(|secret| secret.contains(SECRET)) {
                return;
            }
            let elsewhere = text.matches(SECRET).count() > 1;
            if elsewhere { String::new() } else { effective }
        }
        Err(errors) => errors.to_string(),
    };
    // A key is named, even if it is a secret in the wrong place.
    let is_key = text
        .parse::<toml::Table>()
        .is_ok_and(|table| any_key_is_secret(&table));
    assert!(is_key || !said.contains(SECRET), "{said}");
}

fn any_key_is_secret(table: &toml::Table) -> bool {
    table
        .iter()
        .any(|(key, value)| key.contains(SECRET) || value.as_table().is_some_and(any_key_is_secret))
}
