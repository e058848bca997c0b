//! Every way in which things go wrong, against the page that callers read and the error types of RFC 9209.

mod openapi;

use proptest::prelude::*;

use super::*;
use crate::upstream::{CreditsSpent, DailyCallsSpent};

/// RFC 9209, section 2.3.
const ERROR_TYPES: &str = "dns_timeout dns_error destination_not_found destination_unavailable
    destination_ip_prohibited destination_ip_unroutable connection_refused connection_terminated
    connection_timeout connection_read_timeout connection_write_timeout connection_limit_reached
    tls_protocol_error tls_certificate_error tls_alert_received http_request_error
    http_request_denied http_response_incomplete http_response_header_section_size
    http_response_header_size http_response_body_size http_response_trailer_section_size
    http_response_trailer_size http_response_transfer_coding http_response_content_coding
    http_response_timeout http_upgrade_failed http_protocol_error proxy_internal_response
    proxy_internal_error proxy_configuration_error proxy_loop_detected";

/// Who can mend it, and when to come again.
type Advice = (Act, Option<u64>);

fn failures() -> Vec<(Failure, Advice)> {
    let retry_after = Duration::from_millis(6500);
    let token = |cause| Failure::Token(Unavailable { cause, retry_after });
    let (transient, refused) = (token::Failure::Transient, token::Failure::Refused);
    let call = |error: CallError| (error.into(), (Act::Nobody, None));
    #[rustfmt::skip]
    let mut failures = vec![
        (token(None), (Act::Nobody, Some(7))),
        (token(Some(transient("x"))), (Act::Nobody, Some(7))),
        (token(Some(refused("x"))), (Act::Operator, Some(7))),
        (Failure::TokenRejected(None), (Act::Operator, Some(1))),
        (Failure::TokenRejected(Some(retry_after)), (Act::Operator, Some(7))),
        (Overloaded::QueueFull.into(), (Act::Nobody, Some(1))),
        (Overloaded::WaitedTooLong.into(), (Act::Nobody, Some(1))),
        (Overloaded::Unreachable(retry_after).into(), (Act::Nobody, Some(7))),
        (Overloaded::NoTime.into(), (Act::Nobody, None)),
        (CreditsSpent { retry_after }.into(), (Act::ZohoAdmin, Some(7))),
        (DailyCallsSpent { retry_after }.into(), (Act::Operator, Some(7))),
        (CallError::TokenEnded.into(), (Act::Nobody, Some(1))),
        (CallError::NotCanonical.into(), (Act::Operator, None)),
        (CallError::from(Unreachable::ProxyRefused).into(), (Act::Operator, None)),
        (Failure::Fault(Outcome::Unknown), (Act::Operator, None)),
        (Failure::Fault(Outcome::NotSent), (Act::Operator, None)),
    ];
    failures.extend(
        [
            CallError::NoTime,
            CallError::Timeout,
            CallError::ConnectionLost,
        ]
        .map(call),
    );
    let unreachable = [
        Unreachable::Dns,
        Unreachable::Refused,
        Unreachable::Unroutable,
        Unreachable::TimedOut,
        Unreachable::Certificate,
        Unreachable::TlsAlert,
        Unreachable::Tls,
        Unreachable::Closed,
        Unreachable::ProxyFailed,
        Unreachable::ProxyInvalid,
        Unreachable::Failed,
    ];
    failures.extend(unreachable.map(|why| call(why.into())));
    let invalid = [
        InvalidAnswer::Incomplete,
        InvalidAnswer::BodyTooLarge,
        InvalidAnswer::HeadTooLarge,
        InvalidAnswer::NotHttp,
        InvalidAnswer::Encoded,
        InvalidAnswer::Framing,
        InvalidAnswer::Status,
        InvalidAnswer::Gateway,
        InvalidAnswer::Envelope,
    ];
    failures.extend(invalid.map(|why| call(why.into())));
    failures
}

