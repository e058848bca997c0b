//! The proxy's own codes, as far as a request alone brings them about. (Those of Zoho's and the network's faults are with
//! the faults.)

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http;
use bigin_photo_proxy::account::Accounts;
use bigin_photo_proxy::config::{CallerConfig, LogFormat};
use bigin_photo_proxy::http::Front;
use bigin_photo_proxy::proxy::Proxy;
use bigin_photo_proxy::server::Peer;
use bigin_photo_proxy::shutdown::Shutdown;
use bigin_photo_proxy::telemetry::audit::Audit;
use bigin_photo_proxy::telemetry::log::Log;
use bigin_photo_proxy::telemetry::{Observer, Telemetry};
use bigin_photo_proxy::zoho::Origin;
use futures_util::future::join_all;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use super::row::{Expected, Request};
use super::scene::Scene;
use crate::support::{TestApp, Wire, config_for, eventually};

#[tokio::test]
async fn a_module_that_zoho_has_not_is_invalid_module() {
    let scene = Scene::new().await;
    for module in ["Leads", "contacts", "CONTACTS"] {
        let wrong = Expected::wrong(400, "INVALID_MODULE");
        scene.expect(&Request::of(module), &wrong).await;
    }
}

#[tokio::test]
async fn companies_are_told_to_use_accounts() {
    let scene = Scene::new().await;
    let wrong = Expected::wrong(400, "INVALID_MODULE");

    let reply = scene.expect(&Request::of("Companies"), &wrong).await;

    assert!(reply.body.contains("use Accounts"), "{reply:?}");
}

#[tokio::test]
async fn an_id_that_zoho_never_gives_is_invalid_data() {
    let scene = Scene::new().await;
    for id in ["0", "01", "abc", "1.0", "10000000000000000000"] {
        let request = Request::path(&format!("/bigin/v2/Contacts/{id}/photo"));
        let wrong = Expected::wrong(400, "INVALID_DATA");
        scene.expect(&request, &wrong).await;
    }
}

#[tokio::test]
async fn a_body_or_a_transfer_coding_is_bad_request_and_closes() {
    let scene = Scene::new().await;
    for header in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
        let request = Request::photo().with(header);
        let wrong = Expected::wrong(400, "BAD_REQUEST").closes();
        scene.expect(&request, &wrong).await;
    }
}

#[tokio::test]
async fn a_missing_or_double_host_is_bad_request_and_closes() {
    let scene = Scene::new().await;
    let wrong = Expected::wrong(400, "BAD_REQUEST").closes();
    let line = "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1";

    scene.expect(&Request::bare(line), &wrong).await;
    let double = Request::line(line).with("Host: other");
    scene.expect(&double, &wrong).await;
}

#[tokio::test]
async fn a_query_is_bad_request_and_closes() {
    let scene = Scene::new().await;
    for query in ["?", "?a=b"] {
        let request = Request::path(&format!("/bigin/v2/Contacts/1/photo{query}"));
        let wrong = Expected::wrong(400, "BAD_REQUEST").closes();
        scene.expect(&request, &wrong).await;
    }
}

#[tokio::test]
async fn a_request_timeout_that_is_no_number_is_bad_request_and_closes() {
    let scene = Scene::new().await;
    for wrong in ["soon", "-1", "1s"] {
        let request = Request::photo().with(&format!("Request-Timeout: {wrong}"));
        let wrong = Expected::wrong(400, "BAD_REQUEST").closes();
        scene.expect(&request, &wrong).await;
    }
}

#[tokio::test]
async fn any_other_path_and_any_other_spelling_is_invalid_url_pattern() {
    let scene = Scene::new().await;
    for path in [
        "/",
        "/bigin/v2/Contacts/1",
        "/bigin/v2/Contacts/1/photo/",
        "/bigin/v2/Contacts/1/%70hoto",
        "/bigin/v2//Contacts/1/photo",
        "/bigin/v2/Contacts/../Contacts/1/photo",
    ] {
        let wrong = Expected::wrong(404, "INVALID_URL_PATTERN");
        scene.expect(&Request::path(path), &wrong).await;
    }
}

#[tokio::test]
async fn an_account_that_is_not_configured_is_unknown_account() {
    let scene = Scene::new().await;
    let request = Request::path("/nobody/bigin/v2/Contacts/1/photo");

    let wrong = Expected::wrong(404, "UNKNOWN_ACCOUNT");
    scene.expect(&request, &wrong).await;
}

#[tokio::test]
async fn any_other_verb_is_invalid_request_method_and_delete_is_named() {
    let scene = Scene::new().await;
    for verb in ["GET", "POST", "PUT", "PATCH", "OPTIONS", "delete"] {
        let request = Request::line(&format!("{verb} /bigin/v2/Contacts/1/photo HTTP/1.1"));
        let wrong = Expected::wrong(405, "INVALID_REQUEST_METHOD");

        let reply = scene.expect(&request, &wrong).await;

        assert_eq!(reply.header("allow"), "DELETE");
    }
}

