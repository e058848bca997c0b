//! Spans, after the fact: when a request is over, its times are known, and only a sampled one costs anything.
//!
//! Names and attributes follow the semantic conventions for HTTP spans
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>). Sampling follows `OTEL_TRACES_SAMPLER`.

use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceId, Tracer as _,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    self as sdk, BatchConfigBuilder, BatchSpanProcessor, Config, Sampler, SamplingDecision,
    SdkTracer, SdkTracerProvider, ShouldSample,
};
use tokio::time::Instant;

use super::FLUSH_TIMEOUT;
use super::export::{Losses, QUEUE, Spans};
use super::record::{CallRecord, Parent, RequestRecord};
use super::series::{AccountSeries, Address};
use crate::target::Target;

/// Makes spans and exports them in the background.
pub struct Tracer {
    /// Asked before anything is made: the SDK would make the whole span first.
    sampler: Box<dyn ShouldSample>,
    provider: SdkTracerProvider,
    spans: SdkTracer,
    losses: Arc<Losses>,
}

impl Tracer {
    pub(super) fn new(resource: Resource, exporter: Spans, losses: Arc<Losses>) -> Self {
        let queue = BatchConfigBuilder::default().with_max_queue_size(QUEUE);
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(queue.build())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::AlwaysOn)
            .with_span_processor(processor)
            .build();
        let spans = provider.tracer("bigin-photo-proxy");
        Self {
            // The SDK's reading of OTEL_TRACES_SAMPLER.
            sampler: Config::default().sampler,
            provider,
            spans,
            losses,
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
        account: Option<&AccountSeries>,
        ended: Instant,
    ) -> Option<SpanContext> {
        let name = record.route.span_name();
        let parent = record.parent.as_ref().map(Parent::context);
        if !self.samples(parent.as_ref(), name, &SpanKind::Server) {
            return None;
        }
        let parent = parent.unwrap_or_default();
        let mut span = self.start(name, SpanKind::Server, record.begun, &parent)?;
        span.set_attributes(server_attributes(record, account));
        if record.status.is_server_error() {
            failed(&mut span, record.code.as_str());
        }
        let own = span.span_context().clone();
        let context = Context::new().with_remote_span_context(own.clone());
        if let (Some(account), Some(target)) = (account, record.target) {
            for (earlier, call) in (0_i64..).zip(record.calls) {
                let Some(mut span) = self.start("DELETE", SpanKind::Client, call.begun, &context)
                else {
                    break;
                };
                span.set_attributes(account.api().attributes("DELETE", &path(target)));
                if earlier > 0 {
                    span.set_attribute(KeyValue::new("http.request.resend_count", earlier));
                }
                end_call(span, call);
            }
        }
        span.end_with_timestamp(date(ended));
        Some(own)
    }

    /// A token request belongs to no request of a caller's.
    pub(super) fn token_requested(
        &self,
        account: &str,
        accounts: &Address,
        (begun, answered, result): (Instant, Option<StatusCode>, &'static str),
    ) {
        let Some(mut span) = self.start_alone("POST /oauth/v2/token", begun) else {
            return;
        };
        span.set_attributes(accounts.attributes("POST", "/oauth/v2/token"));
        span.set_attributes(answered.map(status));
        span.set_attribute(KeyValue::new("bigin.account", account.to_owned()));
        span.set_attribute(KeyValue::new("bigin.token.result", result));
        if result != "ok" {
            failed(&mut span, result);
        }
    }

    /// A command to the token store, which belongs to no request of a caller's either.
    pub(super) fn stored(
        &self,
        account: &str,
        command: &'static str,
        (begun, result): (Instant, &'static str),
    ) {
        let Some(mut span) = self.start_alone(command, begun) else {
            return;
        };
        span.set_attribute(KeyValue::new("db.system.name", "redis"));
        span.set_attribute(KeyValue::new("db.operation.name", command));
        span.set_attribute(KeyValue::new("bigin.account", account.to_owned()));
        if result != "ok" {
            failed(&mut span, result);
        }
    }

    /// A client span that begins a trace, if it is sampled. It ends when dropped.
    fn start_alone(&self, name: &'static str, begun: Instant) -> Option<sdk::Span> {
        let is_sampled = self.samples(None, name, &SpanKind::Client);
        is_sampled.then(|| self.start(name, SpanKind::Client, begun, &Context::new()))?
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

    /// A span, if there is room for it.
    fn start(
        &self,
        name: &'static str,
        kind: SpanKind,
        begun: Instant,
        parent: &Context,
    ) -> Option<sdk::Span> {
        if !self.losses.reserve() {
            return None;
        }
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_start_time(date(begun));
        Some(self.spans.build_with_context(builder, parent))
    }
}

fn end_call(mut span: sdk::Span, call: &CallRecord) {
    match call.result {
        Ok(answered) => {
            span.set_attribute(status(answered));
            if !answered.is_success() {
                span.set_attribute(KeyValue::new("error.type", answered.as_str().to_owned()));
                span.set_status(Status::error(""));
            }
        }
        Err(error) => failed(&mut span, error),
    }
    span.end_with_timestamp(date(call.ended));
}

/// Marks a span as failed, with a word for why.
fn failed(span: &mut sdk::Span, why: &'static str) {
    span.set_attribute(KeyValue::new("error.type", why));
    span.set_status(Status::error(why));
}

fn status(status: StatusCode) -> KeyValue {
    KeyValue::new("http.response.status_code", i64::from(status.as_u16()))
}

/// The path of a deletion. The record's id is personal data, and the conventions have a word for such.
fn path(target: Target) -> String {
    format!("/bigin/v2/{}/REDACTED/photo", target.module.as_str())
}

fn server_attributes(record: &RequestRecord<'_>, account: Option<&AccountSeries>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(
            "http.request.method",
            if record.is_delete { "DELETE" } else { "_OTHER" },
        ),
        status(record.status),
        // What was not understood may hold anything.
        KeyValue::new(
            "url.path",
            record.target.map_or("/REDACTED".to_owned(), path),
        ),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("network.protocol.version", "1.1"),
        KeyValue::new("bigin.request_id", record.request_id.to_owned()),
        KeyValue::new("bigin.outcome", record.outcome.as_str()),
        KeyValue::new("bigin.code", record.code.as_str()),
        KeyValue::new("bigin.act", record.act),
    ];
    attributes.extend(
        record
            .route
            .template()
            .map(|route| KeyValue::new("http.route", route)),
    );
    attributes.extend(client_address(record.peer));
    attributes
        .extend(account.map(|series| KeyValue::new("bigin.account", series.account().to_owned())));
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
