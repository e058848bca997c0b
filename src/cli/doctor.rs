//! The command that looks at everything an account needs, from here to Zoho, and says who must act.
//!
//! It deletes nothing, keeps nothing, and asks each accounts server for one token at most; where replicas share a store, within
//! their budget, and for them. Invariant: a line says what was tried, what that means and who must act, and no secret.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::DATE;
use rustls::ClientConfig;

use super::{Exit, print};
use crate::app;
use crate::config::{AccountConfig, Config};
use crate::telemetry::Telemetry;
use crate::token::{self, Asked, Away, Failure, Store};
use crate::upstream::{self, Connector, Unreachable};
use crate::zoho::Origin;

/// How far clocks may be apart before it is worth a line of warning: certificates and logs go by them.
const TOLERATED_SKEW: Duration = Duration::from_mins(1);

/// Runs the command.
pub(super) fn run(config: &Config) -> anyhow::Result<Exit> {
    let doctor = Doctor::new(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let findings = runtime.block_on(doctor.examine());
    // The resolver cannot be interrupted.
    runtime.shutdown_background();
    for finding in &findings {
        print(&finding.line)?;
    }
    let is_well = findings.iter().all(|finding| finding.grade != Grade::Bad);
    Ok(if is_well { Exit::Clean } else { Exit::Failed })
}

/// One line of what was found.
struct Finding {
    grade: Grade,
    line: String,
}

/// How a finding matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    Good,
    Odd,
    Bad,
}

impl Finding {
    fn new(grade: Grade, tried: &str, meaning: impl std::fmt::Display) -> Self {
        let word = match grade {
            Grade::Good => "ok  ",
            Grade::Odd => "warn",
            Grade::Bad => "FAIL",
        };
        Self {
            grade,
            line: format!("{word}  {tried}: {meaning}"),
        }
    }
}

/// What every examination needs.
struct Doctor<'a> {
    config: &'a Config,
    tls: Arc<ClientConfig>,
    store_tls: Option<Arc<ClientConfig>>,
    http: reqwest::Client,
    telemetry: Arc<Telemetry>,
}

impl<'a> Doctor<'a> {
    fn new(config: &'a Config) -> anyhow::Result<Self> {
        let tls = upstream::tls_config(&config.upstream.ca, config.needs_tls())?;
        let http = token::http_client(&tls, &config.upstream, config.token.timeout)?;
        let telemetry = Telemetry::start(None, &tls)?;
        Ok(Self {
            config,
            tls: Arc::new(tls),
            store_tls: app::store_tls(config)?,
            http,
            telemetry,
        })
    }

    async fn examine(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (place, account) in self.config.accounts.iter().enumerate() {
            let mut earlier = self.config.accounts.iter().take(place);
            let same = earlier.find(|other| other.shares_token_with(account));
            findings.extend(self.examine_account(account, same).await);
        }
        findings
    }

    /// `same` is an account whose token this one has too.
    async fn examine_account(
        &self,
        account: &AccountConfig,
        same: Option<&AccountConfig>,
    ) -> Vec<Finding> {
        let name = &account.name;
        let accounts_server = format!("{name}: accounts server {}", account.accounts);
        let mut findings = vec![
            self.reach(&format!("{name}: API {}", account.api), &account.api)
                .await,
        ];
        let reached = self.reach(&accounts_server, &account.accounts).await;
        let is_reached = reached.grade == Grade::Good;
        findings.push(reached);
        if is_reached {
            let clock = format!("{name}: clock");
            findings.push(self.compare_clocks(&clock, &account.accounts).await);
        }
        let token = format!("{name}: token request");
        if let Some(same) = same {
            let meaning = format!("not made, its token is that of {}", same.name);
            findings.push(Finding::new(Grade::Good, &token, meaning));
            return findings;
        }
        let mut store = self.store_of(account);
        if let Some(store) = &mut store {
            findings.push(self.probe(&format!("{name}: token store"), store).await);
        }
        if is_reached {
            let asked = self.ask_for_a_token(&token, account, store.as_mut());
            findings.extend(asked.await);
        } else {
            let meaning = "not made, for the accounts server cannot be reached";
            findings.push(Finding::new(Grade::Bad, &token, meaning));
        }
        findings
    }

    fn store_of(&self, account: &AccountConfig) -> Option<Store> {
        let place = self
            .config
            .token_store
            .as_ref()
            .zip(self.store_tls.as_ref())?;
        let observer = self
            .telemetry
            .token_observer(&account.name, &account.accounts);
        Store::of(account, &self.config.token, place, observer)
    }

    /// Whether the store can be reached, read and written.
    async fn probe(&self, tried: &str, store: &mut Store) -> Finding {
        match store.probe().await {
            Ok(()) => Finding::new(Grade::Good, tried, "reachable and writable"),
            Err(away) => {
                let meaning = format!("{away}. The operator must act: {}", mending_store(away));
                Finding::new(Grade::Bad, tried, meaning)
            }
        }
    }

    /// DNS, TCP, the proxy on the way, TLS.
    async fn reach(&self, tried: &str, origin: &Origin) -> Finding {
        let connector = Connector::new(origin, &self.tls, &self.config.upstream);
        match connector.try_to_connect().await {
            Ok(()) if origin.is_tls() => Finding::new(Grade::Good, tried, "DNS, TCP and TLS work"),
            Ok(()) => Finding::new(Grade::Good, tried, "TCP works"),
            Err(problem) => Finding::new(
                Grade::Bad,
                tried,
                format!("{problem}. The operator must act: {}", mending(problem)),
            ),
        }
    }

