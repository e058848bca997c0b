//! How long the parts of a request take: `just bench-parts`.
//!
//! Parts that are private are reached by the shortest public way: the framing check by a request that it refuses, the
//! canonical request by a call over loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bigin_photo_proxy::account::Accounts;
use bigin_photo_proxy::config::{self, Config, Environment};
use bigin_photo_proxy::http::Front;
use bigin_photo_proxy::proxy::Proxy;
use bigin_photo_proxy::server::Peer;
use bigin_photo_proxy::shutdown::Shutdown;
use bigin_photo_proxy::target::Target;
use bigin_photo_proxy::telemetry::audit::Audit;
use bigin_photo_proxy::telemetry::log::Log;
use bigin_photo_proxy::telemetry::{Observer, Telemetry};
use bigin_photo_proxy::token::{self, Keeper, Slot};
use bigin_photo_proxy::upstream::{self, Connector, Pool, Progress, Upstream};
use bigin_photo_proxy::zoho::Envelope;
use divan::{Bencher, black_box};
use http::Request;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use zoho_sandbox::{Sandbox, Settings};

const PATH: &str = "/bigin/v2/Contacts/2034020000000489033/photo";

fn main() {
    divan::main();
}

mod target {
    use super::{Bencher, PATH, Target, accounts, black_box};

    #[divan::bench(args = [PATH, "/eu/bigin/v2/Contacts/2034020000000489033/photo", "/bigin/v2/Contacts/1"])]
    fn parse(bencher: Bencher<'_, '_>, path: &str) {
        let accounts = accounts();
        bencher.bench(|| Target::parse(black_box(path), &accounts));
    }

    #[divan::bench]
    fn path(bencher: Bencher<'_, '_>) {
        let target = Target::parse(PATH, &accounts()).expect("a target");
        bencher.bench(|| black_box(&target).path());
    }
}

mod envelope {
    use super::{Envelope, black_box};

    #[divan::bench]
    fn documented_success() -> Option<Envelope> {
        let body =
            br#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;
        Envelope::parse(black_box(body))
    }

    #[divan::bench]
    fn error() -> Option<Envelope> {
        let body =
            br#"{"code":"INVALID_DATA","details":{},"message":"invalid id","status":"error"}"#;
        Envelope::parse(black_box(body))
    }
}

/// What each request does to get its token.
#[divan::bench]
fn current_token(bencher: Bencher<'_, '_>) {
    let zoho = Zoho::start();
    bencher.bench(|| zoho.slot.current());
}

/// The framing check, and all that is done for a request that does not pass it: the answer, metrics, a log line.
#[divan::bench]
fn refusal_for_framing(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let front = runtime.block_on(async { front(&config(None)) });
    let request = Request::delete(PATH)
        .header("Host", "127.0.0.1:8080")
        .header("Content-Length", "1")
        .body(())
        .expect("a request");
    let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], 1)));
    bencher.bench_local(|| runtime.block_on(front.answer(black_box(&request), &peer)));
}

/// The canonical request, its way to a fake Zoho on another thread and back, and the reading of the answer.
#[divan::bench(sample_count = 50)]
fn call(bencher: Bencher<'_, '_>) {
    let zoho = Zoho::start();
    let account = zoho.config.accounts.first().expect("an account");
    let tls = Arc::new(tls());
    let connector = Connector::new(&account.api, &tls, &zoho.config.upstream);
    let upstream = Upstream::new(&account.api, connector, Arc::new(Pool::new(1)));
    let target = Target::parse(PATH, &zoho.config.names).expect("a target");
    let token = zoho.slot.current().expect("a token");
    let runtime = runtime();
    bencher.bench_local(|| {
        let deadline = Instant::now() + Duration::from_secs(5);
        let progress = Progress::default();
        runtime
            .block_on(upstream.delete_photo(&target, &token, deadline, &progress))
            .expect("an answer")
    });
}

fn accounts() -> Accounts {
    Accounts::new(vec!["main".to_owned(), "eu".to_owned()], "main").expect("main is one of them")
}

/// A configuration whose account is at the sandbox, or nowhere.
fn config(zoho: Option<&Sandbox>) -> Config {
    let nowhere = || "http://127.0.0.1:1".to_owned();
    let settings = Settings::default();
    let text = format!(
        "[accounts.main]\nclient_id = {:?}\nclient_secret = {:?}\nrefresh_token = {:?}\n\
         accounts_url = {:?}\napi_url = {:?}\n",
        settings.client_id,
        settings.client_secret,
        settings.refresh_token,
        zoho.map_or_else(nowhere, Sandbox::accounts_url),
        zoho.map_or_else(nowhere, Sandbox::api_url),
    );
    config::parse(&text, &Environment::default()).expect("a configuration")
}

fn front(config: &Config) -> Arc<Front> {
    let telemetry = telemetry();
    let log = Log::to(std::io::sink(), config.log.format).expect("a thread for the log");
    let audit = Audit::to(std::io::sink(), config.log.format).expect("a thread for the audit");
    let accounts = config.accounts.iter();
    let observed = accounts.map(|account| (account.name.as_str(), &account.api));
    Arc::new(Front {
        callers: config.server.callers.clone(),
        proxy: Proxy::new(Vec::new()),
        accounts: Arc::new(config.names.clone()),
        caller_tokens: None,
        observer: Arc::new(Observer::new(telemetry, log, audit, observed)),
        request_deadline: config.server.request_deadline,
        shutdown: Shutdown::default(),
    })
}

fn telemetry() -> Arc<Telemetry> {
    let tls = tls();
    Telemetry::start(None, &tls).expect("telemetry")
}

/// A sandbox on a thread of its own, for as long as the process lives, and a token that a keeper has fetched there.
struct Zoho {
    config: Config,
    slot: Arc<Slot>,
}

impl Zoho {
    fn start() -> Self {
        let (ready, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            runtime().block_on(async {
                let sandbox = Sandbox::start().await;
                let config = config(Some(&sandbox));
                let slot = Self::keep(&config).await;
                ready.send(Self { config, slot }).expect("somebody waits");
                std::future::pending::<()>().await;
            });
        });
        started.recv().expect("a sandbox and a token")
    }

    async fn keep(config: &Config) -> Arc<Slot> {
        let tls = Arc::new(tls());
        let http = token::http_client(&tls, &config.upstream, config.token.timeout)
            .expect("a client for token requests");
        let (kept, keepers) =
            token::keep(&config.accounts, &http, &config.token, None, &telemetry());
        for keeper in keepers {
            #[expect(clippy::disallowed_methods, reason = "it ends with its runtime")]
            drop(tokio::spawn(Keeper::run(keeper)));
        }
        let slot = Arc::clone(&kept.first().expect("an account").slot);
        let deadline = Instant::now() + Duration::from_secs(5);
        slot.wait(deadline).await.expect("a token");
        slot
    }
}

/// Nothing here speaks TLS.
fn tls() -> rustls::ClientConfig {
    upstream::tls_config(&rustls::RootCertStore::empty(), false).expect("a TLS configuration")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