#[tokio::test]
async fn a_caller_without_a_valid_token_is_caller_unauthorized() {
    let file = std::env::temp_dir().join(format!("callers-{:016x}", fastrand::u64(..)));
    std::fs::write(&file, "token-of-callers\n").unwrap();
    let zoho = Sandbox::start().await;
    let keys = format!("server.caller_token_file = \"{}\"", file.display());
    let app = TestApp::with(&zoho, &keys).await;
    let scene = Scene { zoho, app };
    let refused = Expected {
        proxy_status: "error=http_request_denied; details=\"CALLER_UNAUTHORIZED\"".to_owned(),
        ..Expected::wrong(401, "CALLER_UNAUTHORIZED")
    };

    let reply = scene.expect(&Request::photo(), &refused).await;

    assert_eq!(reply.header("www-authenticate"), "Bearer");
    let known = Request::photo().with("Authorization: Bearer token-of-callers");
    scene.expect(&known, &Expected::deleted()).await;
    std::fs::remove_file(file).unwrap();
}

/// What comes of bytes that are no request: the answers until the connection ends, and the kind of error counted.
async fn expect_bare(scene: &Scene, bytes: &[u8], statuses: &[u16], kind: &str) {
    let calls = scene.zoho.ledger().calls;
    let label = format!("kind=\"{kind}\"");
    let counted = async || {
        scene
            .app
            .metric("bigin_inbound_errors_total", &[&label])
            .await
    };
    let before = counted().await;

    let mut wire = Wire::to(scene.app.address).await;
    wire.send(bytes).await;
    let answers = wire.answers().await;

    let got: Vec<_> = answers.iter().map(|it| it.status.as_u16()).collect();
    assert_eq!(got, statuses);
    for bare in answers {
        assert_eq!((bare.body.as_str(), bare.outcome()), ("", ""));
    }
    eventually("it is counted", async || counted().await - before > 0.5).await;
    assert_eq!(scene.zoho.ledger().calls, calls);
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_cut_without_an_answer() {
    let scene = Scene::with("server.head_timeout = \"100ms\"").await;

    let half = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n";
    expect_bare(&scene, half, &[], "head_timeout").await;
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_a_bare_431() {
    let scene = Scene::new().await;
    let line = "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n";

    let large = format!("{line}X: {}\r\n\r\n", "x".repeat(17_000));
    expect_bare(&scene, large.as_bytes(), &[431], "head_too_large").await;
    let many = format!("{line}{}\r\n", "X: y\r\n".repeat(65));
    expect_bare(&scene, many.as_bytes(), &[431], "head_too_large").await;
    let long = format!("DELETE /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(17_000));
    expect_bare(&scene, long.as_bytes(), &[431], "head_too_large").await;
}

#[tokio::test]
async fn what_is_not_http_gets_a_bare_400() {
    let scene = Scene::new().await;
    for bytes in [
        "\u{16}\u{3}\u{1}\0\u{5}hello",
        "DELETE\r\n\r\n",
        "DELETE / HTTP/3.0\r\n\r\n",
    ] {
        expect_bare(&scene, bytes.as_bytes(), &[400], "not_http").await;
    }
}

#[tokio::test]
async fn a_panic_is_internal_error_and_ends_one_request_alone() {
    let tls = bigin_photo_proxy::upstream::tls_config(&rustls::RootCertStore::empty(), false);
    let telemetry = Telemetry::start(None, &tls.unwrap()).unwrap();
    let log = Log::to(std::io::sink(), LogFormat::Json).unwrap();
    let api: Origin = Origin::parse("http://127.0.0.1:1").unwrap();
    let front = Arc::new(Front {
        // A broken assertion: an account, and no route to it.
        proxy: Proxy::new(Vec::new()),
        accounts: Arc::new(Accounts::new(vec!["main".to_owned()], "main").unwrap()),
        observer: Arc::new(Observer::new(
            Arc::clone(&telemetry),
            log,
            Audit::to(std::io::sink(), LogFormat::Json).unwrap(),
            std::iter::once(("main", &api)),
        )),
        request_deadline: Duration::from_secs(1),
        caller_tokens: None,
        callers: CallerConfig::default(),
        shutdown: Shutdown::default(),
    });
    let request = http::Request::delete("/bigin/v2/Contacts/1/photo").header("host", "a");
    let request = request.body(()).unwrap();
    let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], 1)));

    for _ in 0..2 {
        let response = front.answer(&request, &peer).await;

        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["delete-outcome"], "not-sent");
        assert_eq!(
            response.headers()["proxy-status"],
            "bigin-photo-proxy; error=proxy_internal_error; details=\"INTERNAL_ERROR\""
        );
    }
    let counted = telemetry.metrics.render();
    assert!(counted.contains("bigin_panics_total 2"), "{counted}");
}

