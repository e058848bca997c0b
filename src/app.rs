//! The composition root: the one place where the parts meet.
//!
//! [`App::bind`] opens the sockets, so that a port which is taken is known before anything runs; [`App::run`] puts the
//! parts together, runs them, and takes them apart in order.

mod data_path;
mod operators;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::config::{AccountConfig, Config, UpstreamConfig};
use crate::process;
use crate::proxy::{RetryBudget, Shared};
use crate::server::{self, Limits, Spread};
use crate::shutdown::Shutdown;
use crate::telemetry::audit::Audit;
use crate::telemetry::log::Log;
use crate::telemetry::{FLUSH_TIMEOUT, Observer, Telemetry};
use crate::token::{self, Keeper, Kept};
use crate::upstream::{self, Breaker, Credits, DailyCalls, Gate};
use data_path::DataPath;
use operators::{gauges, operators, shown};

/// The operators' listener has few callers.
const ADMIN_CONNECTIONS: usize = 256;

/// What else needs descriptors: sockets that listen, runtimes, files, token requests, a collector.
const OTHER_DESCRIPTORS: usize = 64;

/// Threads of one runtime that may wait for the resolver at once; all else is asynchronous.
const BLOCKING_THREADS: usize = 4;

/// How long the threads of the data path may take to drop what is left at the end.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything, with its sockets open, not yet running.
pub struct App {
    config: Config,
    listeners: Vec<TcpListener>,
    admin: TcpListener,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every accepted request was answered.
    Clean,
    /// Some were cut.
    Cut,
}

impl App {
    /// Opens the sockets.
    pub fn bind(mut config: Config) -> anyhow::Result<Self> {
        config.server.max_connections = connections_that_fit(&config);
        let (listen, admin) = (config.server.listen, config.admin_listen);
        let listeners = server::bind(listen, config.server.threads)
            .with_context(|| format!("server.listen: {listen} cannot be listened on"))?;
        let admin = server::bind(admin, 1)
            .with_context(|| format!("admin.listen: {admin} cannot be listened on"))?;
        let admin = admin
            .into_iter()
            .next()
            .context("one socket was asked for")?;
        Ok(Self {
            config,
            listeners,
            admin,
        })
    }

    /// Where callers connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let bound = self
            .listeners
            .first()
            .and_then(|listener| listener.local_addr().ok());
        bound.unwrap_or(self.config.server.listen)
    }

    /// Where operators connect.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.local_addr().unwrap_or(self.config.admin_listen)
    }

    /// Runs until the shutdown is asked for and over, or until what `listen` returns ends. `listen` is called first of
    /// all, so that whoever asks for the end while the rest starts is heard.
    pub fn run<Insisted: Future<Output = ()>>(
        self,
        shutdown: &Shutdown,
        log: &Log,
        audit: &Audit,
        listen: impl FnOnce() -> std::io::Result<Insisted>,
    ) -> anyhow::Result<Ending> {
        // Each keeper may have a question open about the store's name, and none may keep the others from Zoho's.
        let control = runtime(BLOCKING_THREADS + self.config.accounts.len())?;
        let ending = control.block_on(async {
            let insisted = listen().context("signals cannot be received")?;
            let (address, admin) = (self.address(), self.admin_address());
            let running = self.start(shutdown, log, audit)?;
            tracing::info!(version = crate::VERSION, listen = %address, %admin, "serving");
            tokio::select! {
                ending = running.until_over(shutdown) => ending,
                // Whatever is lost then is lost on demand.
                () = insisted => Ok(Ending::Cut),
            }
        });
        // A token request may be waiting for the resolver, which cannot be interrupted.
        control.shutdown_background();
        ending
    }

    /// Puts the parts together: what all threads share first, then the data path, then the control side.
    fn start(self, shutdown: &Shutdown, log: &Log, audit: &Audit) -> anyhow::Result<Running> {
        let Self {
            config,
            listeners,
            admin,
        } = self;
        let tls = Arc::new(upstream::tls_config(
            &config.upstream.ca,
            config.needs_tls(),
        )?);
        let telemetry = Telemetry::start(config.otlp_endpoint.as_deref(), &tls)?;
        let (kept, keepers) = keep(&config, &tls, &telemetry)?;
        let shared = kept
            .iter()
            .zip(&config.accounts)
            .map(|(kept, account)| shared(kept, account, &config.upstream))
            .collect::<Vec<_>>();
        let (lines, events) = (log.clone(), audit.clone());
        let gauges = gauges(&config.accounts, &kept, &shared);
        telemetry
            .metrics
            .watch(&gauges, move || lines.lost(), move || events.lost());

        let data_path = Arc::new(DataPath {
            accounts: Arc::new(config.names),
            apis: config
                .accounts
                .iter()
                .map(|account| account.api.clone())
                .collect(),
            shared,
            tls,
            upstream: config.upstream,
            threads: listeners.len(),
            callers: config.server.callers.clone(),
            request_deadline: config.server.request_deadline,
            allowed_peers: config.server.allowed_peers.clone(),
            caller_tokens: config.server.caller_tokens.clone(),
            limits: Limits::new(config.server.max_connections, &config.server),
            observer: Arc::new(observer(&telemetry, log, audit, &config.accounts)),
            telemetry: Arc::clone(&telemetry),
            shutdown: shutdown.clone(),
        });
        let spread = Spread::over(listeners.len());
        let connections = spread.first().map(|(spread, _)| spread.clone());
        let threads = listeners
            .into_iter()
            .zip(spread)
            .map(|(listener, spread)| DataPath::spawn(&data_path, listener, spread));
        let (threads, runtimes): (Vec<_>, Vec<_>) = threads
            .collect::<anyhow::Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        let names = (0..runtimes.len()).map(|thread| format!("data-path-{thread}"));
        let control = ("control".to_owned(), Handle::current().metrics());
        telemetry.metrics.watch_threads(
            move || connections.iter().flat_map(Spread::connections).collect(),
            names.zip(runtimes).chain([control]).collect(),
        );

        let shows = Admin::new(
            Arc::clone(&telemetry),
            shown(&config.accounts, kept),
            gauges,
            shutdown.clone(),
        );
        let control = TaskTracker::new();
        control.spawn(operators(admin, shows, &config.server, &telemetry)?);
        control.spawn(audit.clone().watch());
        if let Some(tokens) = config.server.caller_tokens {
            let telemetry = Arc::clone(&telemetry);
            control.spawn(async move {
                loop {
                    let following = tokens.follow();
                    telemetry
                        .contain("the file of callers' tokens", following)
                        .await;
                }
            });
        }
        keepers
            .into_iter()
            .map(Keeper::run)
            .for_each(|keeping| drop(control.spawn(keeping)));

        let (drain_delay, drain_timeout) = (config.server.drain_delay, config.server.drain_timeout);
        Ok(Running {
            threads,
            telemetry,
            drain_delay,
            drain_timeout,
        })
    }
}

