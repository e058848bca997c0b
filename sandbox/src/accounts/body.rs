//! The body of a successful token answer, and the ways in which it can be odd.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::faults::TokenFault;
use crate::settings::{ApiDomain, Settings};

/// The fields in the order in which Zoho sends them.
#[derive(Debug, Serialize)]
pub(super) struct TokenBody {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_domain: Option<String>,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_sec: Option<u64>,
}

impl TokenBody {
    pub(super) fn new(settings: &Settings, own_url: &str, access_token: String) -> Self {
        let mut body = Self {
            access_token,
            refresh_token: None,
            scope: settings.scope_in_answer.then(|| settings.scopes.join(" ")),
            api_domain: match &settings.api_domain {
                ApiDomain::Own => Some(own_url.to_owned()),
                ApiDomain::LeftOut => None,
                ApiDomain::Url(url) => Some(url.clone()),
            },
            token_type: "Bearer",
            expires_in: None,
            expires_in_sec: None,
        };
        body.tell_lifetime(settings.token_lifetime());
        body
    }

    /// Adds what a grant code buys.
    pub(super) fn add_refresh_token(&mut self, settings: &Settings) {
        self.refresh_token = Some(settings.refresh_token.clone());
    }

    /// Whole seconds are told as seconds. A fraction only fits into the form that Zoho's own SDKs know as well:
    /// milliseconds, beside the seconds in `expires_in_sec`, here rounded down.
    fn tell_lifetime(&mut self, lifetime: Duration) {
        if lifetime.subsec_nanos() == 0 {
            self.expires_in = Some(lifetime.as_secs().into());
        } else {
            self.tell_milliseconds(lifetime);
        }
    }

    fn tell_milliseconds(&mut self, lifetime: Duration) {
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        self.expires_in = Some(milliseconds.into());
        self.expires_in_sec = Some(lifetime.as_secs());
    }

    /// Makes the body odd, if the fault is about the body.
    pub(super) fn spoil(&mut self, fault: &TokenFault, lifetime: Duration) {
        match fault {
            TokenFault::ExpiresIn { value } => {
                self.expires_in = Some(value.clone()).filter(|value| !value.is_null());
                self.expires_in_sec = None;
            }
            TokenFault::Milliseconds => self.tell_milliseconds(lifetime),
            TokenFault::ApiDomain { value } => self.api_domain.clone_from(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lifetime: f64) -> (Option<Value>, Option<u64>) {
        let settings = Settings {
            token_lifetime_seconds: lifetime,
            ..Settings::default()
        };
        let body = TokenBody::new(&settings, "http://own", "1000.x.y".to_owned());
        (body.expires_in, body.expires_in_sec)
    }

    #[test]
    fn whole_seconds_are_told_as_seconds() {
        assert_eq!(told(2.0), (Some(2.into()), None));
    }

    #[test]
    fn a_fraction_is_told_in_milliseconds() {
        assert_eq!(told(0.25), (Some(250.into()), Some(0)));
    }
}
