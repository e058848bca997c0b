//! Spans, after the fact: when a request is over, its times are known, and only a sampled one costs anything.
//!
//! Names and attributes follow the semantic conventions for HTTP spans
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>). Sampling follows `OTEL_TRACES_SAMPLER`.

use std::fmt;
use std::time::SystemTime;

use anyhow::Context as _;
use bytes::Bytes;
use opentelemetry::trace::{
    Span, SpanBuilder, SpanKind, Status, TraceContextExt, TraceId, Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::{
    Config, Sampler, SamplingDecision, SdkTracer, SdkTracerProvider, ShouldSample,
};
use tokio::time::Instant;

use super::FLUSH_TIMEOUT;
use super::record::{CallRecord, Parent, RequestRecord};

/// Makes spans and exports them in the background.
pub struct Tracer {
    /// Asked before anything is made: the SDK would make the whole span first.
    sampler: Box<dyn ShouldSample>,
    provider: SdkTracerProvider,
    spans: SdkTracer,
}

impl Tracer {
    pub(super) fn new(resource: Resource, exporter: SpanExporter) -> Self {
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::AlwaysOn)
            .with_batch_exporter(exporter)
            .build();
        let spans = provider.tracer("bigin-photo-proxy");
        Self {
            // The SDK's reading of OTEL_TRACES_SAMPLER.
            sampler: Config::default().sampler,
            provider,
            spans,
        }
    }

    pub(super) fn flush(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }

    /// A server span, and a client span for each call, if the request is sampled. Returns the trace's id.
    pub(super) fn request_finished(
        &self,
        record: &RequestRecord<'_>,
        account: Option<&str>,
        ended: Instant,
    ) -> Option<TraceId> {
        let name = record.route.span_name();
        let parent = record.parent.as_ref().map(Parent::context);
        if !self.samples(parent.as_ref(), name, &SpanKind::Server) {
            return None;
        }
        let parent = parent.unwrap_or_default();
        let mut span = self.start(name, SpanKind::Server, record.begun, &parent);
        span.set_attributes(server_attributes(record, account));
        if record.status.is_server_error() {
            span.set_status(Status::error(record.code.as_str()));
        }
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        for call in record.calls {
            self.call_finished(call, &context);
        }
        span.end_with_timestamp(date(ended));
        Some(context.span().span_context().trace_id())
    }

    /// A token request belongs to no request of a caller's.
    pub(super) fn token_requested(&self, account: &str, begun: Instant, result: &'static str) {
        let name = "POST /oauth/v2/token";
        if !self.samples(None, name, &SpanKind::Client) {
            return;
        }
        let mut span = self.start(name, SpanKind::Client, begun, &Context::new());
        span.set_attribute(KeyValue::new("http.request.method", "POST"));
        span.set_attribute(KeyValue::new("bigin.account", account.to_owned()));
        span.set_attribute(KeyValue::new("bigin.token.result", result));
        if result != "ok" {
            span.set_status(Status::error(result));
        }
        span.end();
    }

    fn call_finished(&self, call: &CallRecord, parent: &Context) {
        let mut span = self.start("DELETE", SpanKind::Client, call.begun, parent);
        span.set_attribute(KeyValue::new("http.request.method", "DELETE"));
        match call.result {
            Ok(status) => span.set_attribute(KeyValue::new(
                "http.response.status_code",
                i64::from(status.as_u16()),
            )),
            Err(error) => span.set_attribute(KeyValue::new("error.type", error)),
        }
        if !call.result.is_ok_and(|status| status.is_success()) {
            span.set_status(Status::error(call.result.err().unwrap_or_default()));
        }
        span.end_with_timestamp(date(call.ended));
    }

    /// Whether a span should be made. A trace that begins here is sampled by chance.
    fn samples(&self, parent: Option<&Context>, name: &str, kind: &SpanKind) -> bool {
        let trace_id = parent.map_or_else(
            || TraceId::from(fastrand::u128(..)),
            |parent| parent.span().span_context().trace_id(),
        );
        let sampling = self
            .sampler
            .should_sample(parent, trace_id, name, kind, &[], &[]);
        sampling.decision == SamplingDecision::RecordAndSample
    }

    fn start(
        &self,
        name: &'static str,
        kind: SpanKind,
        begun: Instant,
        parent: &Context,
    ) -> opentelemetry_sdk::trace::Span {
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_start_time(date(begun));
        self.spans.build_with_context(builder, parent)
    }
}

fn server_attributes(record: &RequestRecord<'_>, account: Option<&str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(
            "http.request.method",
            if record.is_delete { "DELETE" } else { "_OTHER" },
        ),
        KeyValue::new(
            "http.response.status_code",
            i64::from(record.status.as_u16()),
        ),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("bigin.request_id", record.request_id.to_owned()),
        KeyValue::new("bigin.outcome", record.outcome.as_str()),
        KeyValue::new("bigin.code", record.code.as_str()),
    ];
    attributes.extend(
        record
            .route
            .template()
            .map(|route| KeyValue::new("http.route", route)),
    );
    attributes.extend(client_address(record.peer));
    attributes.extend(account.map(|account| KeyValue::new("bigin.account", account.to_owned())));
    attributes.extend(
        record
            .target
            .map(|target| KeyValue::new("bigin.module", target.module.as_str())),
    );
    attributes
}

/// A peer without its port, and an IPv6 address without brackets.
fn client_address(peer: &str) -> Option<KeyValue> {
    let (address, _port) = peer.rsplit_once(':')?;
    Some(KeyValue::new(
        "client.address",
        address.trim_matches(['[', ']']).to_owned(),
    ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "spans are dated; durations come from the monotonic clock"
)]
fn date(moment: Instant) -> SystemTime {
    SystemTime::now() - moment.elapsed()
}

/// The two exporters of one OTLP/HTTP endpoint. They send over the runtime that this is called on.
pub(super) fn exporters(
    endpoint: &str,
    tls: &rustls::ClientConfig,
) -> anyhow::Result<(SpanExporter, MetricExporter)> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(FLUSH_TIMEOUT)
        .build()?;
    let http = OnRuntime {
        client,
        runtime: tokio::runtime::Handle::current(),
    };
    let spans = SpanExporter::builder()
        .with_http()
        .with_http_client(http.clone());
    let spans = spans
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()
        .context("telemetry.otlp_endpoint")?;
    let points = MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_http()
        .with_http_client(http);
    let points = points
        .with_endpoint(format!("{endpoint}/v1/metrics"))
        .build()
        .context("telemetry.otlp_endpoint")?;
    Ok((spans, points))
}

/// The SDK exports from threads of its own, which have no reactor: the sending is done on our runtime.
#[derive(Clone)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
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
            let answer = client.execute(request.try_into()?).await?;
            let status = answer.status();
            Ok::<_, HttpError>(
                http::Response::builder()
                    .status(status)
                    .body(answer.bytes().await?)?,
            )
        });
        sending.await?
    }
}