/// As many of `max_connections` as there are descriptors for: with one too many, callers would take those that calls to
/// Zoho need.
fn connections_that_fit(config: &Config) -> usize {
    // One in use, and one on its way out; and one to the token store, if there is one.
    let store = usize::from(config.token_store.is_some());
    let upstream = (2 * config.upstream.max_in_flight + store) * config.accounts.len();
    let others = upstream + ADMIN_CONNECTIONS + OTHER_DESCRIPTORS;
    let descriptors = process::raise_descriptor_limit();
    let wanted = config.server.max_connections;
    let fitting = wanted.min(descriptors.saturating_sub(others).max(1));
    if fitting < wanted {
        tracing::warn!(
            descriptors,
            needed = wanted + others,
            fitting,
            "server.max_connections does not fit into the limit of descriptors: fewer are held"
        );
    }
    fitting
}

/// Everything, running.
struct Running {
    threads: Vec<oneshot::Receiver<()>>,
    telemetry: Arc<Telemetry>,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl Running {
    async fn until_over(self, shutdown: &Shutdown) -> anyhow::Result<Ending> {
        let mut threads = futures_util::future::try_join_all(self.threads);
        tokio::select! {
            () = shutdown.close_when_asked(self.drain_delay) => {}
            _ = &mut threads => anyhow::bail!("a data-path thread ended unasked"),
        }
        let ending = match tokio::time::timeout(self.drain_timeout, &mut threads).await {
            Ok(Ok(_)) => Ending::Clean,
            Ok(Err(_)) => anyhow::bail!("a data-path thread failed"),
            Err(_) => Ending::Cut,
        };
        shutdown.cut_now();
        if ending == Ending::Cut {
            // What they drop, they report.
            drop(tokio::time::timeout(CUT_TIMEOUT, threads).await);
        }
        tracing::info!(clean = ending == Ending::Clean, "ended");
        let flushing = tokio::task::spawn_blocking(move || self.telemetry.flush());
        // What is not sent by then is lost: the end does not wait for a collector.
        drop(tokio::time::timeout(FLUSH_TIMEOUT, flushing).await);
        Ok(ending)
    }
}

/// The TLS that the token store is reached by, if there is a store.
pub(crate) fn store_tls(config: &Config) -> anyhow::Result<Option<Arc<rustls::ClientConfig>>> {
    let Some(store) = &config.token_store else {
        return Ok(None);
    };
    let mut tls = upstream::tls_config(&store.ca, store.tls_name.is_some())?;
    // It speaks no HTTP.
    tls.alpn_protocols.clear();
    Ok(Some(Arc::new(tls)))
}

/// What keeps the tokens, with the way to the accounts servers and to the store.
fn keep(
    config: &Config,
    tls: &rustls::ClientConfig,
    telemetry: &Arc<Telemetry>,
) -> anyhow::Result<(Vec<Kept>, Vec<Keeper>)> {
    let http = token::http_client(tls, &config.upstream, config.token.timeout)?;
    let store_tls = store_tls(config)?;
    let store = config.token_store.as_ref().zip(store_tls.as_ref());
    let kept = token::keep(&config.accounts, &http, &config.token, store, telemetry);
    Ok(kept)
}

fn shared(kept: &Kept, account: &AccountConfig, upstream: &UpstreamConfig) -> Arc<Shared> {
    Arc::new(Shared {
        slot: Arc::clone(&kept.slot),
        gate: Gate::new(upstream),
        breaker: Breaker::default(),
        credits: Credits::default(),
        daily: account.daily_calls.map(DailyCalls::new),
        retries: RetryBudget::default(),
    })
}

fn observer(
    telemetry: &Arc<Telemetry>,
    log: &Log,
    audit: &Audit,
    accounts: &[AccountConfig],
) -> Observer {
    let accounts = accounts
        .iter()
        .map(|account| (account.name.as_str(), &account.api));
    Observer::new(Arc::clone(telemetry), log.clone(), audit.clone(), accounts)
}

fn runtime(blocking_threads: usize) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_all()
        .max_blocking_threads(blocking_threads)
        .build()
}
