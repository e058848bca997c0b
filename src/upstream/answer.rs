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
    pub(crate) fn read(head: Parts, body: Bytes) -> Result<Self, InvalidAnswer> {
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
        let digits = value.to_str().ok()?;
        // A parser of numbers takes a sign as well.
        let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        only_digits.then(|| digits.parse().ok())?
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

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const DELETED: &str = r#"{"code":"SUCCESS","details":{},"message":"x","status":"success"}"#;

    /// The refusal with this code.
    fn refusal(code: &str) -> String {
        format!(r#"{{"code":"{code}","details":{{}},"message":"x","status":"error"}}"#)
    }

    fn read(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Answer, InvalidAnswer> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        Answer::read(head, Bytes::from(body.to_owned()))
    }

    fn refused(status: u16, code: &str) -> Answer {
        read(status, &[], &refusal(code)).ok().unwrap()
    }

    #[test]
    fn an_answer_is_believed_if_its_status_and_its_body_agree() {
        for status in 100..1000 {
            let read = |body: &str| read(status, &[], body).map(|answer| answer.outcome());
            let expected = match status {
                200..300 => [
                    Ok(Outcome::Deleted),
                    Err(InvalidAnswer::Envelope),
                    Err(InvalidAnswer::Envelope),
                ],
                400..500 => [
                    Err(InvalidAnswer::Envelope),
                    Ok(Outcome::Refused),
                    Err(InvalidAnswer::Envelope),
                ],
                502..=504 => [
                    Err(InvalidAnswer::Envelope),
                    Ok(Outcome::Unknown),
                    Err(InvalidAnswer::Gateway),
                ],
                500..600 => [
                    Err(InvalidAnswer::Envelope),
                    Ok(Outcome::Unknown),
                    Err(InvalidAnswer::Envelope),
                ],
                _ => [Err(InvalidAnswer::Status); 3],
            };

            let bodies = [DELETED, &refusal("NO_PERMISSION"), "<html>"];

            assert_eq!(bodies.map(read), expected, "{status}");
        }
    }

    #[test]
    fn a_body_that_is_encoded_or_whose_end_is_in_doubt_is_not_believed() {
        let wrong = |headers: &[(&str, &str)]| read(200, headers, DELETED).err();

        for headers in [
            &[("content-encoding", "identity")][..],
            &[("transfer-encoding", "Chunked")],
            &[("content-length", "64")],
        ] {
            assert_eq!(wrong(headers), None, "{headers:?}");
        }
        assert_eq!(
            wrong(&[("content-encoding", "gzip")]),
            Some(InvalidAnswer::Encoded)
        );
        for headers in [
            &[("transfer-encoding", "identity")][..],
            &[("transfer-encoding", "gzip, chunked")],
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
            &[("transfer-encoding", "chunked"), ("content-length", "64")],
        ] {
            assert_eq!(wrong(headers), Some(InvalidAnswer::Framing), "{headers:?}");
        }
    }

    #[test]
    fn three_headers_go_on_and_their_numbers_are_understood() {
        let headers = [
            ("content-type", "application/json"),
            ("retry-after", "7"),
            ("x-api-credits-remaining", "42"),
            ("set-cookie", "a=b"),
            ("server", "z"),
        ];
        let answer = read(200, &headers, DELETED).ok().unwrap();
        let passed_on: Vec<_> = answer
            .headers_passed_on()
            .map(|(name, _)| name.as_str())
            .collect();

        assert_eq!(
            passed_on,
            ["content-type", "retry-after", "x-api-credits-remaining"]
        );
        assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(answer.credits_remaining(), Some(42));
        for wrong in [
            "",
            "-1",
            "+5",
            "0.5",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "99999999999999999999",
        ] {
            let answer = read(200, &[("retry-after", wrong)], DELETED).ok().unwrap();
            assert_eq!(
                (answer.retry_after(), answer.credits_remaining()),
                (None, None),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_token_is_rejected_by_401_with_three_codes_and_accepted_by_whoever_has_looked_at_it() {
        for (status, code, rejects, accepts) in [
            (401, "INVALID_TOKEN", true, false),
            (401, "INVALID_OAUTHTOKEN", true, false),
            (401, "AUTHENTICATION_FAILURE", true, false),
            (400, "INVALID_TOKEN", false, true),
            (401, "OAUTH_SCOPE_MISMATCH", false, true),
            (403, "NO_PERMISSION", false, true),
            (404, "INVALID_URL_PATTERN", false, false),
            (429, "TOO_MANY_REQUESTS", false, false),
            (500, "INTERNAL_ERROR", false, false),
        ] {
            let answer = refused(status, code);
            assert_eq!(
                (answer.rejects_token(), answer.accepts_token()),
                (rejects, accepts),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn gateways_and_too_many_calls_at_once_are_known_by_the_status() {
        for status in 400..600 {
            let answer = refused(status, "OTHER");
            assert_eq!(
                answer.is_of_a_gateway(),
                (502..=504).contains(&status),
                "{status}"
            );
            assert_eq!(answer.says_too_many_at_once(), status == 429, "{status}");
        }
        let spent = refusal("TOO_MANY_REQUESTS").replace("\"x\"", "\"no credits\"");
        assert!(!read(429, &[], &spent).ok().unwrap().says_too_many_at_once());
    }
}
