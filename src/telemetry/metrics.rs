//! Every metric, declared once: OpenTelemetry instruments, scraped as Prometheus text and pushed by OTLP from one source.
//!
//! Labels are closed lists, never a caller's text. What the path of a request records is bound to its labels in
//! `series`.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};

use super::FLUSH_TIMEOUT;
use super::readers::Readers;

/// Upper bounds in seconds: those of the semantic conventions, and the default deadline of a request.
/// Source: <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>.
const SECONDS: [f64; 15] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0,
];

/// How often metrics are pushed, if they are. The default of the OTLP specification is a minute.
const PUSH_INTERVAL: Duration = Duration::from_secs(30);

/// All metrics of one process.
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: prometheus::Registry,
    meter: Meter,
    pub(super) server_duration: Histogram<f64>,
    pub(super) client_duration: Histogram<f64>,
    pub(super) deletes: Counter<u64>,
    token_requests: Counter<u64>,
    pub(super) token_waits: Counter<u64>,
    joined: Counter<u64>,
    credential_failures: Counter<u64>,
    tokens_adopted: Counter<u64>,
    store_commands: Counter<u64>,
    store_tampered: Counter<u64>,
    store_up: Gauge<u64>,
    foreign_api_domains: Counter<u64>,
    inbound_errors: Counter<u64>,
    panics: Counter<u64>,
}

/// Why a connection ended without a request that could be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundError {
    /// It came from a network that callers may not connect from.
    PeerNotAllowed,
    /// What came is not HTTP/1.1.
    NotHttp,
    /// The head of a request is too large.
    HeadTooLarge,
    /// The head of a request came too slowly.
    HeadTimeout,
    /// An answer was not read in time.
    WriteTimeout,
    /// The connection had rested longest when another one needed its place.
    MadeRoom,
    /// The system had no descriptor for it.
    NotAccepted,
    /// The connection broke.
    Broken,
}

impl InboundError {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PeerNotAllowed => "peer_not_allowed",
            Self::NotHttp => "not_http",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::MadeRoom => "made_room",
            Self::NotAccepted => "not_accepted",
            Self::Broken => "broken",
        }
    }
}