    /// By the `Date` of an answer to a request that asks for nothing.
    async fn compare_clocks(&self, tried: &str, accounts: &Origin) -> Finding {
        let asked = self.http.head(accounts.join("/")).send().await;
        let date = asked.ok().and_then(|answer| {
            let date = answer.headers().get(DATE)?.to_str().ok()?;
            httpdate::parse_http_date(date).ok()
        });
        let Some(date) = date else {
            return Finding::new(Grade::Odd, tried, "not compared, Zoho told no date");
        };
        let skew = skew(date);
        if skew <= TOLERATED_SKEW {
            return Finding::new(Grade::Good, tried, "as Zoho's");
        }
        let meaning = format!(
            "{} s from Zoho's. The operator must act: set this machine's clock, for certificates and logs go by it",
            skew.as_secs()
        );
        Finding::new(Grade::Odd, tried, meaning)
    }

    async fn ask_for_a_token(
        &self,
        tried: &str,
        account: &AccountConfig,
        store: Option<&mut Store>,
    ) -> Vec<Finding> {
        let http = self.http.clone();
        let asked = token::ask_once(account, http, &self.config.token, store).await;
        let (grade, meaning) = match asked {
            Asked::Brought(named) => {
                let meaning = "brought a token. It counts among Zoho's ten in ten minutes";
                let brought = Finding::new(Grade::Good, tried, meaning);
                return vec![brought, compare_api_domain(account, named.as_deref())];
            }
            Asked::Stored(left) => (
                Grade::Good,
                format!(
                    "not made, the store has a token for another {} s",
                    left.as_secs()
                ),
            ),
            Asked::NotNow(wait) => (
                Grade::Odd,
                format!(
                    "not made, a replica is at it or all have used up their budget. Nobody must act: try again in {} s",
                    wait.as_secs() + 1
                ),
            ),
            Asked::Failed(failure) => {
                (Grade::Bad, format!("{failure}. {}", who_must_act(&failure)))
            }
        };
        vec![Finding::new(grade, tried, meaning)]
    }
}

/// The API host that Zoho names with a token is the configured one, or this is another data center.
fn compare_api_domain(account: &AccountConfig, named: Option<&str>) -> Finding {
    let tried = format!("{}: api_domain", account.name);
    let (grade, meaning) = match named {
        None => (Grade::Odd, "not compared, Zoho named none"),
        Some(named) if account.api.is_same_place_as(named) => {
            (Grade::Good, "Zoho names the configured API")
        }
        Some(_) => (
            Grade::Bad,
            "Zoho names another API than the configured one. The operator must act: is data_center right?",
        ),
    };
    Finding::new(grade, &tried, meaning)
}

/// How far a date is from this machine's.
#[expect(
    clippy::disallowed_methods,
    reason = "the wall clock is what is examined"
)]
fn skew(date: SystemTime) -> Duration {
    let now = SystemTime::now();
    now.duration_since(date)
        .unwrap_or_else(|ahead| ahead.duration())
}

/// What to do about a host that cannot be reached.
const fn mending(problem: Unreachable) -> &'static str {
    match problem {
        Unreachable::Dns => {
            "does the resolver here know the name? With upstream.proxy, it is the proxy's"
        }
        Unreachable::Refused
        | Unreachable::Unroutable
        | Unreachable::TimedOut
        | Unreachable::Closed
        | Unreachable::Failed => {
            "does a firewall let connections out? If only a proxy does, upstream.proxy names it"
        }
        Unreachable::Certificate => {
            "if the network looks into TLS, upstream.ca_file must hold its authority; else trust nobody there"
        }
        Unreachable::TlsAlert | Unreachable::Tls => "what answers there does not speak Zoho's TLS",
        Unreachable::ProxyRefused => {
            "are upstream.proxy_user and its password right, and is the host allowed?"
        }
        Unreachable::ProxyFailed | Unreachable::ProxyInvalid => {
            "is upstream.proxy a proxy that tunnels, and well?"
        }
    }
}

/// What to do about a store that is away. Replicas go on without it, each for itself.
const fn mending_store(away: Away) -> &'static str {
    match away {
        Away::Dns | Away::Unreachable | Away::TimedOut | Away::Lost | Away::Resting => {
            "is token_store.url right, does it run, and may this machine connect to it?"
        }
        Away::Tls => {
            "token_store.ca_file must hold its authority, and its certificate the host of token_store.url"
        }
        Away::Refused => {
            "are token_store.user and its password right? It needs the keys below token_store.key_prefix, and scripts"
        }
        Away::Cluster | Away::ReadOnly => {
            "token_store.url must lead to a single Redis or Valkey, and to the one that is written to"
        }
        Away::Failing | Away::Odd => "is what answers there a Redis 7 or Valkey, and well?",
    }
}

/// Whose turn it is after a failed token request.
fn who_must_act(failure: &Failure) -> &'static str {
    match failure {
        Failure::Refused(_) if failure.is_about_the_client() => {
            "The operator must act: client_id, client_secret and data_center must be those of one client"
        }
        Failure::Refused(_) => {
            "The operator must act: `enroll` again. If the user was removed or its tokens were revoked, Zoho's \
             administrator must act first"
        }
        Failure::Throttled(_) => {
            "Nobody must act: it passes within ten minutes. If it comes back, other programs use this refresh token"
        }
        Failure::Unreached(_) => "The operator must act: the connection failed",
        Failure::Transient(_) => "Nobody must act, unless it stays so: then Zoho's support",
    }
}
