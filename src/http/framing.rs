//! The rules of HTTP that a request must keep before anybody looks at what it asks for.
//!
//! Stricter than RFC 9112 where leniency would let two parties read one request differently: this is where requests are
//! smuggled.

use std::net::Ipv6Addr;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};

/// How long a caller wants to wait, in seconds. No standard has a header for it.
static REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");

/// A rule that a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramingError {
    #[error("the request must have no body: no Transfer-Encoding, and no Content-Length but 0")]
    Body,
    #[error("the request must have exactly one Host header")]
    HostCount,
    #[error(
        "the Host header must be a host, with a port up to 65535 or none, and without user information"
    )]
    Host,
    #[error("the request target must be a path, or an http URL with a valid authority")]
    Authority,
    #[error("the request target must have no query")]
    Query,
    #[error("Request-Timeout must be one positive decimal number of seconds, such as 2 or 0.5")]
    RequestTimeout,
}

/// Checks what concerns the whole message: its body, its host, the form of its target.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), FramingError> {
    check_no_body(request.headers())?;
    check_host(request.version(), request.headers())?;
    check_target(request.uri())
}

/// RFC 9110, section 9.3.5: a body of a DELETE has no meaning, and has been used to smuggle requests.
fn check_no_body(headers: &HeaderMap) -> Result<(), FramingError> {
    let empty = all(headers, &CONTENT_LENGTH).all(|length| length == "0");
    let plain = all(headers, &TRANSFER_ENCODING).next().is_none();
    if empty && plain {
        Ok(())
    } else {
        Err(FramingError::Body)
    }
}

/// RFC 9112, section 3.2: exactly one, valid Host; HTTP/1.0 may lack it.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), FramingError> {
    let mut hosts = all(headers, &HOST);
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (Some(host), None) if is_authority(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(FramingError::Host),
        _ => Err(FramingError::HostCount),
    }
}

/// RFC 9112, section 3.2.2: the absolute form is taken. It never chooses where a request goes.
fn check_target(uri: &Uri) -> Result<(), FramingError> {
    let absolute = uri.scheme().is_some() || uri.authority().is_some();
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    let valid = || {
        uri.authority()
            .is_some_and(|authority| is_authority(authority.as_str().as_bytes()))
    };
    if !absolute || (http && valid()) {
        Ok(())
    } else {
        Err(FramingError::Authority)
    }
}

/// How long a caller wants to wait, if it says so: a positive decimal number of seconds.
pub(super) fn request_timeout(headers: &HeaderMap) -> Result<Option<Duration>, FramingError> {
    let mut given = all(headers, &REQUEST_TIMEOUT);
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(seconds), None) => parse_seconds(seconds)
            .map(Some)
            .ok_or(FramingError::RequestTimeout),
        _ => Err(FramingError::RequestTimeout),
    }
}

/// Digits, perhaps with a point between them. What no clock can hold is for ever.
fn parse_seconds(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let parts = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(parts.0) || !is_number(parts.1) {
        return None;
    }
    let seconds = text.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// All values of a header. To walk over the few that a request has is cheaper than to hash a name.
fn all<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
    headers
        .iter()
        .filter_map(move |(given, value)| (given == name).then_some(value))
}

/// `uri-host [ ":" port ]` of RFC 3986, section 3.2, not empty, without user information.
fn is_authority(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let is_port = port.is_empty() || !port.starts_with('+') && port.parse::<u16>().is_ok();
    is_port && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        return literal
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    // unreserved, sub-delims and the % of escapes: all that a registered name is made of.
    #[rustfmt::skip]
    let of_name = |byte: u8| {
        matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%')
            || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
    };
    !host.is_empty() && host.bytes().all(of_name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_a_decimal_number_of_seconds_and_nothing_else(
            text in "[+ -]?[0-9]{0,9}[.]?[0-9]{0,6}(e[0-9])?|[0-9]{300,400}",
        ) {
            let parts: Vec<&str> = text.split('.').collect();
            let is_number = parts.len() <= 2
                && parts.iter().all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
            let headers = HeaderMap::from_iter([(REQUEST_TIMEOUT.clone(), text.parse().unwrap())]);

            let given = request_timeout(&headers).ok().flatten();

            prop_assert_eq!(given.is_some(), is_number);
            if let (Some(given), Ok(whole)) = (given, parts[0].parse()) {
                prop_assert!((whole..=whole + 1).contains(&given.as_secs()));
            }
        }
    }

    #[test]
    fn a_time_is_said_once_or_not_at_all() {
        let timeout = |values: &[&str]| {
            let values = values.iter().map(|it| it.parse().unwrap());
            request_timeout(&values.map(|it| (REQUEST_TIMEOUT.clone(), it)).collect())
        };

        assert_eq!(timeout(&[]), Ok(None));
        assert_eq!(timeout(&["2"]), Ok(Some(Duration::from_secs(2))));
        assert_eq!(timeout(&["2", "2"]), Err(FramingError::RequestTimeout));
    }

    fn with(headers: &[(&'static str, &'static str)]) -> Result<(), FramingError> {
        let mut request = Request::delete("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap())
    }

    #[test]
    fn hosts_are_names_and_addresses_with_a_port_or_without() {
        for host in [
            "a",
            "proxy.svc:8080",
            "10.0.0.1",
            "[::1]",
            "[::1]:80",
            "a:",
            "a:65535",
            "xn--a",
            "a_b",
        ] {
            assert_eq!(with(&[("host", host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn anything_else_is_no_host() {
        for host in [
            "", ":80", "a b", "u@a", "u:p@a", "a:65536", "a:-1", "a:+1", "a:x", "a/b", "[::1",
            "::1", "[x]", "a?b", "a#b", "a\\b",
        ] {
            assert_eq!(with(&[("host", host)]), Err(FramingError::Host), "{host}");
        }
    }

    #[test]
    fn there_is_exactly_one_host() {
        assert_eq!(with(&[]), Err(FramingError::HostCount));
        assert_eq!(
            with(&[("host", "a"), ("host", "a")]),
            Err(FramingError::HostCount)
        );
    }

    #[test]
    fn http_1_0_may_lack_a_host_but_not_have_a_wrong_one() {
        let old = |builder: http::request::Builder| {
            check(&builder.version(Version::HTTP_10).body(()).unwrap())
        };

        assert_eq!(old(Request::delete("/")), Ok(()));
        assert_eq!(
            old(Request::delete("/").header("host", "u@a")),
            Err(FramingError::Host)
        );
    }

    #[test]
    fn a_length_of_zero_is_no_body() {
        assert_eq!(with(&[("host", "a"), ("content-length", "0")]), Ok(()));
        assert_eq!(
            with(&[("host", "a"), ("content-length", "1")]),
            Err(FramingError::Body)
        );
        assert_eq!(
            with(&[("host", "a"), ("content-length", "00")]),
            Err(FramingError::Body)
        );
        assert_eq!(
            with(&[("host", "a"), ("transfer-encoding", "identity")]),
            Err(FramingError::Body)
        );
    }

    #[test]
    fn the_absolute_form_needs_a_valid_authority() {
        let target = |target: &str| {
            check(
                &Request::delete(target)
                    .header("host", "a")
                    .body(())
                    .unwrap(),
            )
        };

        assert_eq!(target("http://a/x"), Ok(()));
        assert_eq!(target("https://b:8443/x"), Ok(()));
        for wrong in ["ftp://a/x", "http://u@a/x", "http://a:99999/x", "a:80"] {
            assert_eq!(target(wrong), Err(FramingError::Authority), "{wrong}");
        }
    }
}
