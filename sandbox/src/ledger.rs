//! What really happened, as opposed to what clients were told.
//!
//! Invariant: no text of a token or secret is in here. Tokens appear as numbers in their order of issue, from 0.

mod book;
mod witness;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use book::Book;
pub(crate) use witness::Witness;

use crate::settings::Module;

/// A snapshot of all that happened since the sandbox started or was reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Requests at the token endpoint, whatever became of them.
    pub token_requests: u64,
    /// Access tokens issued, lost answers included.
    pub tokens_issued: u64,
    /// One entry a token request, in order.
    pub token_log: Vec<TokenLogEntry>,
    /// Access tokens that would be accepted now.
    pub live_tokens: u64,
    /// Requests read by the API, faulty ones included.
    pub calls: u64,
    /// Of these, how many bore each token, in the order of issue.
    pub calls_per_token: Vec<u64>,
    /// Calls refused with 401 because their token is unknown, expired, evicted or revoked.
    pub refused_for_token: u64,
    /// Of these, calls with a token past its own expiry.
    pub expired_token_uses: u64,
    /// The most API calls that were in flight at once, refused and hanging ones included.
    pub highest_concurrency: u64,
    /// Credits used: one for each call that came as far as the work itself.
    pub credits_used: u64,
    /// Connections accepted, control ones included.
    pub connections: u64,
    /// Connections that ended because what they sent was no request: bad framing, a chunked body, too large a head.
    pub unreadable_requests: u64,
    /// Every photo deletion carried out, in order.
    pub deletions: Vec<Deletion>,
    /// Every whole record deleted, in order. Whoever means to delete photos wants this to stay empty.
    pub records_deleted: Vec<Deletion>,
    /// The API requests as they were read, the newest [`keep_requests`](crate::Settings::keep_requests) of them.
    pub requests: Vec<SeenRequest>,
    /// How many were read, the forgotten ones included.
    pub requests_seen: u64,
}

impl Ledger {
    /// The most token requests in any span of this length: what a token budget promises to limit.
    #[must_use]
    pub fn most_token_requests_within(&self, span: Duration) -> usize {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let times = || self.token_log.iter().map(|entry| entry.at_ms);
        let within = |start: u64| {
            times()
                .filter(|at| *at >= start && at - start < span)
                .count()
        };
        times().map(within).max().unwrap_or_default()
    }
}

/// One request at the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLogEntry {
    /// Milliseconds since the start, by a monotonic clock.
    pub at_ms: u64,
    /// What became of it.
    pub result: TokenResult,
    /// Which token was issued.
    pub token: Option<usize>,
    /// Whether parameters stood in the URL, where they end up in logs.
    pub used_query: bool,
}

/// What became of a token request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenResult {
    /// A token was issued, though a fault may have kept it from arriving.
    Issued,
    /// Refused with this `error`.
    Refused(String),
    /// Refused because the window was used up.
    Throttled,
    /// A fault took the place of the answer.
    Faulted,
}

/// One deletion carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The module of the record.
    pub module: Module,
    /// The id of the record. A text in JSON, because many readers of JSON round numbers of that size.
    #[serde(with = "digits")]
    pub id: u64,
    /// Milliseconds since the start, by a monotonic clock.
    pub at_ms: u64,
    /// Which token the call bore.
    pub token: usize,
    /// Whether there was a photo, so that a repetition can be told from the first time.
    pub had_photo: bool,
}

/// An API request as it was read from the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRequest {
    /// Milliseconds since the start, by a monotonic clock.
    pub at_ms: u64,
    /// The method.
    pub method: String,
    /// The target, byte for byte, secrets excepted.
    pub target: String,
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: String,
    /// Names as they were spelled and values, in order. The value of `Authorization` is its scheme and the number of the
    /// token: `Zoho-oauthtoken #0`, or `#unknown`.
    pub headers: Vec<(String, String)>,
    /// The length of the body.
    pub body_length: usize,
}

impl SeenRequest {
    /// The value of the first header of this name, in any spelling.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Record ids as JSON texts.
mod digits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(super) fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
