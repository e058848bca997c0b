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
