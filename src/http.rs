//! The callers' side of HTTP: which paths there are, and the one road that every request takes.
//!
//! The router only sorts. What a path means is decided on its bytes, by [`Target::parse`](crate::target::Target::parse).

mod arrival;
mod deletion;
mod framing;
mod handover;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::delete;
use tokio_util::task::TaskTracker;

use crate::account::Accounts;
use crate::proxy::Proxy;
use crate::shutdown::Shutdown;
use crate::telemetry::Observer;

/// What the requests of one data-path thread need.
pub struct Front {
    /// Deletes photos.
    pub proxy: Proxy,
    /// The names that a path may begin with.
    pub accounts: Arc<Accounts>,
    /// Observes requests.
    pub observer: Arc<Observer>,
    /// How long a request may take.
    pub request_deadline: Duration,
    /// Whether responses should ask their callers to connect elsewhere.
    pub shutdown: Shutdown,
    /// Deletions that go on although their callers are gone.
    pub orphans: TaskTracker,
}

/// The router of the callers' listener.
pub fn router(front: Arc<Front>) -> Router {
    let photo = || delete(deletion::delete_photo).fallback(deletion::no_such_method);
    Router::new()
        .route("/bigin/v2/{module_api_name}/{record_id}/photo", photo())
        .route(
            "/{account}/bigin/v2/{module_api_name}/{record_id}/photo",
            photo(),
        )
        .fallback(deletion::no_such_path)
        // Last: without it axum would build the router anew for each request.
        .with_state(front)
}