fn problems() -> Vec<(Problem, Advice)> {
    let wrong = [
        FramingError::Body.into(),
        Problem::Unauthorized,
        InvalidTarget::Path.into(),
        InvalidTarget::Account.into(),
        InvalidTarget::Module.into(),
        InvalidTarget::Companies.into(),
        InvalidTarget::Record.into(),
        Problem::Method,
    ];
    let panics = [Outcome::Unknown, Outcome::NotSent].map(Problem::Panic);
    let mut problems = Vec::new();
    problems.extend(wrong.map(|problem| (problem, (Act::Caller, None))));
    problems.extend(panics.map(|problem| (problem, (Act::Operator, None))));
    let failures = failures().into_iter();
    problems.extend(failures.map(|(failure, advice)| (failure.into(), advice)));
    problems
}

/// What callers read.
const PAGE: &str = include_str!("../../../docs/errors.md");

/// Whether the page has this row.
fn is_documented(row: &Row) -> bool {
    PAGE.lines().any(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, status, code, _, outcome, error, _] = cells[..] else {
            return false;
        };
        status == row.status.as_str()
            && code == format!("`{}`", row.code.as_str())
            && outcome.contains(row.outcome.as_str())
            && (error.contains(&format!("`{}`", row.proxy_error)) || error.contains('…'))
    })
}

#[test]
fn whatever_goes_wrong_is_a_row_of_the_page_that_callers_read() {
    for (problem, (act, retry_after)) in problems() {
        let row = problem.row();

        assert!(is_documented(&row), "{problem:?}");
        let expected = match problem {
            Problem::Panic(outcome) | Problem::Failure(_, outcome) => outcome,
            _ => Outcome::NotSent,
        };
        assert_eq!(row.outcome, expected, "{problem:?}");
        let mut error_types = ERROR_TYPES.split_whitespace();
        assert!(error_types.any(|it| it == row.proxy_error), "{problem:?}");
        assert_eq!(row.act, act, "{problem:?}");
        // Whoever made a mistake makes it again.
        assert_eq!(row.retry, act != Act::Caller, "{problem:?}");
        let told = row.retry_after.map(whole_seconds);
        assert_eq!(told, retry_after, "{problem:?}");
    }
}

#[test]
fn the_outcomes_are_the_words_of_the_page() {
    let [deleted, refused, not_sent, unknown] = Outcome::ALL.map(Outcome::as_str);

    let words = format!("`{deleted}`, `{refused}`, `{not_sent}` or `{unknown}`");

    assert!(PAGE.contains(&words), "{words}");
}

#[test]
fn a_response_says_in_headers_and_in_zohos_envelope_what_the_row_says() {
    for (problem, _) in problems() {
        let row = problem.row();
        let response = problem.response(&row, "my-id");

        assert_eq!(response.status(), row.status);
        let header = |name: &str| Some(response.headers().get(name)?.to_str().unwrap());
        let json = Some("application/json;charset=UTF-8");
        assert_eq!(header("content-type"), json);
        let retry_after = row.retry_after.map(|it| whole_seconds(it).to_string());
        assert_eq!(header("retry-after"), retry_after.as_deref());
        let allow = (row.status == 405).then_some("DELETE");
        assert_eq!(header("allow"), allow);
        let authenticate = (row.status == 401).then_some("Bearer");
        assert_eq!(header("www-authenticate"), authenticate);
        let (error, code) = (row.proxy_error, row.code.as_str());
        let proxy_status = format!("bigin-photo-proxy; error={error}; details=\"{code}\"");
        assert_eq!(header("proxy-status"), Some(&*proxy_status));
        let acts = ["caller", "operator", "zoho-admin", "nobody"];
        assert!(acts.contains(&row.act.as_str()));
    }
}

#[test]
fn a_bad_request_closes_the_connection_and_nothing_else_does() {
    for (problem, _) in problems() {
        let is_bad_request = problem.row().code == Code::BadRequest;
        assert_eq!(problem.closes_connection(), is_bad_request, "{problem:?}");
    }
}

proptest! {
    #[test]
    fn who_comes_again_after_whole_seconds_is_not_early_and_at_most_a_second_late(
        nanoseconds in 1..10_u64.pow(18),
    ) {
        let wait = Duration::from_nanos(nanoseconds);

        let told = Duration::from_secs(whole_seconds(wait));

        prop_assert!(wait <= told && told < wait + Duration::from_secs(1));
    }
}
