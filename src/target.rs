//! What a caller may name: an account, a module, a record. What gets past here is safe to send.
//!
//! `DELETE /bigin/v2/Contacts/1` without `/photo` deletes a whole customer and needs the very same scope, so there is
//! one spelling, byte for byte, and nothing of the text survives: a [`Target`] holds an index, an enum and a number, and
//! [`Target::path`] writes the canonical path from them.

use std::fmt;
use std::num::NonZeroU64;

use bytes::Bytes;
use http::uri::PathAndQuery;

use crate::account::{AccountId, Accounts};

/// The modules whose records have photos.
/// Source: <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// People.
    Contacts,
    /// What Bigin's pages call companies.
    Accounts,
    /// Products.
    Products,
}

impl Module {
    /// Every module, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Contacts, Self::Accounts, Self::Products];

    /// The module's API name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Accounts => "Accounts",
            Self::Products => "Products",
        }
    }
}

/// A record's id: 1 to 19 digits, the first not 0. Personal data, so it has no `Debug` and no `Display`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordId(NonZeroU64);

impl RecordId {
    /// The most digits that an id has.
    const MAX_DIGITS: usize = 19;

    fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_DIGITS || text.starts_with('0') {
            return None;
        }
        let number = text.bytes().try_fold(0, |number: u64, byte| {
            let digit = u64::from(byte.wrapping_sub(b'0'));
            // 19 digits always fit into 64 bits.
            (digit <= 9).then(|| number * 10 + digit)
        });
        NonZeroU64::new(number?).map(Self)
    }
}

/// A photo to delete.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Whose photo: the account that the call is made with.
    pub account: AccountId,
    /// The module of the record.
    pub module: Module,
    record: RecordId,
}

/// Why a path names no photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Another path, or another spelling of this one.
    #[error(
        "the path must be exactly /bigin/v2/{{module_api_name}}/{{record_id}}/photo, or the same behind /{{account}}"
    )]
    Path,
    /// An account that is not configured.
    #[error("no such account is configured here")]
    Account,
    /// A module that has no photos.
    #[error("the module must be Contacts, Accounts or Products")]
    Module,
    /// Companies, under the name they have on Bigin's pages.
    #[error("the API name of Companies is Accounts: use Accounts")]
    Companies,
    /// Not an id that Zoho gives.
    #[error("the record id must be 1 to 19 digits, the first not 0")]
    Record,
}

impl Target {
    /// Reads the path of a request, as it stood on the wire.
    pub fn parse(path: &str, accounts: &Accounts) -> Result<Self, InvalidTarget> {
        let parts = split(path).ok_or(InvalidTarget::Path)?;
        // Only a name can be told what is wrong with it. What was understood is one.
        Self::of_parts(parts, accounts).map_err(|wrong| {
            let (account, module, record) = parts;
            let names = [account.unwrap_or("-"), module, record];
            if names.into_iter().all(is_name) {
                wrong
            } else {
                InvalidTarget::Path
            }
        })
    }

    fn of_parts(
        (account, module, record): (Option<&str>, &str, &str),
        accounts: &Accounts,
    ) -> Result<Self, InvalidTarget> {
        let account = match account {
            None => accounts.default_id(),
            Some(name) => accounts.id_of(name).ok_or(InvalidTarget::Account)?,
        };
        Ok(Self {
            account,
            module: parse_module(module)?,
            record: RecordId::parse(record).ok_or(InvalidTarget::Record)?,
        })
    }

    /// The record's id, for the audit alone.
    #[must_use]
    pub(crate) fn record_number(&self) -> u64 {
        self.record.0.get()
    }

    /// The one path that is ever sent to Zoho.
    #[must_use]
    pub fn path(&self) -> PathAndQuery {
        let mut digits = itoa::Buffer::new();
        let record = digits.format(self.record.0.get());
        let path = ["/bigin/v2/", self.module.as_str(), "/", record, "/photo"].concat();
        PathAndQuery::from_maybe_shared(Bytes::from(path))
            .expect("letters, digits and slashes are a path")
    }
}

/// Without the record id, which is personal data.
impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}/{}", self.account, self.module.as_str())
    }
}

