//! The operators' listener: is it alive, is it ready, what does it count; and a page that says so to people.
//!
//! `/livez` never asks about Zoho: a restart mends nothing there. Readiness is a latch: once every account's first token
//! was tried, only draining makes a replica unready again.

mod history;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::time::Instant;

use crate::shutdown::Shutdown;
use crate::telemetry::{AccountGauges, Telemetry};
use crate::token::{Failure, Standing};
pub use history::History;
pub use status::Account;
use status::Status;

/// How long a replica waits for accounts that have no token yet, while another one has.
const GRACE: Duration = Duration::from_secs(10);

/// What the operators' listener shows.
pub struct Admin {
    telemetry: Arc<Telemetry>,
    readiness: Readiness,
    status: Status,
}

impl Admin {
    /// Shows `telemetry`, and these accounts with what is read from them, in the same order.
    #[must_use]
    pub fn new(
        telemetry: Arc<Telemetry>,
        accounts: Vec<Account>,
        gauges: Arc<[AccountGauges]>,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let readiness = Readiness {
            accounts,
            shutdown,
            started: Instant::now(),
            was_ready: AtomicBool::new(false),
        };
        let history = Arc::new(History::new(Arc::clone(&telemetry)));
        Arc::new(Self {
            telemetry,
            readiness,
            status: Status { gauges, history },
        })
    }

    /// What must be kept up for the page.
    #[must_use]
    pub fn history(&self) -> Arc<History> {
        Arc::clone(&self.status.history)
    }

    /// The router of the operators' listener.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/", get(status_page))
            .with_state(self)
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    match admin.readiness.check() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        admin.telemetry.metrics.render(),
    )
        .into_response()
}

async fn status_page(State(admin): State<Arc<Admin>>) -> Response {
    let unready = admin.readiness.check().err();
    let accounts = &admin.readiness.accounts;
    admin.status.page(accounts, unready.as_deref())
}

/// Whether callers should be sent here.
struct Readiness {
    accounts: Vec<Account>,
    shutdown: Shutdown,
    started: Instant,
    was_ready: AtomicBool,
}

impl Readiness {
    /// Not ready has a reason.
    fn check(&self) -> Result<(), String> {
        if self.shutdown.is_leaving() {
            return Err("draining".to_owned());
        }
        if !self.was_ready.load(Ordering::Relaxed) {
            self.check_start()?;
            self.was_ready.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A replica that starts with refused credentials alone stays unready, so that a bad rollout stops itself. An outage,
    /// or one bad account among several, must not stop it, but may delay it a little.
    fn check_start(&self) -> Result<(), String> {
        let standings: Vec<_> = self
            .accounts
            .iter()
            // Nobody may have asked in time to see that the first token was there.
            .map(|Account { name, slot, .. }| {
                let good = slot.was_good().then_some(Standing::Good);
                (name, good.unwrap_or_else(|| slot.standing()))
            })
            .collect();
        let troubled: Vec<_> = standings
            .iter()
            .filter(|(_, standing)| *standing != Standing::Good)
            .collect();
        let untried = troubled
            .iter()
            .any(|(_, standing)| *standing == Standing::Untried);
        let refused = |standing| matches!(standing, Standing::Failed(Failure::Refused(_)));
        let all_refused = standings.iter().all(|(_, standing)| refused(*standing));
        if troubled.is_empty() || (!untried && !all_refused && self.started.elapsed() >= GRACE) {
            return Ok(());
        }
        let reasons = troubled
            .iter()
            .map(|(name, standing)| format!("account {name}: {standing}"));
        Err(reasons.collect::<Vec<_>>().join("\n"))
    }
}
