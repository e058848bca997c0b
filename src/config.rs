//! What operators can set: read once at start, checked whole, secrets apart.
//!
//! This module and its children are the only ones that read files and the environment. Each part of the program gets its
//! own section, already in its own types. Errors name keys, never values.

mod account;
mod audit;
mod authorities;
mod caller_tokens;
mod file;
mod followed;
mod forward_proxy;
mod layers;
mod log;
mod networks;
mod reader;
mod secret;
mod telemetry;
mod token_store;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use rustls::RootCertStore;

pub use account::AccountConfig;
pub use authorities::load_authorities;
pub use caller_tokens::CallerTokens;
pub use forward_proxy::ForwardProxy;
pub use layers::Environment;
use layers::Layers;
pub use log::{LogConfig, LogFormat};
pub use networks::Networks;
use reader::Section;
pub use secret::{News, Secret, Secrets};
pub use token_store::TokenStoreConfig;

use crate::account::Accounts;

/// The whole configuration, valid.
pub struct Config {
    /// The names of the accounts.
    pub names: Accounts,
    /// The accounts, in the order of `names`.
    pub accounts: Vec<AccountConfig>,
    /// The listener for callers.
    pub server: ServerConfig,
    /// Where operators look.
    pub admin_listen: SocketAddr,
    /// Connections to Zoho's API.
    pub upstream: UpstreamConfig,
    /// Access tokens.
    pub token: TokenConfig,
    /// Where replicas share their token, if they do.
    pub token_store: Option<Arc<TokenStoreConfig>>,
    /// Logs.
    pub log: LogConfig,
    /// The file that audit events go to instead of standard output, if there is one.
    pub audit_path: Option<PathBuf>,
    /// The OTLP endpoint, if there is one.
    pub otlp_endpoint: Option<String>,
    /// What is allowed but deserves a second look.
    pub warnings: Vec<String>,
    /// Every key and its value in effect, as TOML, secrets left out.
    pub effective: String,
}

impl Config {
    /// Whether anything is spoken to over TLS.
    #[must_use]
    pub fn needs_tls(&self) -> bool {
        let collector = self
            .otlp_endpoint
            .as_ref()
            .is_some_and(|url| url.starts_with("https:"));
        collector
            || self
                .accounts
                .iter()
                .any(|account| account.api.is_tls() || account.accounts.is_tls())
    }
}

/// The listener for callers, its limits and its end.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Data-path threads, at least 1.
    pub threads: usize,
    /// Where callers may connect from; empty: from everywhere.
    pub allowed_peers: Networks,
    /// What callers must present, if anything.
    pub caller_tokens: Option<CallerTokens>,
    /// Connections held at once.
    pub max_connections: usize,
    /// Who a request comes from.
    pub callers: CallerConfig,
    /// First byte to end of a request's head.
    pub head_timeout: Duration,
    /// Reading of an answer.
    pub write_timeout: Duration,
    /// Keep-alive without a request.
    pub idle_timeout: Duration,
    /// One request, everything included.
    pub request_deadline: Duration,
    /// Serving on after SIGTERM.
    pub drain_delay: Duration,
    /// Finishing what was accepted.
    pub drain_timeout: Duration,
}

/// How callers are told apart when they must wait for each other.
#[derive(Clone, Debug, Default)]
pub struct CallerConfig {
    /// The header in which a trusted peer names its caller, if it does.
    pub header: Option<HeaderName>,
    /// The peers that are believed.
    pub trusted_peers: Networks,
}

/// Connections to Zoho's API.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// Calls in flight at once, per account.
    pub max_in_flight: usize,
    /// Requests that wait, per account.
    pub queue: usize,
    /// How long a request waits for a place.
    pub queue_timeout: Duration,
    /// Further certificate authorities.
    pub ca: RootCertStore,
    /// The proxy on the way, if there is one.
    pub proxy: Option<ForwardProxy>,
}

/// How access tokens are asked for.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// One token request.
    pub timeout: Duration,
    /// Token requests in any window.
    pub budget: usize,
    /// The window.
    pub budget_window: Duration,
}

impl TokenConfig {
    /// The window of Zoho's limit of 10 requests.
    const ZOHOS_WINDOW: Duration = Duration::from_mins(10);

    /// What the limit leaves us: 8.
    const SAFE_BUDGET_PER_SECOND: f64 = 8.0 / 600.0;

    /// Whether more than 8 requests can fall into 10 minutes. In a longer window they need not spread.
    fn exceeds_what_zoho_allows(&self) -> bool {
        let window = self.budget_window.min(Self::ZOHOS_WINDOW);
        let budget = u32::try_from(self.budget).map_or(f64::INFINITY, f64::from);
        budget > Self::SAFE_BUDGET_PER_SECOND * window.as_secs_f64()
    }
}

/// Everything that is wrong with a configuration, each with its key.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads the file at `path` and the environment.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, ConfigErrors> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigErrors(vec![format!("{}: cannot be read: {error}", path.display())])
    })?;
    parse(&text, environment)
}