/// Takes the fixed parts away. What is left may be anything; without an account in front there is none.
fn split(path: &str) -> Option<(Option<&str>, &str, &str)> {
    const API: &str = "/bigin/v2/";
    let (account, rest) = match path.strip_prefix(API) {
        Some(rest) => (None, rest),
        None => path
            .strip_prefix('/')?
            .split_once(API)
            .map(|(account, rest)| (Some(account), rest))?,
    };
    let (module, record) = rest.strip_suffix("/photo")?.split_once('/')?;
    Some((account, module, record))
}

/// Whether a path segment is a name that was merely written wrong, rather than another spelling of the path:
/// RFC 3986's unreserved characters, and no dot segment.
fn is_name(segment: &str) -> bool {
    let unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(unreserved)
}

fn parse_module(text: &str) -> Result<Module, InvalidTarget> {
    match Module::ALL
        .into_iter()
        .find(|module| module.as_str() == text)
    {
        Some(module) => Ok(module),
        None if text.eq_ignore_ascii_case("Companies") => Err(InvalidTarget::Companies),
        None => Err(InvalidTarget::Module),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A default account and another one.
    fn accounts() -> Accounts {
        Accounts::new(vec!["main".to_owned(), "eu".to_owned()], "main").unwrap()
    }

    /// The path of a photo, or nearly: perhaps one byte is another, and perhaps there is one more.
    fn path() -> impl Strategy<Value = String> {
        let nearly = "(/main|/eu|/us|)/bigin/v2/(Contacts|Accounts|Products|contacts|Deals)/0?[1-9]{0,20}/photo";
        let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), "[ -~]"));
        (nearly, change, "[/?# 0]?").prop_map(|(mut path, change, more)| {
            if let Some((place, byte)) = change {
                let place = place.index(path.len());
                path.replace_range(place..=place, &byte);
            }
            path + &more
        })
    }

    /// Whether writing anew what the path names gives the same path.
    fn is_written_like_this(path: &str) -> bool {
        let record = path.rsplit('/').nth(1).and_then(|it| it.parse().ok());
        let Some(record) = record.filter(|it| (1..10_u64.pow(19)).contains(it)) else {
            return false;
        };
        ["", "/main", "/eu"].iter().any(|account| {
            Module::ALL.iter().any(|module| {
                let module = module.as_str();
                format!("{account}/bigin/v2/{module}/{record}/photo") == path
            })
        })
    }

    proptest! {
        #[test]
        fn a_path_is_understood_if_and_only_if_it_is_written_as_it_will_be_sent(path in path()) {
            let target = Target::parse(&path, &accounts());

            prop_assert_eq!(target.is_ok(), is_written_like_this(&path));
            if let Ok(target) = target {
                prop_assert!(path.ends_with(target.path().as_str()));
                let account = if path.starts_with("/eu/") { "eu" } else { "main" };
                prop_assert_eq!(Some(target.account), accounts().id_of(account));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_if_every_part_is_a_name() {
        for (path, wrong) in [
            ("/us/bigin/v2/Contacts/1/photo", InvalidTarget::Account),
            ("/bigin/v2/Deals/1/photo", InvalidTarget::Module),
            ("/bigin/v2/companies/1/photo", InvalidTarget::Companies),
            ("/bigin/v2/Contacts/0/photo", InvalidTarget::Record),
            ("/bigin/v2/Contacts/A-b_c.~9/photo", InvalidTarget::Record),
            ("/bigin/v2/Contacts/./photo", InvalidTarget::Path),
            ("/bigin/v2/Contacts/../photo", InvalidTarget::Path),
            ("/bigin/v2/Contacts/%31/photo", InvalidTarget::Path),
            ("/bigin/v2/Contacts//photo", InvalidTarget::Path),
            ("/bigin/v2//1/photo", InvalidTarget::Path),
            ("/u%73/bigin/v2/Contacts/1/photo", InvalidTarget::Path),
            ("/bigin/v2/Contacts/1", InvalidTarget::Path),
        ] {
            assert_eq!(Target::parse(path, &accounts()), Err(wrong), "{path}");
        }
    }

    #[test]
    fn a_target_knows_its_record_and_does_not_show_it() {
        let target = Target::parse("/bigin/v2/Products/4711/photo", &accounts()).unwrap();

        let shown = format!("{target:?}");

        assert_eq!(target.record_number(), 4711);
        assert!(
            shown.ends_with("/Products") && !shown.contains("4711"),
            "{shown}"
        );
    }
}
