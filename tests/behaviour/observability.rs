//! What operators see: readiness, metrics, one log line a request, and traces at a real receiver.

use std::time::Duration;

use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::support::{Collector, Program, TestApp, attribute, client, config_for, eventually};

#[tokio::test]
async fn a_replica_is_ready_once_its_first_token_is_there() {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 300 });
    let app = TestApp::without_token(&zoho, "");

    assert_eq!(app.admin("/livez").await.status, 200);
    let starting = app.readyz().await;
    assert_eq!(starting.status, 503);
    assert!(starting.body.contains("account main"), "{}", starting.body);
    eventually("ready", async || app.readyz().await.status == 200).await;
}

#[tokio::test]
async fn a_replica_that_starts_with_refused_credentials_stays_unready_until_they_are_good() {
    let zoho = Sandbox::start().await;
    zoho.on_token(
        When::Always,
        TokenFault::Error {
            status: 200,
            error: "invalid_client".to_owned(),
        },
    );
    let app = TestApp::without_token(&zoho, "token.budget_window = \"30s\"");

    // Longer than the ten seconds of grace that an outage is given.
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    let refused = app.readyz().await;
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("invalid_client"), "{}", refused.body);
    assert_eq!(app.admin("/livez").await.status, 200);

    zoho.well();
    eventually("ready", async || app.readyz().await.status == 200).await;
}

#[tokio::test]
async fn a_replica_that_starts_in_an_outage_becomes_ready_after_ten_seconds() {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Always, TokenFault::Html { status: 503 });
    let app = TestApp::without_token(&zoho, "");

    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(app.readyz().await.status, 503);
    eventually("ready", async || app.readyz().await.status == 200).await;
}

#[tokio::test]
async fn once_ready_a_replica_stays_ready_whatever_happens_to_its_token() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    zoho.on_token(
        When::Always,
        TokenFault::Error {
            status: 200,
            error: "invalid_code".to_owned(),
        },
    );
    zoho.revoke_tokens();

    assert_eq!(
        app.delete_photo("Contacts", 2).await.code(),
        "TOKEN_UNAVAILABLE"
    );
    assert_eq!(app.readyz().await.status, 200);
}

