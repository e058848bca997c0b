//! What the tests stand on: the proxy in this process, raw connections to it, and the program as users run it.

pub(crate) mod app;
mod collector;
mod config;
mod connect_proxy;
mod mounted;
mod program;
mod raw;
mod raw_api;
mod tls;

pub(crate) use app::{Reply, TestApp, assert_unreachable, client, client_at, reply, with_api};
pub(crate) use collector::{Collector, attribute};
pub(crate) use config::config_for;
pub(crate) use connect_proxy::{ConnectProxy, Manners};
pub(crate) use mounted::Mounted;
pub(crate) use program::Program;
pub(crate) use raw::{Wire, exchange};
pub(crate) use raw_api::{RawApi, Then};
pub(crate) use tls::{tls_sandbox, tls_sandbox_with};

use std::time::Duration;

use tokio::time::Instant;

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until a condition holds; the test fails if it does not in time.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
