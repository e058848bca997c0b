//! Traces at a receiver that is made of the published messages; and what a bad receiver costs: nothing but the spans.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{Collector, Program, TestApp, attribute, client, config_for, eventually};

/// A caller's span, which is sampled.
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A request that is answered without a call, and makes one span.
async fn ask_nothing(app: &TestApp) -> Duration {
    let begun = Instant::now();
    assert_eq!(app.delete("/nothing").await.status, 404);
    begun.elapsed()
}

/// What deletions leave at a collector, of a program with these variables: `calls` each.
async fn spans_of(variables: &[(&str, &str)], headers: &[(&'static str, &str)]) -> Collector {
    let zoho = Sandbox::start().await;
    let collector = Collector::start().await;
    let keys = format!("telemetry.otlp_endpoint = {:?}", collector.url);
    let mut program = Program::serve_in(variables, &config_for(&zoho, &keys));
    let (address, _) = program.addresses();
    let url = format!("http://{address}/bigin/v2/Products/2034020000000489033/photo");
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Close));
    eventually("it deletes", async || {
        let request = client().delete(&url);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await.is_ok_and(|it| it.status() == 200)
    })
    .await;
    program.signal("INT");
    let (code, _) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();
    assert_eq!(code, 0);
    collector
}

fn of_kind(spans: &[Span], kind: SpanKind) -> Vec<&Span> {
    let is_of_kind = |span: &&Span| span.kind == kind as i32;
    spans.iter().filter(is_of_kind).collect()
}

#[tokio::test]
async fn each_call_says_where_it_went_and_which_one_it_was_and_never_which_record_it_meant() {
    let collector = spans_of(&[], &[]).await;

    let spans = collector.spans();
    let server = of_kind(&spans, SpanKind::Server);
    let server = server.last().unwrap();
    let calls: Vec<_> = of_kind(&spans, SpanKind::Client)
        .into_iter()
        .filter(|span| span.parent_span_id == server.span_id)
        .collect();
    let [first, second] = calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(
        attribute(&first.attributes, "error.type"),
        "connection_lost"
    );
    assert_eq!(
        attribute(&first.attributes, "http.request.resend_count"),
        ""
    );
    assert_eq!(
        attribute(&second.attributes, "http.request.resend_count"),
        "1"
    );
    for call in [first, second] {
        assert_eq!(attribute(&call.attributes, "server.address"), "127.0.0.1");
        assert_ne!(attribute(&call.attributes, "server.port"), "");
        let url = attribute(&call.attributes, "url.full");
        assert!(url.ends_with("/bigin/v2/Products/REDACTED/photo"), "{url}");
    }
    let token = spans
        .iter()
        .find(|span| span.name == "POST /oauth/v2/token");
    let token = &token.unwrap().attributes;
    assert!(attribute(token, "url.full").ends_with("/oauth/v2/token"));
    assert_eq!(attribute(token, "bigin.token.result"), "ok");
    assert_eq!(attribute(token, "http.response.status_code"), "200");
    assert_eq!(
        attribute(&server.attributes, "url.path"),
        "/bigin/v2/Products/REDACTED/photo"
    );
    assert_eq!(attribute(&server.attributes, "bigin.act"), "nobody");
    assert!(!format!("{spans:?}").contains("2034020000000489033"));
}