#[tokio::test]
async fn a_replica_that_nobody_asked_in_time_is_ready_all_the_same() {
    let zoho = Sandbox::start().await;
    let app = TestApp::without_token(&zoho, "token.budget_window = \"1s\"");
    eventually("it deletes", async || {
        app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;
    let error = "invalid_code".to_owned();
    zoho.on_token(When::Always, TokenFault::Error { status: 200, error });
    zoho.revoke_tokens();
    eventually("the credentials are refused", async || {
        app.delete_photo("Contacts", 2).await.code() == "TOKEN_UNAVAILABLE"
    })
    .await;

    assert_eq!(app.readyz().await.status, 200);
}

#[tokio::test]
async fn the_metrics_tell_what_happened() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    app.delete_photo("Contacts", 1).await;
    app.delete_photo("Products", 2).await;
    app.delete("/bigin/v2/Contacts/x/photo").await;
    zoho.on_delete(When::Next(2), ApiFault::after(ApiFaultKind::Close));
    app.delete_photo("Contacts", 3).await;

    for (name, labels, expected) in [
        (
            "bigin_photo_deletes_total",
            &[
                r#"account="main""#,
                r#"module="Contacts""#,
                r#"outcome="deleted""#,
                r#"code="SUCCESS""#,
            ][..],
            1.0,
        ),
        (
            "bigin_photo_deletes_total",
            &[r#"module="Products""#, r#"outcome="deleted""#],
            1.0,
        ),
        (
            "bigin_photo_deletes_total",
            &[r#"outcome="unknown""#, r#"code="UPSTREAM_CONNECTION_LOST""#],
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            &[r#"http_response_status_code="200""#],
            2.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            &[r#"http_response_status_code="400""#],
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            &[r#"http_route="/bigin/v2/{module_api_name}/{record_id}/photo""#],
            4.0,
        ),
        (
            "http_client_request_duration_seconds_count",
            &[r#"http_response_status_code="200""#],
            2.0,
        ),
        (
            "http_client_request_duration_seconds_count",
            &[r#"error_type="connection_lost""#],
            2.0,
        ),
        (
            "bigin_token_requests_total",
            &[r#"account="main""#, r#"result="ok""#],
            1.0,
        ),
        ("bigin_token_budget_remaining", &[r#"account="main""#], 7.0),
        ("bigin_calls_in_flight", &[], 0.0),
        ("bigin_build_info", &[], 1.0),
    ] {
        let value = app.metric(name, labels).await;
        assert!(
            (value - expected).abs() < f64::EPSILON,
            "{name} {labels:?}: {value}"
        );
    }
}

/// A running program in front of `zoho`, and where its callers connect.
async fn serving(zoho: &Sandbox, keys: &str) -> (Program, String) {
    let mut program = Program::serve(&config_for(zoho, keys));
    let (address, admin) = program.addresses();
    let ready = format!("http://{admin}/readyz");
    eventually("ready", async || {
        client().get(&ready).send().await.unwrap().status() == 200
    })
    .await;
    (program, format!("http://{address}"))
}

#[tokio::test]
async fn one_log_line_a_request_says_everything_but_the_record() {
    let zoho = Sandbox::start().await;
    let (mut program, url) = serving(&zoho, "").await;

    let request = client()
        .delete(format!("{url}/bigin/v2/Contacts/2034020000000489033/photo"))
        .header("x-request-id", "my-id")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
    assert_eq!(request.send().await.unwrap().status(), 200);
    let line = program.line("request");

    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "bigin_photo_proxy::request");
    assert_eq!(line["request_id"], "my-id");
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (&line["account"], &line["module"]),
        (&"main".into(), &"Contacts".into())
    );
    assert_eq!(
        (&line["status"], &line["code"]),
        (&200.into(), &"SUCCESS".into())
    );
    assert_eq!(
        (&line["outcome"], &line["act"]),
        (&"deleted".into(), &"nobody".into())
    );
    assert_eq!(line["calls"], 1);
    assert!(line["duration_ms"].as_f64().unwrap() >= line["zoho_ms"].as_f64().unwrap());
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let date = line["timestamp"].as_str().unwrap();
    assert!(
        date.ends_with('Z') && date.len() == "2026-11-24T01:54:14.123456Z".len(),
        "{date}"
    );
    assert!(!line.to_string().contains("2034020000000489033"));
}

#[tokio::test]
async fn no_secret_is_in_any_line_even_when_every_library_traces() {
    let zoho = Sandbox::start().await;
    let (program, url) = serving(
        &zoho,
        "log.level = \"trace,hyper=trace\"\nserver.drain_delay = \"0s\"",
    )
    .await;
    let delete = format!("{url}/bigin/v2/Contacts/2034020000000489033/photo");
    client().delete(&delete).send().await.unwrap();
    zoho.revoke_tokens();
    client().delete(&delete).send().await.unwrap();
    program.signal("TERM");
    let (_, log) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert!(log.contains("access token renewed"), "{log}");
    assert!(log.contains("\"target\":\"hyper"), "{log}");
    let settings = zoho.settings();
    for secret in [
        &settings.client_secret,
        &settings.refresh_token,
        "Zoho-oauthtoken",
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn a_standard_output_that_does_not_block_is_waited_for_and_loses_no_line() {
    const REQUESTS: usize = 500;
    let zoho = Sandbox::start().await;
    let mut program = Program::serve_unblocked(&config_for(&zoho, ""));
    let (address, _) = program.addresses();
    let caller = client();

    // Nobody reads meanwhile: the pipe has room for less.
    for _ in 0..REQUESTS {
        let request = caller.get(format!("http://{address}/nothing/is/here"));
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
    program.signal("INT");
    let (_, log) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert!(log.len() > 64 * 1024, "{}", log.len());
    assert_eq!(log.matches("\"request\"").count(), REQUESTS);
}

#[tokio::test]
async fn log_lines_for_people_are_text() {
    let zoho = Sandbox::start().await;
    let (program, url) = serving_text(&zoho).await;
    client()
        .delete(format!("{url}/bigin/v2/Contacts/1/photo"))
        .send()
        .await
        .unwrap();
    program.signal("INT");
    let (_, log) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    let line = log
        .lines()
        .find(|line| line.contains("outcome=\"deleted\""))
        .expect(&log);
    assert!(line.contains(" INFO "), "{line}");
}

/// With text, the address cannot be read from JSON: it is given.
async fn serving_text(zoho: &Sandbox) -> (Program, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = config_for(zoho, "log.format = \"text\"").replace(
        "server.listen = \"127.0.0.1:0\"",
        &format!("server.listen = \"{free}\""),
    );
    let program = Program::serve(&config);
    let url = format!("http://{free}");
    let path = format!("{url}/bigin/v2/Contacts/2/photo");
    eventually("it deletes", async || {
        client()
            .delete(&path)
            .send()
            .await
            .is_ok_and(|response| response.status() == 200)
    })
    .await;
    (program, url)
}

#[tokio::test]
async fn a_request_is_a_server_span_with_a_client_span_for_each_call() {
    let zoho = Sandbox::start().await;
    let collector = Collector::start().await;
    let keys = format!(
        "telemetry.otlp_endpoint = {:?}\nserver.drain_delay = \"0s\"",
        collector.url
    );
    let (program, url) = serving(&zoho, &keys).await;
    let delete = |id: u64| {
        let request = client().delete(format!("{url}/bigin/v2/Contacts/{id}/photo"));
        request
            .header(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
            .send()
    };
    assert_eq!(delete(1).await.unwrap().status(), 200);
    zoho.revoke_tokens();
    assert_eq!(
        delete(2_034_020_000_000_489_033).await.unwrap().status(),
        200
    );
    program.signal("TERM");
    assert_eq!(
        tokio::task::spawn_blocking(|| program.end())
            .await
            .unwrap()
            .0,
        0
    );

    let spans = collector.spans();
    let of_kind = |kind: SpanKind| spans.iter().filter(move |span| span.kind == kind as i32);
    let server: Vec<_> = of_kind(SpanKind::Server).collect();
    assert_eq!(server.len(), 2);
    let trace = [
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31,
        0x9c,
    ];
    let second = server[1];
    assert_eq!(
        second.name,
        "DELETE /bigin/v2/{module_api_name}/{record_id}/photo"
    );
    assert_eq!(second.trace_id, trace);
    assert_eq!(
        second.parent_span_id,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    for (key, value) in [
        ("http.request.method", "DELETE"),
        ("http.response.status_code", "200"),
        (
            "http.route",
            "/bigin/v2/{module_api_name}/{record_id}/photo",
        ),
        ("url.scheme", "http"),
        ("client.address", "127.0.0.1"),
        ("bigin.account", "main"),
        ("bigin.module", "Contacts"),
        ("bigin.outcome", "deleted"),
        ("bigin.code", "SUCCESS"),
    ] {
        assert_eq!(attribute(&second.attributes, key), value, "{key}");
    }
    let calls: Vec<_> = of_kind(SpanKind::Client)
        .filter(|span| span.parent_span_id == second.span_id)
        .collect();
    let statuses: Vec<_> = calls
        .iter()
        .map(|call| attribute(&call.attributes, "http.response.status_code"))
        .collect();
    assert_eq!(statuses, ["401", "200"]);
    assert!(
        calls
            .iter()
            .all(|call| call.name == "DELETE" && call.trace_id == trace)
    );
    let tokens: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "POST /oauth/v2/token")
        .collect();
    assert_eq!(tokens.len(), 2);
    assert!(
        tokens
            .iter()
            .all(|token| token.trace_id != trace && token.parent_span_id.is_empty())
    );
    assert!(!format!("{spans:?}").contains("2034020000000489033"));
}

#[tokio::test]
async fn the_same_metrics_are_pushed_as_scraped() {
    let zoho = Sandbox::start().await;
    let collector = Collector::start().await;
    let keys = format!(
        "telemetry.otlp_endpoint = {:?}\nserver.drain_delay = \"0s\"",
        collector.url
    );
    let (program, url) = serving(&zoho, &keys).await;
    client()
        .delete(format!("{url}/bigin/v2/Contacts/1/photo"))
        .send()
        .await
        .unwrap();
    program.signal("TERM");
    assert_eq!(
        tokio::task::spawn_blocking(|| program.end())
            .await
            .unwrap()
            .0,
        0
    );

    let names = collector.metrics();
    for name in [
        "http.server.request.duration",
        "bigin.photo.deletes",
        "bigin.token.expiry.timestamp",
    ] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_down_costs_no_caller_anything_and_the_end_two_seconds_at_most() {
    let zoho = Sandbox::start().await;
    let keys = "telemetry.otlp_endpoint = \"http://127.0.0.1:9\"\nserver.drain_delay = \"0s\"";
    let (program, url) = serving(&zoho, keys).await;
    for id in 1..=20 {
        let begun = tokio::time::Instant::now();
        let response = client()
            .delete(format!("{url}/bigin/v2/Contacts/{id}/photo"))
            .send()
            .await;
        assert_eq!(response.unwrap().status(), 200);
        assert!(begun.elapsed() < Duration::from_millis(500));
    }
    let begun = tokio::time::Instant::now();
    program.signal("TERM");

    assert_eq!(
        tokio::task::spawn_blocking(|| program.end())
            .await
            .unwrap()
            .0,
        0
    );
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}