/// What is read from an account whenever somebody looks.
pub struct AccountGauges {
    /// The account.
    pub account: String,
    /// When its token expires, in seconds since 1970; 0 without one.
    pub token_expiry: Box<dyn Fn() -> f64 + Send + Sync>,
    /// Token requests that are left in the window.
    pub token_budget: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Calls in flight.
    pub in_flight: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Requests that wait.
    pub waiting: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The most calls in flight for now.
    pub cap: Box<dyn Fn() -> u64 + Send + Sync>,
    /// 1 while calls are stopped because connections fail.
    pub breaker_open: Box<dyn Fn() -> u64 + Send + Sync>,
    /// API credits that the organisation has left, once Zoho has told.
    pub credits_remaining: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    /// Calls that its `daily_calls` leave, if that is configured.
    pub daily_calls_remaining: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

impl AccountGauges {
    fn labels(&self) -> [KeyValue; 1] {
        [KeyValue::new("account", self.account.clone())]
    }
}

/// A gauge that is read from each account.
#[derive(Clone, Copy)]
struct AccountGauge {
    name: &'static str,
    description: &'static str,
    read: fn(&AccountGauges) -> Option<u64>,
}

const ACCOUNT_GAUGES: [AccountGauge; 7] = [
    AccountGauge {
        name: "bigin.token.budget.remaining",
        description: "Token requests left in the current window.",
        read: |account| Some((account.token_budget)()),
    },
    AccountGauge {
        name: "bigin.calls.in_flight",
        description: "Calls to Zoho's API in flight.",
        read: |account| Some((account.in_flight)()),
    },
    AccountGauge {
        name: "bigin.requests.waiting",
        description: "Requests that wait for a token or for a call to end.",
        read: |account| Some((account.waiting)()),
    },
    AccountGauge {
        name: "bigin.calls.limit",
        description: "The most calls in flight for now: upstream.max_in_flight, or less while Zoho takes fewer.",
        read: |account| Some((account.cap)()),
    },
    AccountGauge {
        name: "bigin.breaker.open",
        description: "1 while Zoho's API is left alone because connections to it fail.",
        read: |account| Some((account.breaker_open)()),
    },
    AccountGauge {
        name: "bigin.credits.remaining",
        description: "API credits that Zoho said are left; it says so once half of them are spent.",
        read: |account| (account.credits_remaining)(),
    },
    AccountGauge {
        name: "bigin.daily_calls.remaining",
        description: "Calls that the account's daily_calls leave this replica now.",
        read: |account| (account.daily_calls_remaining)(),
    },
];

impl Metrics {
    /// Declares every metric.
    pub(super) fn new(resource: Resource, push: Option<MetricExporter>) -> anyhow::Result<Self> {
        let registry = prometheus::Registry::new();
        // The scope would be three labels of no use on every sample.
        let scrape = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()?;
        let push = push.map(|exporter| {
            PeriodicReader::builder(exporter)
                .with_interval(PUSH_INTERVAL)
                .build()
        });
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(Readers { scrape, push })
            .build();
        let meter = provider.meter("bigin-photo-proxy");
        let counter = |name, description| {
            meter
                .u64_counter(name)
                .with_description(description)
                .build()
        };
        let seconds = |name, description| {
            let histogram = meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        Ok(Self {
            server_duration: seconds(
                "http.server.request.duration",
                "Duration of callers' requests.",
            ),
            client_duration: seconds(
                "http.client.request.duration",
                "Duration of calls to Zoho's API.",
            ),
            deletes: counter(
                "bigin.photo.deletes",
                "Deletions asked for, by what became of them.",
            ),
            token_requests: counter(
                "bigin.token.requests",
                "Token requests to the accounts server, by result.",
            ),
            token_waits: counter(
                "bigin.token.waits",
                "Requests that had to wait for an access token.",
            ),
            joined: counter(
                "bigin.requests.joined",
                "Deletions for which another request made the call, because it waited for the same one.",
            ),
            credential_failures: counter(
                "bigin.credential.failures",
                "Credentials that cannot be used, by key, position in its list (0: no longer in it) and problem.",
            ),
            tokens_adopted: counter(
                "bigin.token.adopted",
                "Access tokens that another replica had asked for, taken from the token store.",
            ),
            store_commands: counter(
                "bigin.token_store.commands",
                "Commands to the token store, by result.",
            ),
            store_tampered: counter(
                "bigin.token_store.tampered",
                "Entries of the token store that do not open: not sealed by a holder of the credentials.",
            ),
            store_up: meter
                .u64_gauge("bigin.token_store.up")
                .with_description("1 while the token store answers.")
                .build(),
            foreign_api_domains: counter(
                "bigin.token.foreign_api_domains",
                "Tokens issued with another API host than the configured one.",
            ),
            inbound_errors: counter(
                "bigin.inbound.errors",
                "Connections that ended without an answerable request, by kind.",
            ),
            panics: counter(
                "bigin.panics",
                "Panics, each contained where it happened: in a request, a connection, or a task in the background.",
            ),
            provider,
            registry,
            meter,
        })
    }

    /// Everything as Prometheus text, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match prometheus::TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            Ok(()) => text,
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }

    /// Reads these whenever somebody looks. To be called once.
    pub fn watch(
        &self,
        accounts: Vec<AccountGauges>,
        lines_dropped: impl Fn() -> u64 + Send + Sync + 'static,
        events_lost: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let accounts: Arc<[AccountGauges]> = accounts.into();
        self.watch_token_expiry(&accounts);
        for gauge in ACCOUNT_GAUGES {
            self.watch_accounts(gauge, &accounts);
        }
        self.meter
            .u64_observable_counter("bigin.log.lines.dropped")
            .with_description(
                "Log lines that were dropped because standard output does not keep up, or fails.",
            )
            .with_callback(move |seen| seen.observe(lines_dropped(), &[]))
            .build();
        self.meter
            .u64_observable_counter("bigin.audit.events.lost")
            .with_description(
                "Audit events that were lost because where they go does not keep up, or fails.",
            )
            .with_callback(move |seen| seen.observe(events_lost(), &[]))
            .build();
        let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
        let build = [version, KeyValue::new("commit", crate::COMMIT)];
        self.meter
            .u64_observable_gauge("bigin.build.info")
            .with_description("The program that runs; always 1.")
            .with_callback(move |seen| seen.observe(1, &build))
            .build();
    }

