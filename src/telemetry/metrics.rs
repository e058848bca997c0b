//! The metrics as OpenTelemetry instruments, scraped as Prometheus text and pushed by OTLP from one source.
//!
//! They are declared in `catalogue`. What the path of a request records is bound to its labels in `series`; what is read
//! whenever somebody looks is in `gauges`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};

use prometheus::proto::Metric;
use tokio::runtime::RuntimeMetrics;

use super::FLUSH_TIMEOUT;
use super::catalogue::{self, Declared};
use super::export::Losses;
use super::gauges::{self, AccountGauges};
use super::readers::Readers;
use crate::outcome::Outcome;
use crate::zoho::Code;

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
    rejected: Counter<u64>,
    retries: Counter<u64>,
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

/// What [`catalogue::DELETES`] is called where it is scraped.
const DELETIONS: &str = "bigin_photo_deletes_total";

/// How a deletion ended, of whatever module: as the labels of the catalogue have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeletionKind {
    /// The account.
    pub account: String,
    /// The code in the response.
    pub code: String,
    /// What became of the photo.
    pub outcome: String,
    /// Who must act.
    pub act: String,
}

impl DeletionKind {
    /// Whether the photo was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.outcome == Outcome::Deleted.as_str()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of whole deletions"
    )]
    fn counted(metric: &Metric) -> (Self, u64) {
        let label = |name| {
            let mut labels = metric.get_label().iter();
            let found = labels.find(|label| label.name() == name);
            found.map_or_else(String::new, |label| label.value().to_owned())
        };
        let kind = Self {
            account: label("account"),
            code: label("code"),
            outcome: label("outcome"),
            act: label("act"),
        };
        (kind, metric.get_counter().get_value() as u64)
    }
}

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
        let counter = |declared: Declared| {
            meter
                .u64_counter(declared.name)
                .with_description(declared.meaning)
                .build()
        };
        let seconds = |declared: Declared| {
            let histogram = meter
                .f64_histogram(declared.name)
                .with_unit(declared.unit)
                .with_description(declared.meaning);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        gauges::watch_process(&meter);
        Ok(Self {
            server_duration: seconds(catalogue::SERVER_DURATION),
            client_duration: seconds(catalogue::CLIENT_DURATION),
            deletes: counter(catalogue::DELETES),
            rejected: counter(catalogue::REJECTED),
            retries: counter(catalogue::RETRIES),
            token_requests: counter(catalogue::TOKEN_REQUESTS),
            token_waits: counter(catalogue::TOKEN_WAITS),
            joined: counter(catalogue::JOINED),
            credential_failures: counter(catalogue::CREDENTIAL_FAILURES),
            tokens_adopted: counter(catalogue::TOKENS_ADOPTED),
            store_commands: counter(catalogue::STORE_COMMANDS),
            store_tampered: counter(catalogue::STORE_TAMPERED),
            store_up: meter
                .u64_gauge(catalogue::STORE_UP.name)
                .with_description(catalogue::STORE_UP.meaning)
                .build(),
            foreign_api_domains: counter(catalogue::FOREIGN_API_DOMAINS),
            inbound_errors: counter(catalogue::INBOUND_ERRORS),
            panics: counter(catalogue::PANICS),
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

    /// How often deletions ended in which way so far.
    #[must_use]
    pub fn deletions(&self) -> HashMap<DeletionKind, u64> {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == DELETIONS)
            .map_or(&[][..], |family| family.get_metric());
        let mut kinds = HashMap::new();
        for (kind, count) in family.iter().map(DeletionKind::counted) {
            *kinds.entry(kind).or_default() += count;
        }
        kinds
    }

    /// Reads these whenever somebody looks. To be called once.
    pub fn watch(
        &self,
        accounts: &Arc<[AccountGauges]>,
        lines_dropped: impl Fn() -> u64 + Send + Sync + 'static,
        events_lost: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.begin(accounts);
        let meter = &self.meter;
        gauges::watch_accounts(meter, accounts);
        gauges::watch_count(meter, &catalogue::LINES_DROPPED, move |seen| {
            seen.observe(lines_dropped(), &[]);
        });
        gauges::watch_count(meter, &catalogue::EVENTS_LOST, move |seen| {
            seen.observe(events_lost(), &[]);
        });
        let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
        let build = [version, KeyValue::new("commit", crate::COMMIT)];
        gauges::watch_count(meter, &catalogue::BUILD_INFO, move |seen| {
            seen.observe(1, &build);
        });
    }

    /// Begins counters at zero whose first rise somebody may wait for.
    fn begin(&self, accounts: &[AccountGauges]) {
        catalogue::PANICS.zero(&self.panics, &[]);
        catalogue::INBOUND_ERRORS.zero(&self.inbound_errors, &[]);
        catalogue::REJECTED.zero(&self.rejected, &[]);
        for account in accounts {
            let account = [KeyValue::new("account", account.account.clone())];
            for (declared, counter) in [
                (&catalogue::RETRIES, &self.retries),
                (&catalogue::TOKEN_REQUESTS, &self.token_requests),
                (&catalogue::TOKEN_WAITS, &self.token_waits),
                (&catalogue::JOINED, &self.joined),
                (&catalogue::TOKENS_ADOPTED, &self.tokens_adopted),
                (&catalogue::STORE_TAMPERED, &self.store_tampered),
                (&catalogue::FOREIGN_API_DOMAINS, &self.foreign_api_domains),
            ] {
                declared.zero(counter, &account);
            }
        }
    }

    /// Reads how many connections each data-path thread has, and runtimes by their names, whenever somebody looks. To be
    /// called once.
    pub fn watch_threads(
        &self,
        connections: impl Fn() -> Vec<usize> + Send + Sync + 'static,
        runtimes: Vec<(String, RuntimeMetrics)>,
    ) {
        gauges::watch_count(&self.meter, &catalogue::CONNECTIONS, move |seen| {
            for (thread, connections) in connections().into_iter().enumerate() {
                let thread = KeyValue::new("thread", i64::try_from(thread).unwrap_or_default());
                seen.observe(connections as u64, &[thread]);
            }
        });
        gauges::watch_runtimes(&self.meter, runtimes);
    }

    /// Reads what did not reach the collector, whenever somebody looks. To be called once.
    pub(super) fn watch_export(&self, losses: &Arc<Losses>) {
        let spans = Arc::clone(losses);
        gauges::watch_count(&self.meter, &catalogue::SPANS_DROPPED, move |seen| {
            for (reason, count) in spans.spans() {
                seen.observe(count, &[KeyValue::new("reason", reason)]);
            }
        });
        let pushes = Arc::clone(losses);
        gauges::watch_count(&self.meter, &catalogue::PUSHES_FAILED, move |seen| {
            for (signal, count) in pushes.pushes() {
                seen.observe(count, &[KeyValue::new("signal", signal)]);
            }
        });
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

    /// A request was answered without a deletion.
    pub(super) fn rejected(&self, code: Code) {
        self.rejected
            .add(1, &[KeyValue::new("code", code.as_str())]);
    }

    /// A deletion took a second call.
    pub(super) fn retried(&self, account: &str, outcome: Outcome) {
        let won = outcome == Outcome::Deleted;
        let labels = [
            KeyValue::new("account", account.to_owned()),
            KeyValue::new("result", if won { "won" } else { "lost" }),
        ];
        self.retries.add(1, &labels);
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
