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
        let plain =
            text.len() <= Self::MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || text.starts_with('0') {
            return None;
        }
        text.parse().ok().map(Self)
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
        let mut segments = path
            .strip_prefix('/')
            .ok_or(InvalidTarget::Path)?
            .split('/');
        let mut next = || {
            segments
                .next()
                .filter(|segment| is_name(segment))
                .ok_or(InvalidTarget::Path)
        };
        let (first, second) = (next()?, next()?);
        let account = if first == "bigin" && second == "v2" {
            None
        } else if second == "bigin" && next()? == "v2" {
            Some(first)
        } else {
            return Err(InvalidTarget::Path);
        };
        let (module, record, photo) = (next()?, next()?, next()?);
        if photo != "photo" || segments.next().is_some() {
            return Err(InvalidTarget::Path);
        }
        let account = match account {
            None => accounts.default_id(),
            Some(name) => accounts.id_of(name).ok_or(InvalidTarget::Account)?,
        };
        let module = parse_module(module)?;
        let record = RecordId::parse(record).ok_or(InvalidTarget::Record)?;
        Ok(Self {
            account,
            module,
            record,
        })
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
