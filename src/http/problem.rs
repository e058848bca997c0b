//! The error table: for everything that can go wrong, what the caller gets. The contract is `docs/errors.md`.
//!
//! One exhaustive match: a new variant anywhere does not compile without its row.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::Response;
use super::framing::FramingError;
use crate::outcome::Outcome;
use crate::proxy::Failure;
use crate::target::InvalidTarget;
use crate::token::{self, Unavailable};
use crate::upstream::{CallError, InvalidAnswer, Overloaded, Unreachable};
use crate::zoho::Code;

/// Who speaks, Zoho or this proxy (RFC 9209).
pub(super) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Why a request gets no answer of Zoho's.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("the request needs `Authorization: Bearer …` with a token that is valid here")]
    Unauthorized,
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    #[error("the only method here is DELETE")]
    Method,
    /// What became of the photo is known to the proxy alone: there may have been an earlier call.
    #[error("{0}")]
    Failure(Failure, Outcome),
    #[error("a fault inside bigin-photo-proxy; its log says more under this request id")]
    Panic(Outcome),
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The caller must send something else.
    Caller,
    /// Whoever runs this program.
    Operator,
    /// Whoever administers the organisation in Zoho.
    ZohoAdmin,
    /// It passes, or needs nothing.
    Nobody,
}

impl Act {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::ZohoAdmin => "zoho-admin",
            Self::Nobody => "nobody",
        }
    }
}

/// One row of the table.
pub(super) struct Row {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) outcome: Outcome,
    pub(super) act: Act,
    /// Whether the very same request may succeed later.
    retry: bool,
    /// The error type of RFC 9209, section 2.3.
    proxy_error: &'static str,
    retry_after: Option<Duration>,
}

/// Of a request that was not even begun.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure, failure.outcome())
    }
}

impl Problem {
    /// What the caller gets.
    pub(super) fn row(self) -> Row {
        match self {
            Self::Framing(_) => Row::of_request(StatusCode::BAD_REQUEST, Code::BadRequest),
            Self::Unauthorized => Row {
                proxy_error: "http_request_denied",
                ..Row::of_request(StatusCode::UNAUTHORIZED, Code::CallerUnauthorized)
            },
            Self::Target(InvalidTarget::Path) => {
                Row::of_request(StatusCode::NOT_FOUND, Code::InvalidUrlPattern)
            }
            Self::Target(InvalidTarget::Account) => {
                Row::of_request(StatusCode::NOT_FOUND, Code::UnknownAccount)
            }
            Self::Target(InvalidTarget::Module | InvalidTarget::Companies) => {
                Row::of_request(StatusCode::BAD_REQUEST, Code::InvalidModule)
            }
            Self::Target(InvalidTarget::Record) => {
                Row::of_request(StatusCode::BAD_REQUEST, Code::InvalidData)
            }
            Self::Method => {
                Row::of_request(StatusCode::METHOD_NOT_ALLOWED, Code::InvalidRequestMethod)
            }
            Self::Panic(outcome) => Row {
                outcome,
                ..Row::of_ours()
            },
            Self::Failure(failure, outcome) => Row {
                outcome,
                ..Row::of_failure(failure)
            },
        }
    }

    /// Whether the connection must not be used any further: its bytes may mean something else to somebody else.
    pub(super) fn closes_connection(self) -> bool {
        matches!(self, Self::Framing(_))
    }

    /// The response, in Zoho's envelope, so that callers read one shape.
    pub(super) fn response(self, row: &Row, request_id: &str) -> Response {
        let envelope = json!({
            "code": row.code.as_str(),
            "details": {
                "outcome": row.outcome.as_str(),
                "retry": row.retry,
                "act": row.act.as_str(),
                "request_id": request_id,
            },
            "message": self.to_string(),
            "status": "error",
        });
        let mut response = Response::new(envelope.to_string().into());
        *response.status_mut() = row.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json;charset=UTF-8"),
        );
        headers.insert(PROXY_STATUS, row.proxy_status());
        if row.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("DELETE"));
        }
        if row.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = row.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        response
    }
}

impl Row {
    /// The caller's own mistakes. Nothing was sent.
    fn of_request(status: StatusCode, code: Code) -> Self {
        Self {
            status,
            code,
            outcome: Outcome::NotSent,
            act: Act::Caller,
            retry: false,
            proxy_error: "http_request_error",
            retry_after: None,
        }
    }

