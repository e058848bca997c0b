//! An OTLP/HTTP receiver: it decodes what the OpenTelemetry protocol defines, with the published message types.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// A running receiver.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Received>,
}

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    /// What the process says of itself, with its spans.
    resource: Mutex<Vec<KeyValue>>,
    metrics: Mutex<Vec<String>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let received = Arc::new(Received::default());
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&received));
        Self::serving(router, received).await
    }

    /// One that refuses everything.
    pub(crate) async fn refusing() -> Self {
        let router = Router::new().fallback(async || StatusCode::BAD_REQUEST);
        Self::serving(router, Arc::default()).await
    }

    /// One that takes everything and never answers.
    pub(crate) async fn hanging() -> Self {
        let router = Router::new().fallback(async || std::future::pending::<()>().await);
        Self::serving(router, Arc::default()).await
    }

    /// One that takes everything, and has more to say than anybody wants to hear.
    pub(crate) async fn verbose() -> Self {
        let router = Router::new().fallback(async |_: Bytes| vec![0; 1 << 20]);
        Self::serving(router, Arc::default()).await
    }

    async fn serving(router: Router, received: Arc<Received>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().unwrap().clone()
    }

    /// What the process said of itself.
    pub(crate) fn resource(&self) -> Vec<KeyValue> {
        self.received.resource.lock().unwrap().clone()
    }

    /// The name of every metric so far.
    pub(crate) fn metrics(&self) -> Vec<String> {
        self.received.metrics.lock().unwrap().clone()
    }
}

/// An attribute as text; empty if it is missing.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

async fn traces(State(received): State<Arc<Received>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|spans| {
        let resource = spans.resource.unwrap_or_default();
        *received.resource.lock().unwrap() = resource.attributes;
        spans.scope_spans
    });
    received
        .spans
        .lock()
        .unwrap()
        .extend(scopes.flat_map(|scope| scope.spans));
}

async fn metrics(State(received): State<Arc<Received>>, body: Bytes) {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_metrics
        .into_iter()
        .flat_map(|resource| resource.scope_metrics);
    let names = scopes
        .flat_map(|scope| scope.metrics)
        .map(|metric| metric.name);
    received.metrics.lock().unwrap().extend(names);
}