#[tokio::test]
async fn the_environment_says_who_the_process_is() {
    let attributes = "service.name=photos,k8s.pod.name=photos-7,service.namespace=crm";
    let given = ("OTEL_RESOURCE_ATTRIBUTES", attributes);
    let collector = spans_of(&[given], &[]).await;

    let resource = collector.resource();
    for (key, value) in [
        ("service.name", "photos"),
        ("service.namespace", "crm"),
        ("k8s.pod.name", "photos-7"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(attribute(&resource, key), value, "{key}");
    }
    let named = spans_of(&[given, ("OTEL_SERVICE_NAME", "deleter")], &[]).await;
    assert_eq!(attribute(&named.resource(), "service.name"), "deleter");
}

#[tokio::test]
async fn without_an_environment_the_process_has_its_own_name_and_one_for_this_replica_alone() {
    let (one, other) = (spans_of(&[], &[]).await, spans_of(&[], &[]).await);

    let of = |collector: &Collector, key| attribute(&collector.resource(), key);
    assert_eq!(of(&one, "service.name"), "bigin-photo-proxy");
    let instance = of(&one, "service.instance.id");
    assert_eq!(instance.len(), 32, "{instance}");
    assert_ne!(instance, of(&other, "service.instance.id"));
}

#[tokio::test]
async fn a_callers_trace_goes_no_further_than_here() {
    let zoho = Sandbox::start().await;
    let collector = Collector::start().await;
    let keys = format!("telemetry.otlp_endpoint = {:?}", collector.url);
    let app = TestApp::with(&zoho, &keys).await;
    let request = app.client().delete(app.url("/bigin/v2/Contacts/1/photo"));
    let request = request
        .header("traceparent", PARENT)
        .header("tracestate", "a=b")
        .header("baggage", "c=d");
    assert_eq!(request.send().await.unwrap().status(), 200);

    let requests = zoho.ledger().requests;
    let [request] = &requests[..] else {
        panic!("{requests:?}")
    };
    for header in ["traceparent", "tracestate", "baggage"] {
        assert_eq!(request.header(header), None, "{request:?}");
    }
}

#[tokio::test]
async fn a_collectors_answer_is_read_only_so_far() {
    let zoho = Sandbox::start().await;
    let collector = Collector::verbose().await;
    let keys = format!("telemetry.otlp_endpoint = {:?}", collector.url);
    let app = TestApp::with(&zoho, &keys).await;
    for _ in 0..600 {
        ask_nothing(&app).await;
    }

    eventually("it is given up", async || {
        let failed = app.metric(
            "bigin_telemetry_pushes_failed_total",
            &[r#"signal="traces""#],
        );
        failed.await >= 1.0
    })
    .await;
}

#[tokio::test]
async fn the_environment_says_what_is_sampled_and_callers_may_say_it_of_theirs() {
    let variables = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];

    let theirs = spans_of(&variables, &[("traceparent", PARENT)])
        .await
        .spans();
    let ours = spans_of(&variables, &[]).await.spans();

    assert!(!of_kind(&theirs, SpanKind::Server).is_empty());
    assert!(ours.is_empty(), "{ours:?}");
}

#[tokio::test]
async fn a_collector_that_refuses_costs_the_spans_which_are_counted() {
    let zoho = Sandbox::start().await;
    let collector = Collector::refusing().await;
    let keys = format!("telemetry.otlp_endpoint = {:?}", collector.url);
    let app = TestApp::with(&zoho, &keys).await;
    // As many as make a batch.
    for _ in 0..600 {
        ask_nothing(&app).await;
    }

    eventually("they are counted", async || {
        let lost = app.metric(
            "bigin_telemetry_spans_dropped_total",
            &[r#"reason="not_exported""#],
        );
        lost.await >= 512.0
    })
    .await;
    let failed = app.metric(
        "bigin_telemetry_pushes_failed_total",
        &[r#"signal="traces""#],
    );
    assert!(failed.await >= 1.0);
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_no_time_and_a_bounded_queue() {
    let zoho = Sandbox::start().await;
    let collector = Collector::hanging().await;
    let keys = format!("telemetry.otlp_endpoint = {:?}", collector.url);
    let app = TestApp::with(&zoho, &keys).await;
    let mut slowest = Duration::ZERO;
    // More than the queue of 2,048 and a batch of 512 that is on its way.
    for _ in 0..3500 {
        slowest = slowest.max(ask_nothing(&app).await);
    }

    let dropped = app.metric(
        "bigin_telemetry_spans_dropped_total",
        &[r#"reason="queue_full""#],
    );
    assert!(dropped.await > 100.0);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}
