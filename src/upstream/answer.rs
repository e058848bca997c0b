//! Zoho's answer, classified: deleted, refused, or perhaps carried out; or not to be believed at all.
//!
//! Invariant: a 2xx passes only if the complete body says success. Sources: the error codes on
//! <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.

use std::time::Duration;

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Bytes;

use crate::outcome::Outcome;
use crate::zoho::{Code, Envelope};

/// How many credits the organisation has left, once half of them are spent.
/// Source: <https://www.zoho.com/bigin/developer/docs/apis/api-limits.html>.
const CREDITS_REMAINING: HeaderName = HeaderName::from_static("x-api-credits-remaining");

/// The headers of Zoho's that go on to the caller, if they came.
const PASSED_ON: [HeaderName; 3] = [CONTENT_TYPE, RETRY_AFTER, CREDITS_REMAINING];

/// What gateways say of those behind them.
const GATEWAY: [StatusCode; 3] = [
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// A final answer of Zoho's.
#[derive(Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// What the body says.
    pub envelope: Envelope,
    headers: HeaderMap,
}

/// Why what Zoho sent proves nothing. The photo may be deleted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    /// Its body did not come whole.
    #[error("its body is incomplete")]
    Incomplete,
    /// Its body is larger than any of this endpoint's.
    #[error("its body is too large")]
    BodyTooLarge,
    /// Its head is larger than any of this endpoint's.
    #[error("its head is too large")]
    HeadTooLarge,
    /// Not HTTP.
    #[error("it is not HTTP")]
    NotHttp,
    /// Compressed, although that was excluded.
    #[error("it is compressed, although that was excluded")]
    Encoded,
    /// Where its body ends is said in two ways, or in one that nobody agreed on.
    #[error("where its body ends is in doubt")]
    Framing,
    /// A status that this endpoint has not, such as a redirection.
    #[error("its status is none of this endpoint's")]
    Status,
    /// A gateway in front of Zoho's API answered in its place: 502, 503 or 504, without an envelope.
    #[error("a gateway in front of it answered in its place")]
    Gateway,
    /// The body is no envelope, or contradicts the status.
    #[error("it is no envelope of Zoho's, or contradicts its status")]
    Envelope,
}

impl Answer {
    /// Reads a head and its whole body.
    pub(super) fn read(head: Parts, body: Bytes) -> Result<Self, InvalidAnswer> {
        for (name, coding) in &head.headers {
            if name == CONTENT_ENCODING && coding != "identity" {
                return Err(InvalidAnswer::Encoded);
            }
            if name == TRANSFER_ENCODING && !is_plainly_chunked(coding, &head.headers) {
                return Err(InvalidAnswer::Framing);
            }
        }
        let status = head.status;
        if !(status.is_success() || status.is_client_error() || status.is_server_error()) {
            return Err(InvalidAnswer::Status);
        }
        let envelope = Envelope::parse(&body).ok_or(if GATEWAY.contains(&status) {
            InvalidAnswer::Gateway
        } else {
            InvalidAnswer::Envelope
        })?;
        let agrees = if status.is_success() {
            envelope.says_deleted()
        } else {
            !envelope.success
        };
        if !agrees {
            return Err(InvalidAnswer::Envelope);
        }
        Ok(Self {
            status,
            body,
            envelope,
            headers: head.headers,
        })
    }

    /// What it means for the photo.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.status.is_success() {
            Outcome::Deleted
        } else if self.status.is_client_error() {
            Outcome::Refused
        } else {
            Outcome::Unknown
        }
    }

    /// Whether Zoho refuses because too many calls are under way. What says neither that nor credits is taken for it.
    #[must_use]
    pub fn says_too_many_at_once(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS && !self.envelope.credits_spent
    }

    /// When it says to come again, in whole seconds. Zoho's pages know no date here.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.number(&RETRY_AFTER).map(Duration::from_secs)
    }

    /// How many credits the organisation has left, if it says so.
    pub(super) fn credits_remaining(&self) -> Option<u64> {
        self.number(&CREDITS_REMAINING)
    }

    fn number(&self, name: &HeaderName) -> Option<u64> {
        let (_, value) = self.headers.iter().find(|(given, _)| *given == name)?;
        value.to_str().ok()?.trim().parse().ok()
    }

    /// Whether a gateway, or Zoho's own edge, says that the API could not be asked, or did not answer.
    #[must_use]
    pub fn is_of_a_gateway(&self) -> bool {
        GATEWAY.contains(&self.status)
    }

    /// Whether Zoho refuses the access token itself, so that a newer one may help. A missing scope is no such case.
    #[must_use]
    pub fn rejects_token(&self) -> bool {
        let about_the_token = matches!(
            self.envelope.code,
            Code::InvalidToken | Code::InvalidOauthToken | Code::AuthenticationFailure
        );
        self.status == StatusCode::UNAUTHORIZED && about_the_token
    }

    /// Whether it proves that Zoho knows the access token: a gateway in front says 404, 429 and 5xx without looking.
    #[must_use]
    pub fn accepts_token(&self) -> bool {
        let without_looking = matches!(
            self.status,
            StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS
        );
        !self.rejects_token() && !self.status.is_server_error() && !without_looking
    }

    /// The headers of Zoho's that go on to the caller, and no others.
    pub fn headers_passed_on(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers
            .iter()
            .filter(|(name, _)| PASSED_ON.contains(name))
    }
}

/// Whether a transfer coding is the one that every client knows, once, and alone. Whoever sends a length with it may be
/// smuggling (RFC 9112, section 6.3).
fn is_plainly_chunked(coding: &HeaderValue, headers: &HeaderMap) -> bool {
    let times = headers.get_all(TRANSFER_ENCODING).iter().count();
    let alone = times == 1 && !headers.contains_key(CONTENT_LENGTH);
    alone && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}
