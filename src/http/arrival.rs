//! What is noted of a request when its head is there, before anything is decided.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use tokio::time::Instant;

use crate::server::Peer;
use crate::telemetry::{Parent, Route};

/// The header in which a request's id comes and goes.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that has arrived.
pub(super) struct Arrival {
    pub(super) begun: Instant,
    pub(super) request_id: HeaderValue,
    pub(super) peer: Arc<str>,
    pub(super) parent: Option<Parent>,
    pub(super) is_delete: bool,
    pub(super) route: Route,
}

impl Arrival {
    pub(super) fn of<B>(request: &Request<B>, peer: &Peer, route: Route) -> Self {
        Self {
            begun: Instant::now(),
            request_id: given_id(request.headers()).unwrap_or_else(new_id),
            peer: Arc::clone(&peer.text),
            parent: Parent::of(request.headers()),
            is_delete: request.method() == Method::DELETE,
            route,
        }
    }

    /// The id as text.
    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().expect("a request id is ASCII")
    }
}

/// The caller's own id, if it may stand in logs and headers: 1 to 64 of `[A-Za-z0-9_-]`.
fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let (_, id) = headers.iter().find(|(name, _)| *name == X_REQUEST_ID)?;
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    ((1..=64).contains(&id.len()) && id.as_bytes().iter().all(allowed)).then(|| id.clone())
}

/// An id of ours: unique, and no secret.
fn new_id() -> HeaderValue {
    let digit = |number: u8| number + if number < 10 { b'0' } else { b'a' - 10 };
    let random = fastrand::u128(..).to_ne_bytes();
    let digits = random.map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    HeaderValue::from_bytes(digits.as_flattened())
        .expect("hexadecimal digits may stand in a header")
}
