//! Writes a request down, and keeps tokens and secrets out of it.

use super::SeenRequest;
use crate::settings::Settings;
use crate::tokens::Tokens;
use crate::wire::Request;

/// Shorter texts are not hidden: they would be found everywhere, and are no secrets.
const SHORTEST_SECRET: usize = 8;

/// Schemes that may be written down. What stands before the space of another header may be the secret itself.
const SCHEMES: [&str; 3] = ["Zoho-oauthtoken", "Bearer", "Basic"];

/// One who sees a request and tells of it without secrets.
pub(crate) struct Witness<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) tokens: &'a Tokens,
}

impl Witness<'_> {
    pub(crate) fn write_down(&self, request: &Request, at_ms: u64) -> SeenRequest {
        SeenRequest {
            at_ms,
            method: request.method.clone(),
            target: self.hide_secrets(&request.target),
            version: format!("HTTP/1.{}", request.minor_version),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), self.value(name, value)))
                .collect(),
            body_length: request.body.len(),
        }
    }

    fn value(&self, name: &str, value: &str) -> String {
        if name.eq_ignore_ascii_case("authorization") {
            self.authorization(value)
        } else {
            self.hide_secrets(value)
        }
    }

    fn authorization(&self, value: &str) -> String {
        let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
        let scheme = SCHEMES
            .into_iter()
            .find(|known| *known == scheme)
            .unwrap_or("?");
        match self.tokens.index_of(credentials) {
            Some(index) => format!("{scheme} #{index}"),
            None => format!("{scheme} #unknown"),
        }
    }

    fn hide_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (index, token) in self.tokens.texts().enumerate() {
            hide(&mut text, token, || format!("#{index}"));
        }
        hide(&mut text, &self.settings.refresh_token, || {
            "#refresh-token".to_owned()
        });
        hide(&mut text, &self.settings.client_secret, || {
            "#client-secret".to_owned()
        });
        text
    }
}

fn hide(text: &mut String, secret: &str, name: impl Fn() -> String) {
    if secret.len() >= SHORTEST_SECRET && text.contains(secret) {
        *text = text.replace(secret, &name());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fastrand::Rng;
    use tokio::time::Instant;

    use super::*;

    fn seen(header: &str, value: impl Fn(&str) -> String) -> String {
        let settings = Settings::default();
        let mut tokens = Tokens::new(Rng::with_seed(1));
        let token = tokens
            .issue(None, Instant::now() + Duration::from_mins(1), 10)
            .text;
        let witness = Witness {
            settings: &settings,
            tokens: &tokens,
        };
        witness.value(header, &value(&token))
    }

    #[test]
    fn an_authorization_becomes_its_scheme_and_the_number_of_the_token() {
        assert_eq!(
            seen("authorization", |token| format!("Zoho-oauthtoken {token}")),
            "Zoho-oauthtoken #0"
        );
        assert_eq!(
            seen("Authorization", |_| "Zoho-oauthtoken 1000.abc".to_owned()),
            "Zoho-oauthtoken #unknown"
        );
    }

    #[test]
    fn an_authorization_without_a_known_scheme_tells_nothing() {
        assert_eq!(seen("Authorization", ToOwned::to_owned), "? #0");
        assert_eq!(
            seen("Authorization", |_| "hunter2hunter2 x".to_owned()),
            "? #unknown"
        );
    }

    #[test]
    fn a_secret_in_any_other_header_is_replaced_by_its_name() {
        assert_eq!(
            seen("Cookie", |token| format!(
                "a={token}; b=sandbox-client-secret"
            )),
            "a=#0; b=#client-secret"
        );
    }
}