    /// Reads how many connections each data-path thread has, whenever somebody looks. To be called once.
    pub fn watch_connections(&self, connections: impl Fn() -> Vec<usize> + Send + Sync + 'static) {
        self.meter
            .u64_observable_gauge("bigin.inbound.connections")
            .with_description("Connections of callers, by the data-path thread that serves them.")
            .with_callback(move |seen| {
                for (thread, connections) in connections().into_iter().enumerate() {
                    let thread = KeyValue::new("thread", i64::try_from(thread).unwrap_or_default());
                    seen.observe(connections as u64, &[thread]);
                }
            })
            .build();
    }

    fn watch_token_expiry(&self, accounts: &Arc<[AccountGauges]>) {
        let accounts = Arc::clone(accounts);
        self.meter
            .f64_observable_gauge("bigin.token.expiry.timestamp")
            .with_unit("s")
            .with_description("When the current access token expires, since 1970; 0 without one.")
            .with_callback(move |seen| {
                for account in accounts.iter() {
                    seen.observe((account.token_expiry)(), &account.labels());
                }
            })
            .build();
    }

    fn watch_accounts(&self, gauge: AccountGauge, accounts: &Arc<[AccountGauges]>) {
        let accounts = Arc::clone(accounts);
        self.meter
            .u64_observable_gauge(gauge.name)
            .with_description(gauge.description)
            .with_callback(move |seen| {
                for account in accounts.iter() {
                    if let Some(value) = (gauge.read)(account) {
                        seen.observe(value, &account.labels());
                    }
                }
            })
            .build();
    }

    /// A connection ended without a request that could be answered.
    pub fn inbound_error(&self, kind: InboundError) {
        self.inbound_errors
            .add(1, &[KeyValue::new("kind", kind.as_str())]);
    }

    /// A panic was contained.
    pub(super) fn panicked(&self) {
        self.panics.add(1, &[]);
    }

    pub(super) fn token_requested(&self, account: &str, result: &'static str) {
        let labels = [
            KeyValue::new("account", account.to_owned()),
            KeyValue::new("result", result),
        ];
        self.token_requests.add(1, &labels);
    }

    pub(super) fn joined(&self, account: &str) {
        self.joined
            .add(1, &[KeyValue::new("account", account.to_owned())]);
    }

    pub(super) fn credential_failed(
        &self,
        account: &str,
        key: &'static str,
        position: usize,
        problem: &'static str,
    ) {
        let labels = [
            KeyValue::new("account", account.to_owned()),
            KeyValue::new("key", key),
            KeyValue::new("position", position.to_string()),
            KeyValue::new("problem", problem),
        ];
        self.credential_failures.add(1, &labels);
    }

    pub(super) fn token_adopted(&self, account: &str) {
        self.tokens_adopted
            .add(1, &[KeyValue::new("account", account.to_owned())]);
    }

    pub(super) fn store_commanded(
        &self,
        account: &str,
        command: &'static str,
        result: &'static str,
    ) {
        let account = KeyValue::new("account", account.to_owned());
        let up = u64::from(result == "ok");
        self.store_up.record(up, std::slice::from_ref(&account));
        let labels = [
            account,
            KeyValue::new("command", command),
            KeyValue::new("result", result),
        ];
        self.store_commands.add(1, &labels);
    }

    pub(super) fn store_tampered(&self, account: &str) {
        self.store_tampered
            .add(1, &[KeyValue::new("account", account.to_owned())]);
    }

    pub(super) fn foreign_api_domain(&self, account: &str) {
        self.foreign_api_domains
            .add(1, &[KeyValue::new("account", account.to_owned())]);
    }

    pub(super) fn flush(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last metrics were not pushed");
        }
    }
}
