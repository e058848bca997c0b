//! How the faults of the token endpoint look on the wire.

use std::time::Duration;

use super::grant::{error_answer, throttled};
use crate::faults::TokenFault;
use crate::wire::{Answer, Delivery, Then};

/// What is sent in the place of the normal answer. `None` if the fault leaves the request to run its course.
pub(super) fn replacement(fault: &TokenFault) -> Option<Delivery> {
    let answer = match fault {
        TokenFault::Error { status, error } => error_answer(*status, error),
        TokenFault::Throttled { status } => throttled(*status),
        TokenFault::Html { status } => Answer::zoho_html(*status),
        TokenFault::EmptyObject => Answer::zoho(200, Answer::JSON, "{}"),
        TokenFault::Redirect { location } => Answer::zoho(302, "", "").with("Location", location),
        TokenFault::Body {
            status,
            content_type,
            body,
        } => Answer::zoho(*status, content_type, body.as_str()),
        TokenFault::Hang => return Some(Delivery::new("", Then::Hang)),
        TokenFault::Reset => return Some(Delivery::new("", Then::Reset)),
        TokenFault::Truncated
        | TokenFault::Slow { .. }
        | TokenFault::LostAfterIssue
        | TokenFault::ExpiresIn { .. }
        | TokenFault::Milliseconds
        | TokenFault::ApiDomain { .. }
        | TokenFault::Token { .. } => return None,
    };
    Some(answer.into())
}

/// What becomes of the normal answer on its way.
pub(super) fn disguise(fault: Option<&TokenFault>, mut answer: Answer) -> Delivery {
    match fault {
        Some(TokenFault::Truncated) => {
            answer.body.truncate(answer.body.len() / 2);
            answer.into()
        }
        Some(TokenFault::Slow { milliseconds }) => {
            Delivery::from(answer).after(Duration::from_millis(*milliseconds))
        }
        Some(TokenFault::LostAfterIssue) => Delivery::new("", Then::Reset),
        _ => answer.into(),
    }
}
