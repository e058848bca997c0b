//! The proxy, in this process, on ports of its own, in front of a sandbox.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bigin_photo_proxy::app::{App, Ending};
use bigin_photo_proxy::config::{self, Environment, LogFormat};
use bigin_photo_proxy::shutdown::Shutdown;
use bigin_photo_proxy::telemetry::audit::{self, Audit};
use bigin_photo_proxy::telemetry::log::Log;
use reqwest::StatusCode;
use serde_json::Value;
use zoho_sandbox::Sandbox;

use super::{config_for, eventually};

/// A running proxy. It ends with the test.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    shutdown: Shutdown,
    thread: Option<JoinHandle<Ending>>,
    client: reqwest::Client,
    log: Lines,
    audit: Lines,
}

/// Lines of JSON that were written so far.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Those about a request.
    fn about(&self, request_id: &str) -> Vec<Value> {
        let text = self.0.lock().unwrap().clone();
        let lines = text.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .filter(|line| line["request_id"] == request_id)
            .collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a caller got.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    /// A header that must be there at most once; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        assert!(
            self.headers.get_all(name).iter().count() <= 1,
            "{name} stands twice"
        );
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn outcome(&self) -> &str {
        self.header("delete-outcome")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl TestApp {
    /// The proxy with default settings in front of `zoho`, its first token at hand.
    pub(crate) async fn spawn(zoho: &Sandbox) -> Self {
        Self::with(zoho, "").await
    }

    /// The same with more keys, as TOML: dotted keys such as `upstream.queue = 2`.
    pub(crate) async fn with(zoho: &Sandbox, keys: &str) -> Self {
        let app = Self::without_token(zoho, keys);
        app.ready().await;
        app
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the proxy is ready", async || {
            self.readyz().await.status == 200
        })
        .await;
    }

    /// The same, without waiting for anything.
    pub(crate) fn without_token(zoho: &Sandbox, keys: &str) -> Self {
        Self::of_config(&config_for(zoho, keys))
    }

    /// The proxy with the whole configuration given.
    pub(crate) fn of_config(config: &str) -> Self {
        let config = config::parse(config, &Environment::default())
            .unwrap_or_else(|errors| panic!("{errors}\n{config}"));
        let (log, events) = (Lines::default(), Lines::default());
        let audit = match &config.audit_path {
            Some(path) => Audit::to(audit::open(path).unwrap(), LogFormat::Json),
            None => Audit::to(events.clone(), LogFormat::Json),
        };
        let app = App::bind(config).unwrap();
        let (address, admin) = (app.address(), app.admin_address());
        let shutdown = Shutdown::default();
        let asked = shutdown.clone();
        // Nobody but the request path logs: its lines go where they are asked for, as soon as somebody listens at all.
        drop(tracing::subscriber::set_global_default(
            tracing_subscriber::registry(),
        ));
        let sink = log.clone();
        let thread = std::thread::spawn(move || {
            let log = Log::to(sink, LogFormat::Json).unwrap();
            let audit = audit.unwrap();
            let ending = app.run(&asked, &log, &audit, || Ok(std::future::pending()));
            audit.flush(Duration::from_secs(10));
            ending.unwrap()
        });
        Self {
            address,
            admin,
            shutdown,
            thread: Some(thread),
            client: client(),
            log,
            audit: events,
        }
    }

    /// Deletes a photo as a caller does.
    pub(crate) async fn delete_photo(&self, module: &str, id: u64) -> Reply {
        self.delete(&format!("/bigin/v2/{module}/{id}/photo")).await
    }

    /// Sends a DELETE to a path.
    pub(crate) async fn delete(&self, path: &str) -> Reply {
        reply(self.client.delete(self.url(path))).await
    }

    /// Where callers reach a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub(crate) async fn readyz(&self) -> Reply {
        self.admin("/readyz").await
    }

    /// A path of the operators' listener.
    pub(crate) async fn admin(&self, path: &str) -> Reply {
        reply(self.client.get(format!("http://{}{path}", self.admin))).await
    }

    /// The sum of a metric over all series that have these labels, each written as `name="value"`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum_of(&self.admin("/metrics").await.body, name, labels)
    }

    /// Waits until so many requests wait for a token or a place.
    pub(crate) async fn has_waiting(&self, count: usize) {
        let expected = f64::from(u32::try_from(count).unwrap());
        eventually("requests wait", async || {
            let waiting = self.metric("bigin_requests_waiting", &[]).await;
            (waiting - expected).abs() < 0.5
        })
        .await;
    }

    /// The log line of a request.
    pub(crate) async fn log_line(&self, request_id: &str) -> Value {
        eventually("the request is logged", async || {
            !self.log.about(request_id).is_empty()
        })
        .await;
        self.log.about(request_id).remove(0)
    }

    /// The audit events of a request so far, unless they go to a file.
    pub(crate) fn audit_events(&self, request_id: &str) -> Vec<Value> {
        self.audit.about(request_id)
    }

    /// Asks the proxy to end, and waits until it has.
    pub(crate) async fn end(mut self, in_haste: bool) -> Ending {
        self.shutdown.ask(in_haste);
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(|| thread.join().unwrap())
            .await
            .unwrap()
    }

    pub(crate) fn ask_to_end(&self, in_haste: bool) {
        self.shutdown.ask(in_haste);
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.ask(true);
    }
}

/// The sum of a metric in `text` over all series that have these labels.
pub(crate) fn sum_of(text: &str, name: &str, labels: &[&str]) -> f64 {
    let of_name = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    let wanted = of_name.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Sends a request and reads everything.
pub(crate) async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("the proxy answers");
    let (status, headers) = (response.status(), response.headers().clone());
    Reply {
        status,
        headers,
        body: response.text().await.expect("the answer is whole"),
    }
}

/// A caller: no proxies, no redirects, no TLS.
pub(crate) fn client() -> reqwest::Client {
    client_at([127, 0, 0, 1])
}

/// A caller with an address of its own.
pub(crate) fn client_at(address: [u8; 4]) -> reqwest::Client {
    let roots = rustls::RootCertStore::empty();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .local_address(IpAddr::from(address))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap()
}

/// The configuration for `zoho` with another API.
pub(crate) fn with_api(zoho: &Sandbox, keys: &str, api_url: &str) -> String {
    let config = config_for(zoho, keys);
    let (before, _) = config.split_once("api_url").unwrap();
    format!("{before}api_url = {api_url:?}\n")
}

/// An answer that says which way a connection failed, and that nothing was sent.
pub(crate) async fn assert_unreachable(config: &str, zoho: &Sandbox, error: &str) {
    let app = TestApp::of_config(config);
    eventually("a token", async || {
        app.delete_photo("Contacts", 1).await.code() != "TOKEN_UNAVAILABLE"
    })
    .await;
    let reply = app.delete_photo("Contacts", 1).await;

    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (502, "UPSTREAM_UNREACHABLE")
    );
    assert_eq!(reply.outcome(), "not-sent");
    let expected = format!("bigin-photo-proxy; error={error}; details=\"UPSTREAM_UNREACHABLE\"");
    assert_eq!(reply.header("proxy-status"), expected);
    assert_eq!(zoho.ledger().deletions.len(), 0);
}
