//! The refusals of the API.

use serde_json::json;

use crate::wire::Answer;

/// Why a call is not carried out, in the order in which the checks are made.
///
/// Codes and messages are those of <https://www.bigin.com/developer/docs/apis/v2/delete-image.html> and
/// <https://www.bigin.com/developer/docs/apis/v2/status-codes.html>. Zoho does not publish its two messages for 429; the
/// ones here bear the words by which they have been told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    AuthenticationFailure,
    InvalidToken,
    UrlPattern,
    RequestMethod,
    Module,
    ScopeMismatch,
    Concurrency,
    Credits,
    NoPermission,
    Data,
}

impl Refusal {
    pub(crate) fn answer(self) -> Answer {
        let (status, code, message) = self.words();
        Answer::zoho_json(
            status,
            &json!({ "code": code, "details": {}, "message": message, "status": "error" }),
        )
    }

    const fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::AuthenticationFailure => (401, "AUTHENTICATION_FAILURE", "Authentication failed"),
            Self::InvalidToken => (401, "INVALID_TOKEN", "invalid oauth token"),
            Self::UrlPattern => (
                404,
                "INVALID_URL_PATTERN",
                "Please check if the URL trying to access is a correct one",
            ),
            Self::RequestMethod => (
                400,
                "INVALID_REQUEST_METHOD",
                "The http request method type is not a valid one",
            ),
            Self::Module => (
                400,
                "INVALID_MODULE",
                "The module name given seems to be invalid",
            ),
            Self::ScopeMismatch => (401, "OAUTH_SCOPE_MISMATCH", "Unauthorized"),
            Self::Concurrency => (
                429,
                "TOO_MANY_REQUESTS",
                "You have exceeded the concurrency limit",
            ),
            Self::Credits => (
                429,
                "TOO_MANY_REQUESTS",
                "You have used up the API credits of the 24 hour window",
            ),
            Self::NoPermission => (403, "NO_PERMISSION", "Permission denied to delete images"),
            Self::Data => (400, "INVALID_DATA", "the id given seems to be invalid"),
        }
    }
}