#[tokio::test]
async fn more_than_the_daily_calls_is_credits_exhausted() {
    let zoho = Sandbox::start().await;
    let daily_calls = "[accounts.main]\ndaily_calls = 1";
    let config = config_for(&zoho, "").replace("[accounts.main]", daily_calls);
    let app = TestApp::of_config(&config);
    app.ready().await;
    let scene = Scene { zoho, app };
    scene.expect(&Request::photo(), &Expected::deleted()).await;

    let error = "http_request_denied";
    let exhausted = Expected::ours(429, "CREDITS_EXHAUSTED", "not-sent", error).act("operator");
    // The quarter of an hour in which the call fell, and a day more.
    let exhausted = exhausted.retry_after(86_400..=87_300);
    scene.expect(&Request::photo(), &exhausted).await;
}

#[tokio::test]
async fn a_full_queue_is_overloaded() {
    let scene = Scene::with("upstream.max_in_flight = 1\nupstream.queue = 1").await;
    let slow = ApiFaultKind::Slow { milliseconds: 900 };
    scene.zoho.on_delete(When::Next(1), ApiFault::before(slow));
    let before = scene.zoho.ledger().calls;

    let first = scene.app.delete_photo("Contacts", 1);
    let others = async {
        eventually("the call is under way", async || {
            scene.zoho.ledger().calls == before + 1
        })
        .await;
        let second = scene.app.delete_photo("Contacts", 2);
        let third = async {
            eventually("one waits", async || {
                scene.app.metric("bigin_requests_waiting", &[]).await > 0.5
            })
            .await;
            let shed = Expected::ours(503, "OVERLOADED", "not-sent", "connection_limit_reached");
            let shed = shed.retry_after(1..=1);
            scene.expect(&Request::photo(), &shed).await;
        };
        tokio::join!(second, third).0
    };
    let (first, second) = tokio::join!(first, others);

    assert_eq!((first.outcome(), second.outcome()), ("deleted", "deleted"));
}

#[tokio::test]
async fn too_long_a_wait_in_the_queue_is_overloaded() {
    let scene = Scene::with("upstream.max_in_flight = 1\nupstream.queue_timeout = \"50ms\"").await;
    scene
        .zoho
        .on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Hang));
    let before = scene.zoho.ledger().calls;
    let mut stuck = Wire::to(scene.app.address).await;
    stuck
        .send(b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    eventually("the call is under way", async || {
        scene.zoho.ledger().calls == before + 1
    })
    .await;

    let late = Expected::ours(503, "OVERLOADED", "not-sent", "connection_limit_reached");
    scene
        .expect(&Request::photo(), &late.retry_after(1..=1))
        .await;
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_is_upstream_timeout_and_not_sent() {
    let scene = Scene::with("upstream.max_in_flight = 1").await;
    scene
        .zoho
        .on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Hang));
    let before = scene.zoho.ledger().calls;
    let mut stuck = Wire::to(scene.app.address).await;
    stuck
        .send(b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    eventually("the call is under way", async || {
        scene.zoho.ledger().calls == before + 1
    })
    .await;

    let request = Request::photo().with("Request-Timeout: 0.05");
    let late = Expected::ours(504, "UPSTREAM_TIMEOUT", "not-sent", "http_response_timeout");
    scene.expect(&request, &late).await;
}

#[tokio::test]
async fn a_request_without_any_time_is_upstream_timeout_and_not_sent() {
    let scene = Scene::new().await;
    let request = Request::photo().with("Request-Timeout: 0");

    let error = "http_response_timeout";
    let no_time = Expected::ours(504, "UPSTREAM_TIMEOUT", "not-sent", error);
    scene.expect(&request, &no_time).await;
}

#[tokio::test]
async fn an_api_to_which_connections_fail_is_overloaded_until_it_heals() {
    let scene = Scene::new().await;
    scene
        .zoho
        .on_delete(When::Always, ApiFault::before(ApiFaultKind::Close));
    join_all((1..=20).map(|id| scene.app.delete_photo("Contacts", id))).await;

    let open = Expected::ours(503, "OVERLOADED", "not-sent", "destination_unavailable");
    scene
        .expect(&Request::photo(), &open.retry_after(1..=5))
        .await;

    scene.zoho.well();
    eventually("it deletes again", async || {
        scene.app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;
    scene.expect(&Request::photo(), &Expected::deleted()).await;
    assert!(scene.app.metric("bigin_breaker_open", &[]).await < 0.5);
}
