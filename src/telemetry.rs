//! What operators see: metrics, logs, traces, the audit. The other parts report facts here and know nothing of formats.
//!
//! Invariants: nothing here blocks a request or fails it; [`audit`] alone writes record ids; and no value of a secret type
//! can get in.

pub mod audit;
mod catalogue;
mod export;
mod gauges;
mod line;
pub mod log;
mod metrics;
mod readers;
mod record;
mod request;
mod series;
mod trace;
mod writer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{
    EnvResourceDetector, ResourceDetector, SdkProvidedResourceDetector,
};
use tokio::time::Instant;

pub use catalogue::page as metrics_page;
use export::Losses;
pub use gauges::{AccountGauges, AccountReading};
pub use metrics::{DeletionKind, InboundError, Metrics};
pub use record::{CallRecord, Parent, RequestRecord, Route};
pub use request::Observer;
use series::Address;
pub use trace::Tracer;

use crate::zoho::Origin;

/// How long flushing may take when the process ends.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Metrics and traces of one process.
pub struct Telemetry {
    /// Counters, histograms, gauges.
    pub metrics: Metrics,
    /// Spans, if they are exported at all.
    pub tracer: Option<Tracer>,
}

impl Telemetry {
    /// With an OTLP endpoint, metrics and traces go there too, over `runtime`.
    pub fn start(
        otlp_endpoint: Option<&str>,
        tls: &rustls::ClientConfig,
    ) -> anyhow::Result<Arc<Self>> {
        let losses = Arc::new(Losses::default());
        let exporters = otlp_endpoint
            .map(|endpoint| export::exporters(endpoint, tls, &losses))
            .transpose()?;
        let (spans, points) = exporters.unzip();
        let resource = resource();
        let metrics = Metrics::new(resource.clone(), points)?;
        metrics.watch_export(&losses);
        Ok(Arc::new(Self {
            metrics,
            tracer: spans.map(|spans| Tracer::new(resource, spans, losses)),
        }))
    }

    /// Runs a part of the program to its end; none, if that is a panic: it is counted and goes no further.
    pub async fn contain<T>(
        &self,
        part: &'static str,
        running: impl Future<Output = T>,
    ) -> Option<T> {
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        if ended.is_err() {
            self.metrics.panicked();
            tracing::error!(part, "a panic was contained");
        }
        ended.ok()
    }

    /// Sends what is left. Blocks, for at most [`FLUSH_TIMEOUT`] each.
    pub fn flush(&self) {
        if let Some(tracer) = &self.tracer {
            tracer.flush();
        }
        self.metrics.flush();
    }

    /// What the keeper of a token reports to, which asks at this accounts server.
    #[must_use]
    pub fn token_observer(self: &Arc<Self>, account: &str, accounts: &Origin) -> TokenObserver {
        TokenObserver {
            telemetry: Arc::clone(self),
            account: account.to_owned(),
            accounts: Address::of(accounts),
        }
    }
}

/// What the keeper of a token reports to.
#[derive(Clone)]
pub struct TokenObserver {
    telemetry: Arc<Telemetry>,
    account: String,
    accounts: Address,
}

impl TokenObserver {
    /// The account that the token is for; the first one, if several share it.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// A token request is over, with the status of its answer, if one came.
    pub fn requested(&self, begun: Instant, status: Option<StatusCode>, result: &'static str) {
        self.telemetry
            .metrics
            .token_requested(&self.account, result);
        if let Some(tracer) = &self.telemetry.tracer {
            tracer.token_requested(&self.account, &self.accounts, (begun, status, result));
        }
    }

    /// The keeper panicked, and goes on.
    pub fn panicked(&self) {
        self.telemetry.metrics.panicked();
    }

    /// A credential cannot be used: its key, its position in the list (0: in none any more), and why.
    pub fn credential_failed(&self, key: &'static str, position: usize, problem: &'static str) {
        self.telemetry
            .metrics
            .credential_failed(&self.account, key, position, problem);
    }

    /// A command to the token store is over.
    pub fn stored(&self, begun: Instant, command: &'static str, result: &'static str) {
        self.telemetry
            .metrics
            .store_commanded(&self.account, command, result);
        if let Some(tracer) = &self.telemetry.tracer {
            tracer.stored(&self.account, command, (begun, result));
        }
    }

    /// The token store held something that does not open.
    pub fn tampered(&self) {
        self.telemetry.metrics.store_tampered(&self.account);
    }

    /// Another replica's token was taken from the store.
    pub fn adopted(&self) {
        self.telemetry.metrics.token_adopted(&self.account);
    }

    /// The accounts server named an API host that is not the configured one.
    pub fn foreign_api_domain(&self) {
        self.telemetry.metrics.foreign_api_domain(&self.account);
    }
}

/// Who we are, as `OTEL_RESOURCE_ATTRIBUTES` and, for the name, `OTEL_SERVICE_NAME` may say better.
fn resource() -> Resource {
    // Else the metrics that replicas push would be one series. The name of a pod, if it is given, says more.
    let instance = format!("{:032x}", fastrand::u128(..));
    let ours = Resource::builder_empty()
        .with_service_name("bigin-photo-proxy")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    // The SDK's reading of both variables, which knows a name for those that have none.
    let name = SdkProvidedResourceDetector
        .detect()
        .get(&Key::from_static_str("service.name"))
        .filter(|name| !name.as_str().starts_with("unknown_service"));
    match name {
        Some(name) => ours.with_service_name(name).build(),
        None => ours.build(),
    }
}
