//! What the properties of whole connections stand on: a Zoho that issues tokens, and configurations that name it.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bigin_photo_proxy::config::{self, Config, Environment};
use bigin_photo_proxy::telemetry::Telemetry;
use bigin_photo_proxy::token::{self, Keeper, Kept};
use bigin_photo_proxy::upstream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use zoho_sandbox::Sandbox;

/// How long anything may take that works at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A Zoho on a thread of its own, for as long as the process lives: its accounts server.
pub(crate) fn accounts_url() -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let sandbox = Sandbox::start().await;
            sender.send(sandbox.accounts_url()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().expect("a sandbox starts")
}

/// An account of the sandbox's, at these two places.
pub(crate) fn config(keys: &str, accounts_url: &str, api_url: &str) -> Config {
    let settings = zoho_sandbox::Settings::default();
    let text = format!(
        "server.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\n{keys}\n[accounts.main]\n\
         client_id = {:?}\nclient_secret = {:?}\nrefresh_token = {:?}\n\
         accounts_url = {accounts_url:?}\napi_url = {api_url:?}\n",
        settings.client_id, settings.client_secret, settings.refresh_token,
    );
    config::parse(&text, &Environment::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The one account's slot and its keeper, which is still to be run.
pub(crate) fn keep(config: &Config, telemetry: &Arc<Telemetry>) -> (Kept, Keeper) {
    let http = token::http_client(&tls(), &config.upstream, config.token.timeout)
        .expect("a client for token requests");
    let store_tls = Arc::new(tls());
    let store = config.token_store.as_ref().map(|store| (store, &store_tls));
    let (kept, keepers) = token::keep(&config.accounts, &http, &config.token, store, telemetry);
    let one = "there is one account";
    (
        kept.into_iter().next().expect(one),
        keepers.into_iter().next().expect(one),
    )
}

pub(crate) fn telemetry() -> Arc<Telemetry> {
    Telemetry::start(None, &Arc::new(tls())).expect("telemetry")
}

/// Nothing here speaks TLS.
pub(crate) fn tls() -> rustls::ClientConfig {
    upstream::tls_config(&rustls::RootCertStore::empty(), false).expect("a TLS configuration")
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

pub(crate) fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}