    /// Our own mistakes.
    fn of_ours() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: Code::InternalError,
            outcome: Outcome::Unknown,
            act: Act::Operator,
            retry: true,
            proxy_error: "proxy_internal_error",
            retry_after: None,
        }
    }

    fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::Token(unavailable) => Self::of_unavailable(unavailable),
            Failure::TokenRejected(next_token) => Self {
                act: Act::Operator,
                // Its keeper has not noticed yet: in a moment the time is known.
                retry_after: next_token.or(Some(Duration::from_secs(1))),
                ..Self::of_upstream(
                    StatusCode::BAD_GATEWAY,
                    Code::TokenRejected,
                    "proxy_configuration_error",
                )
            },
            Failure::Overloaded(Overloaded::NoTime)
            | Failure::Call(CallError::NoTime | CallError::Timeout) => Self::of_upstream(
                StatusCode::GATEWAY_TIMEOUT,
                Code::UpstreamTimeout,
                "http_response_timeout",
            ),
            Failure::Overloaded(Overloaded::Unreachable(wait)) => Self {
                retry_after: Some(wait),
                ..Self::of_upstream(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Code::Overloaded,
                    "destination_unavailable",
                )
            },
            Failure::Overloaded(Overloaded::QueueFull | Overloaded::WaitedTooLong) => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::of_upstream(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Code::Overloaded,
                    "connection_limit_reached",
                )
            },
            Failure::Credits(spent) => Self::of_no_credits(Act::ZohoAdmin, spent.retry_after),
            Failure::DailyCalls(spent) => Self::of_no_credits(Act::Operator, spent.retry_after),
            Failure::Call(CallError::Unreachable(why)) => Self {
                act: act_on_unreachable(why),
                ..Self::of_upstream(
                    StatusCode::BAD_GATEWAY,
                    Code::UpstreamUnreachable,
                    error_of_unreachable(why),
                )
            },
            Failure::Call(CallError::ConnectionLost) => Self::of_upstream(
                StatusCode::BAD_GATEWAY,
                Code::UpstreamConnectionLost,
                "connection_terminated",
            ),
            Failure::Call(CallError::InvalidAnswer(why)) => Self::of_upstream(
                StatusCode::BAD_GATEWAY,
                Code::UpstreamInvalidResponse,
                error_of_invalid(why),
            ),
            Failure::Call(CallError::TokenEnded) => Self::of_unavailable(Unavailable {
                cause: None,
                retry_after: Duration::ZERO,
            }),
            Failure::Call(CallError::NotCanonical) | Failure::Fault(_) => Self::of_ours(),
        }
    }

    /// What lies behind us and may pass.
    fn of_upstream(status: StatusCode, code: Code, proxy_error: &'static str) -> Self {
        Self {
            status,
            code,
            outcome: Outcome::Unknown,
            act: Act::Nobody,
            retry: true,
            proxy_error,
            retry_after: None,
        }
    }

    fn of_no_credits(act: Act, wait: Duration) -> Self {
        Self {
            act,
            retry_after: Some(wait),
            ..Self::of_upstream(
                StatusCode::TOO_MANY_REQUESTS,
                Code::CreditsExhausted,
                "http_request_denied",
            )
        }
    }

    fn of_unavailable(unavailable: Unavailable) -> Self {
        let refused = matches!(unavailable.cause, Some(token::Failure::Refused(_)));
        let (act, proxy_error) = if refused {
            (Act::Operator, "proxy_configuration_error")
        } else {
            (Act::Nobody, "destination_unavailable")
        };
        Self {
            act,
            retry_after: Some(unavailable.retry_after),
            ..Self::of_upstream(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::TokenUnavailable,
                proxy_error,
            )
        }
    }

    fn proxy_status(&self) -> HeaderValue {
        let value = format!(
            "bigin-photo-proxy; error={}; details=\"{}\"",
            self.proxy_error,
            self.code.as_str()
        );
        HeaderValue::try_from(value).expect("error types and codes are ASCII")
    }
}

/// A proxy that refuses is configured wrongly, there or here; all else passes.
fn act_on_unreachable(why: Unreachable) -> Act {
    if why == Unreachable::ProxyRefused {
        Act::Operator
    } else {
        Act::Nobody
    }
}

fn error_of_unreachable(why: Unreachable) -> &'static str {
    match why {
        Unreachable::Dns => "dns_error",
        Unreachable::Refused => "connection_refused",
        Unreachable::Unroutable => "destination_ip_unroutable",
        Unreachable::TimedOut => "connection_timeout",
        Unreachable::Certificate => "tls_certificate_error",
        Unreachable::TlsAlert => "tls_alert_received",
        Unreachable::Tls => "tls_protocol_error",
        Unreachable::Closed => "connection_terminated",
        Unreachable::ProxyRefused => "proxy_configuration_error",
        Unreachable::ProxyInvalid => "http_protocol_error",
        Unreachable::ProxyFailed | Unreachable::Failed => "destination_unavailable",
    }
}

fn error_of_invalid(why: InvalidAnswer) -> &'static str {
    match why {
        InvalidAnswer::Incomplete => "http_response_incomplete",
        InvalidAnswer::BodyTooLarge => "http_response_body_size",
        InvalidAnswer::HeadTooLarge => "http_response_header_section_size",
        InvalidAnswer::Encoded => "http_response_content_coding",
        InvalidAnswer::Framing => "http_response_transfer_coding",
        InvalidAnswer::NotHttp
        | InvalidAnswer::Status
        | InvalidAnswer::Gateway
        | InvalidAnswer::Envelope => "http_protocol_error",
    }
}

/// RFC 9110, section 10.2.3: whole seconds. Rounded up, so that whoever waits that long is not early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests;
