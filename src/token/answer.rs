//! Zoho's habits at the token endpoint, undone: what it wrote becomes what RFC 6749 describes, or a plain fault.
//!
//! The status says nothing: refusals come with 200, and throttling with 400 or 200. So the body is read first, the
//! access token before the error. Sources: <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>
//! and, for `expires_in_sec`, the token parser of Zoho's own SDK <https://github.com/zoho/zohocrm-python-sdk-2.0>.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

/// The life of an access token when the answer does not say, and the most that is believed.
pub(super) const LONGEST_LIFE: u64 = 3600;

/// No token lives a day, so a larger `expires_in` counts milliseconds.
const MILLISECONDS_ABOVE: f64 = 86_400.0;

/// An answer that is neither a token nor an error of OAuth's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the accounts server throttles")]
    Throttled(Option<Duration>),
    #[error("the answer holds neither a token nor an error")]
    Nothing,
    #[error("the token that was issued has no life left")]
    Dead,
}

/// The answer as RFC 6749, sections 5.1 and 5.2, would have it: a status and a JSON body.
pub(super) fn normalise(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(StatusCode, Value), Unreadable> {
    let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    if let Some(token) = fields.get("access_token").and_then(Value::as_str) {
        let text = |name| fields.get(name).and_then(Value::as_str);
        let token = json!({
            "access_token": token,
            "refresh_token": text("refresh_token"),
            "token_type": "Bearer",
            "expires_in": lifetime(&fields)?,
            // Zoho divides them by commas too.
            "scope": text("scope").map(|scopes| scopes.replace(',', " ")),
            "api_domain": text("api_domain"),
        });
        return Ok((StatusCode::OK, token));
    }
    let error = fields.get("error").and_then(Value::as_str);
    let description = fields
        .get("error_description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if status == StatusCode::TOO_MANY_REQUESTS || description.contains("too many requests") {
        return Err(Unreadable::Throttled(retry_after(headers)));
    }
    let error = json!({ "error": error.ok_or(Unreadable::Nothing)? });
    Ok((StatusCode::BAD_REQUEST, error))
}

/// Whole seconds. With `expires_in_sec` beside it, `expires_in` counts milliseconds.
fn lifetime(fields: &Map<String, Value>) -> Result<u64, Unreadable> {
    let in_seconds = |given: f64| {
        if given > MILLISECONDS_ABOVE {
            given / 1000.0
        } else {
            given
        }
    };
    let given = number(fields, "expires_in").map(in_seconds);
    let Some(seconds) = number(fields, "expires_in_sec").or(given) else {
        return Ok(LONGEST_LIFE);
    };
    if seconds < 1.0 {
        return Err(Unreadable::Dead);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and 3600"
    )]
    let seconds = seconds.min(3600.0) as u64;
    Ok(seconds)
}

/// A number, or a text that is one.
fn number(fields: &Map<String, Value>, name: &str) -> Option<f64> {
    match fields.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(body: &str) -> Option<u64> {
        let (status, value) = normalise(StatusCode::OK, &HeaderMap::new(), body.as_bytes()).ok()?;
        assert_eq!(status, StatusCode::OK);
        value["expires_in"].as_u64()
    }

    #[test]
    fn the_life_of_a_token_is_understood_in_every_form_zoho_has() {
        for (expiry, seconds) in [
            (r#""expires_in":3600"#, 3600),
            (r#""expires_in":60"#, 60),
            (r#""expires_in":"1800""#, 1800),
            (r#""expires_in":1"#, 1),
            (r#""expires_in":86400"#, 3600),
            (r#""expires_in":1800000"#, 1800),
            (r#""expires_in":1800000,"expires_in_sec":1800"#, 1800),
            (r#""expires_in":5000,"expires_in_sec":5"#, 5),
            (r#""expires_in":999999999999"#, 3600),
            (r#""expires_in":7200"#, 3600),
            (r#""expires_in":null"#, 3600),
            (r#""expires_in":"soon""#, 3600),
            (r#""expires_in":{}"#, 3600),
            (r#""expires_in":1.9"#, 1),
        ] {
            assert_eq!(
                life(&format!(r#"{{"access_token":"t",{expiry}}}"#)),
                Some(seconds),
                "{expiry}"
            );
        }
        assert_eq!(life(r#"{"access_token":"t"}"#), Some(3600));
    }

    #[test]
    fn a_token_without_a_life_is_none() {
        for expiry in ["0", "-1", "0.5", r#""0""#, "-3600000"] {
            assert_eq!(
                life(&format!(r#"{{"access_token":"t","expires_in":{expiry}}}"#)),
                None,
                "{expiry}"
            );
        }
    }

    #[test]
    fn the_token_is_read_before_the_error_and_before_the_status() {
        let body = br#"{"error":"general_error","access_token":"t","expires_in":3600}"#;

        let (status, value) =
            normalise(StatusCode::INTERNAL_SERVER_ERROR, &HeaderMap::new(), body).unwrap();

        assert_eq!(
            (status, &value["access_token"]),
            (StatusCode::OK, &json!("t"))
        );
    }

    #[test]
    fn an_error_with_status_200_is_an_error() {
        let (status, value) = normalise(
            StatusCode::OK,
            &HeaderMap::new(),
            br#"{"error":"invalid_code"}"#,
        )
        .unwrap();

        assert_eq!(
            (status, value),
            (StatusCode::BAD_REQUEST, json!({ "error": "invalid_code" }))
        );
    }

    #[test]
    fn throttling_is_known_by_its_words_or_by_429() {
        let words = br#"{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}"#;
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "7".parse().unwrap())]);

        for (status, body) in [
            (200, &words[..]),
            (400, words),
            (429, b"<html>"),
            (429, br#"{"error":"Access Denied"}"#),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(matches!(
                normalise(status, &HeaderMap::new(), body),
                Err(Unreadable::Throttled(None))
            ));
            let Err(Unreadable::Throttled(Some(wait))) = normalise(status, &headers, body) else {
                panic!("{status}")
            };
            assert_eq!(wait, Duration::from_secs(7));
        }
    }

    #[test]
    fn everything_else_is_nothing() {
        for body in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"access_token":7}"#,
            r#"{"error":7}"#,
            r#"{"access_token":"t"#,
        ] {
            let nothing = normalise(StatusCode::OK, &HeaderMap::new(), body.as_bytes());
            assert!(matches!(nothing, Err(Unreadable::Nothing)), "{body}");
        }
    }
}
