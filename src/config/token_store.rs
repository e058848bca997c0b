//! The `[token_store]` section: where replicas share their token, if they do.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::authorities;
use super::reader::Section;
use super::secret::Secret;

/// The port that Redis and Valkey listen on unless they are told otherwise.
const DEFAULT_PORT: u16 = 6379;

/// It stands in every key of every command.
const LENGTH_OF_PREFIX: RangeInclusive<usize> = 1..=128;

/// A Redis or Valkey.
pub struct TokenStoreConfig {
    /// Its host: a name or an address, IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whom its certificate must name, if TLS is spoken.
    pub tls_name: Option<ServerName<'static>>,
    /// The number of its database.
    pub database: i64,
    /// The user, or empty for the default one.
    pub user: String,
    /// The user's password.
    pub password: Option<Secret>,
    /// Certificate authorities to trust besides the system's.
    pub ca: RootCertStore,
    /// What every key begins with.
    pub key_prefix: String,
    /// How long one command may take.
    pub command_timeout: Duration,
}

/// `None` without a URL.
pub(super) fn read(store: &Section) -> Option<Arc<TokenStoreConfig>> {
    let url = store.text("url");
    let place = Place::parse(&url);
    if let (Err(problem), false) = (&place, url.is_empty()) {
        store.error("url", problem);
    }
    let user = store.text("user");
    let path = store.text("password_file");
    let password = (!path.is_empty()).then(|| Secret::of_file(store, "password_file", &path));
    if !user.is_empty() && password.is_none() {
        store.error("password_file", "is missing: a user has one");
    }
    let key_prefix = store.text("key_prefix");
    let is_prefix = key_prefix.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_prefix || !LENGTH_OF_PREFIX.contains(&key_prefix.len()) {
        store.error(
            "key_prefix",
            "must be 1 to 128 visible ASCII characters without spaces",
        );
    }
    let ca = authorities::read(store, "ca_file");
    let limits = Duration::from_millis(1)..=Duration::from_secs(10);
    let command_timeout = store.duration("command_timeout", limits);
    let place = place.ok()?;
    Some(Arc::new(TokenStoreConfig {
        host: place.host,
        port: place.port,
        tls_name: place.tls_name,
        database: place.database,
        user,
        password,
        ca,
        key_prefix,
        command_timeout,
    }))
}

struct Place {
    host: String,
    port: u16,
    tls_name: Option<ServerName<'static>>,
    database: i64,
}

impl Place {
    fn parse(url: &str) -> Result<Self, &'static str> {
        const NOT_A_URL: &str =
            "must be a URL such as redis://store:6379 or, with TLS, rediss://store:6379/0";
        let url = Url::parse(url).or(Err(NOT_A_URL))?;
        if !["redis", "rediss"].contains(&url.scheme()) {
            return Err(
                "must begin with redis:// or rediss://: a single Redis or Valkey, or what speaks for one; Sentinel and \
                 Cluster are not supported",
            );
        }
        let bare = url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(
                "must be scheme, host, port and number of the database alone: user and password_file have keys of their own",
            );
        }
        let host = match url.host().ok_or(NOT_A_URL)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let database = match url.path() {
            "" | "/" => 0,
            path => {
                let number = path.trim_start_matches('/').parse::<u16>();
                number.map_or(Err(NOT_A_URL), |number| Ok(number.into()))?
            }
        };
        let tls_name = (url.scheme() == "rediss")
            .then(|| ServerName::try_from(host.clone()).or(Err(NOT_A_URL)))
            .transpose()?;
        Ok(Self {
            port: url.port().unwrap_or(DEFAULT_PORT),
            host,
            tls_name,
            database,
        })
    }
}
