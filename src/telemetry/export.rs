//! The way to a collector: OTLP over HTTP, and a count of what does not arrive there.
//!
//! Invariants: a collector that is away, slow or refusing costs no request any time, and no more memory than the queue.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanData;

use super::FLUSH_TIMEOUT;

/// The most spans that wait for the collector. The default of the specification.
/// Source: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor>.
pub(super) const QUEUE: usize = 2048;

/// The most that is read of a collector's answer. Those of OTLP have some bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// What did not reach the collector, and what is on its way there.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Spans that wait.
    waiting: AtomicUsize,
    without_room: AtomicU64,
    not_exported: AtomicU64,
    /// Whether the latest spans were not exported.
    are_refused: AtomicBool,
    failed_metrics: AtomicU64,
    failed_traces: AtomicU64,
}

impl Losses {
    /// Room for one more span. The SDK would not say that it drops one.
    pub(super) fn reserve(&self) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.without_room.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Spans that were dropped, by reason.
    pub(super) fn spans(&self) -> [(&'static str, u64); 2] {
        [
            ("queue_full", self.without_room.load(Ordering::Relaxed)),
            ("not_exported", self.not_exported.load(Ordering::Relaxed)),
        ]
    }

    /// Requests to the collector that failed, by signal.
    pub(super) fn pushes(&self) -> [(&'static str, u64); 2] {
        [
            ("metrics", self.failed_metrics.load(Ordering::Relaxed)),
            ("traces", self.failed_traces.load(Ordering::Relaxed)),
        ]
    }
}

/// Exports spans, and counts those that cannot be exported.
#[derive(Debug)]
pub(super) struct Spans {
    exporter: SpanExporter,
    losses: Arc<Losses>,
}

impl opentelemetry_sdk::trace::SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.losses.waiting.fetch_sub(count, Ordering::Relaxed);
        let exported = self.exporter.export(batch).await;
        let was_refused = self
            .losses
            .are_refused
            .swap(exported.is_err(), Ordering::Relaxed);
        // Once a trouble, not once a batch.
        match (was_refused, exported.is_err()) {
            (false, true) => tracing::warn!("the collector takes no spans: they are dropped"),
            (true, false) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        if exported.is_err() {
            self.losses
                .not_exported
                .fetch_add(count as u64, Ordering::Relaxed);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The two exporters of one OTLP/HTTP endpoint. They send over the runtime that this is called on.
pub(super) fn exporters(
    endpoint: &str,
    tls: &rustls::ClientConfig,
    losses: &Arc<Losses>,
) -> anyhow::Result<(Spans, MetricExporter)> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(FLUSH_TIMEOUT)
        .build()?;
    let http = |failed| OnRuntime {
        client: client.clone(),
        runtime: tokio::runtime::Handle::current(),
        losses: Arc::clone(losses),
        failed,
    };
    let spans = SpanExporter::builder()
        .with_http()
        .with_http_client(http(|losses| &losses.failed_traces));
    let exporter = spans
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()
        .context("telemetry.otlp_endpoint")?;
    let points = MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_http()
        .with_http_client(http(|losses| &losses.failed_metrics));
    let points = points
        .with_endpoint(format!("{endpoint}/v1/metrics"))
        .build()
        .context("telemetry.otlp_endpoint")?;
    let losses = Arc::clone(losses);
    Ok((Spans { exporter, losses }, points))
}

/// The SDK exports from threads of its own, which have no reactor: the sending is done on our runtime.
#[derive(Clone)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
    losses: Arc<Losses>,
    /// Which of the losses counts a request that fails.
    failed: fn(&Losses) -> &AtomicU64,
}

impl fmt::Debug for OnRuntime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("OnRuntime")
    }
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let mut answer = client.execute(request.try_into()?).await?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err("the collector's answer is too long".into());
                }
                body.extend_from_slice(&chunk);
            }
            let mut response = http::Response::new(Bytes::from(body));
            *response.status_mut() = answer.status();
            // They may say when to try again.
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            Ok::<_, HttpError>(response)
        });
        let answer = sending.await.map_err(HttpError::from).flatten();
        if !answer.as_ref().is_ok_and(|it| it.status().is_success()) {
            (self.failed)(&self.losses).fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}
