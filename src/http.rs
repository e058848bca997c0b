//! The callers' side of HTTP: the one road that every request takes.
//!
//! There is no router. One would decode what it matches and be a second opinion on what a path means; that is decided on
//! its bytes, by [`Target::parse`](crate::target::Target::parse) alone.

mod arrival;
mod bearer;
mod deletion;
mod framing;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;

use crate::account::Accounts;
use crate::config::{CallerConfig, CallerTokens};
use crate::proxy::Proxy;
use crate::shutdown::Shutdown;
use crate::telemetry::Observer;

/// What a caller gets.
pub type Response = http::Response<Full<Bytes>>;

/// What the requests of one data-path thread need.
pub struct Front {
    /// Deletes photos.
    pub proxy: Proxy,
    /// The names that a path may begin with.
    pub accounts: Arc<Accounts>,
    /// What callers must present, if anything.
    pub caller_tokens: Option<CallerTokens>,
    /// How callers are told apart.
    pub callers: CallerConfig,
    /// Observes requests.
    pub observer: Arc<Observer>,
    /// How long a request may take.
    pub request_deadline: Duration,
    /// Whether responses should ask their callers to connect elsewhere.
    pub shutdown: Shutdown,
}
