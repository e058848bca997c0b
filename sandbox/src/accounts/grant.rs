//! What a token request brings, and why it may be refused.

use std::collections::HashMap;

use crate::ledger::TokenResult;
use crate::state::State;
use crate::wire::{Answer, Request};

/// Zoho's body for too many token requests, to the letter. It has been seen with 400 and with 200.
pub(super) const THROTTLED: &str = concat!(
    r#"{"error_description":"You have made too many requests continuously. Please try again after some time.","#,
    r#""error":"Access Denied","status":"failure"}"#
);

/// The parameters of a token request, from the form in its body and from its URL, as Zoho takes both.
pub(super) struct Parameters {
    is_post: bool,
    by_name: HashMap<String, String>,
    pub(super) used_query: bool,
}

/// Why no token is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Throttled,
    /// With this `error`.
    Error(&'static str),
}

impl Parameters {
    pub(super) fn of(request: &Request) -> Self {
        let is_form = request.header("content-type").is_some_and(is_form);
        let form = if is_form {
            request.body.as_slice()
        } else {
            &[]
        };
        let query = request.query().as_bytes();
        let pairs = form_urlencoded::parse(query).chain(form_urlencoded::parse(form));
        Self {
            is_post: request.method == "POST",
            by_name: pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            used_query: !query.is_empty(),
        }
    }

    /// Zoho documents none of the errors of this endpoint completely. `invalid_client` has been seen for a wrong id and
    /// for a wrong secret, `invalid_code` for a wrong refresh token; the other two are this sandbox's reading of
    /// <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>.
    pub(super) fn check(&self, state: &State) -> Result<(), Refusal> {
        let settings = &state.settings;
        if !self.is_post {
            return Err(Refusal::Error("invalid_request"));
        }
        if !self.brings_a_code() {
            self.expect("grant_type", "refresh_token", "unsupported_grant_type")?;
        }
        self.expect("client_id", &settings.client_id, "invalid_client")?;
        self.expect("client_secret", &settings.client_secret, "invalid_client")?;
        match self.grant_code() {
            Some(code) if state.used_codes.contains(code) => Err(Refusal::Error("invalid_code")),
            Some(_) => self.expect("code", &settings.grant_code, "invalid_code"),
            None => self.expect("refresh_token", &settings.refresh_token, "invalid_code"),
        }
    }

    /// The grant code, if this is a request for a refresh token:
    /// <https://www.bigin.com/developer/docs/apis/v2/self-client-get-access-token.html>.
    pub(super) fn grant_code(&self) -> Option<&str> {
        let code = self.by_name.get("code").map_or("", String::as_str);
        self.brings_a_code().then_some(code)
    }

    fn brings_a_code(&self) -> bool {
        let grant_type = self.by_name.get("grant_type");
        grant_type.is_some_and(|grant_type| grant_type == "authorization_code")
    }

    fn expect(&self, name: &str, value: &str, error: &'static str) -> Result<(), Refusal> {
        let right = self.by_name.get(name).is_some_and(|given| given == value);
        if right {
            Ok(())
        } else {
            Err(Refusal::Error(error))
        }
    }
}

fn is_form(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl Refusal {
    pub(super) fn result(self) -> TokenResult {
        match self {
            Self::Throttled => TokenResult::Throttled,
            Self::Error(error) => TokenResult::Refused(error.to_owned()),
        }
    }

    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Throttled => throttled(400),
            Self::Error(error) => error_answer(200, error),
        }
    }
}

pub(super) fn throttled(status: u16) -> Answer {
    Answer::zoho(status, Answer::JSON, THROTTLED)
}

pub(super) fn error_answer(status: u16, error: &str) -> Answer {
    Answer::zoho_json(status, &serde_json::json!({ "error": error }))
}