/// Reads a configuration from the text of a file and an environment.
pub fn parse(text: &str, environment: &Environment) -> Result<Config, ConfigErrors> {
    let layers = Layers::merge(text, environment)?;
    let root = layers.root();

    let accounts = account::read_all(&root);
    let names = account::read_names(&root, &accounts);
    let server = read_server(&root.section("server"));
    let mut config = Config {
        admin_listen: read_admin_listen(&root.section("admin"), &server),
        server,
        upstream: read_upstream(&root.section("upstream")),
        token: read_token(&root.section("token")),
        token_store: token_store::read(&root.section("token_store")),
        log: log::read(&root.section("log"), environment),
        audit_path: audit::read_path(&root.section("audit")),
        otlp_endpoint: telemetry::read_endpoint(&root.section("telemetry"), environment),
        warnings: Vec::new(),
        effective: String::new(),
        names,
        accounts,
    };
    root.finish()?;
    config.effective = effective(layers, &config, environment);
    Ok(with_warnings(config))
}

fn read_server(server: &Section) -> ServerConfig {
    let hour = Duration::from_hours(1);
    let a_while = Duration::from_millis(1)..=hour;
    let threads = match server.number("threads", 0..=64) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    ServerConfig {
        listen: server.parsed(
            "listen",
            "must be an address with a port, such as 0.0.0.0:8080",
        ),
        threads,
        allowed_peers: Networks::read(server, "allowed_peers"),
        caller_tokens: CallerTokens::read(server, "caller_token_file"),
        max_connections: server.number("max_connections", 1..=1_000_000),
        callers: CallerConfig {
            header: read_header_name(server, "caller_header"),
            trusted_peers: Networks::read(server, "trusted_peers"),
        },
        head_timeout: server.duration("head_timeout", a_while.clone()),
        write_timeout: server.duration("write_timeout", a_while.clone()),
        idle_timeout: server.duration("idle_timeout", a_while.clone()),
        request_deadline: server.duration("request_deadline", a_while),
        drain_delay: server.duration("drain_delay", Duration::ZERO..=hour),
        drain_timeout: server.duration("drain_timeout", Duration::ZERO..=hour),
    }
}

/// The header that `key` names, if it names one.
fn read_header_name(section: &Section, key: &str) -> Option<HeaderName> {
    let name = section.text(key);
    if name.is_empty() {
        return None;
    }
    let header = name.parse().ok();
    if header.is_none() {
        section.error(key, "must be the name of a header, such as \"x-caller\"");
    }
    header
}

fn read_admin_listen(admin: &Section, server: &ServerConfig) -> SocketAddr {
    let listen: SocketAddr = admin.parsed(
        "listen",
        "must be an address with a port, such as 0.0.0.0:8081",
    );
    if covers(listen, server.listen) || covers(server.listen, listen) {
        admin.error("listen", "must not be the same as server.listen");
    }
    listen
}

/// Whether a listener leaves nothing to the other. One for all addresses has those of its family; `[::]` is for both.
fn covers(one: SocketAddr, other: SocketAddr) -> bool {
    let (all, address) = (one.ip(), other.ip().to_canonical());
    let is_for_all = all.is_unspecified() && (all.is_ipv6() || address.is_ipv4());
    // Port 0 is any free one.
    one.port() == other.port() && one.port() != 0 && (is_for_all || all.to_canonical() == address)
}

fn read_upstream(upstream: &Section) -> UpstreamConfig {
    let a_while = Duration::from_millis(1)..=Duration::from_hours(1);
    UpstreamConfig {
        connect_timeout: upstream.duration("connect_timeout", a_while.clone()),
        pool_idle_timeout: upstream.duration("pool_idle_timeout", a_while.clone()),
        max_in_flight: upstream.number("max_in_flight", 1..=10_000),
        queue: upstream.number("queue", 0..=100_000),
        queue_timeout: upstream.duration("queue_timeout", a_while),
        ca: authorities::read(upstream, "ca_file"),
        proxy: forward_proxy::read(upstream),
    }
}

fn read_token(token: &Section) -> TokenConfig {
    TokenConfig {
        timeout: token.duration("timeout", Duration::from_millis(1)..=Duration::from_mins(1)),
        budget: token.number("budget", 1..=1_000_000),
        budget_window: token.duration(
            "budget_window",
            Duration::from_millis(100)..=Duration::from_hours(24),
        ),
    }
}

/// The keys in effect as TOML, with what stands elsewhere put into its key.
fn effective(mut layers: Layers, config: &Config, environment: &Environment) -> String {
    let default_account = config.names.name_of(config.names.default_id());
    layers.put(&["default_account"], default_account);
    if let Some(directives) = log::overriding(environment) {
        layers.put(&["log", "level"], directives);
    }
    if let Some(endpoint) = &config.otlp_endpoint {
        layers.put(&["telemetry", "otlp_endpoint"], endpoint);
    }
    for account in &config.accounts {
        let urls = [
            ("accounts_url", account.accounts.to_string()),
            ("api_url", account.api.to_string()),
        ];
        for (key, url) in urls {
            layers.put(&["accounts", &account.name, key], &url);
        }
    }
    layers.render()
}

fn with_warnings(mut config: Config) -> Config {
    if config.token.exceeds_what_zoho_allows() {
        config.warnings.push(
            "token.budget allows more than 8 in 10 minutes: Zoho blocks a refresh token after 10"
                .to_owned(),
        );
    }
    for account in &config.accounts {
        let unusable = account.unusable_files();
        config.warnings.extend(unusable);
    }
    let callers = &config.server.callers;
    if callers.header.is_some() && callers.trusted_peers.is_empty() {
        config.warnings.push(
            "server.caller_header has no effect without server.trusted_peers: nobody is believed"
                .to_owned(),
        );
    }
    if config.server.drain_timeout < config.server.request_deadline {
        config.warnings.push(
            "server.drain_timeout is below server.request_deadline: a drain may cut requests"
                .to_owned(),
        );
    }
    config
}
