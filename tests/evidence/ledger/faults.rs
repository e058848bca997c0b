//! Every fault that Zoho is known or feared to have, mixed.

use std::time::Duration;

use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

/// How late a slow answer is.
pub(super) const SLOW: Duration = Duration::from_millis(100);

/// The share of calls that meet each kind of fault. Where it matters whether the deletion was carried out before, each
/// of the two has half of it.
const SHARE: f64 = 0.01;

/// The share of token requests that meet each fault of the accounts server.
const TOKEN_SHARE: f64 = 0.05;

/// Puts all faults to work at once.
pub(super) fn misbehave(zoho: &Sandbox) {
    for kind in spoiled_answers() {
        zoho.on_delete(When::Share(SHARE / 2.0), ApiFault::before(kind.clone()));
        zoho.on_delete(When::Share(SHARE / 2.0), ApiFault::after(kind));
    }
    for kind in refusals() {
        zoho.on_delete(When::Share(SHARE), ApiFault::before(kind));
    }
    for kind in odd_successes() {
        zoho.on_delete(When::Share(SHARE), ApiFault::after(kind));
    }
    for fault in token_faults() {
        zoho.on_token(When::Share(TOKEN_SHARE), fault);
    }
}

/// What leaves open whether the deletion was carried out.
fn spoiled_answers() -> Vec<ApiFaultKind> {
    let html = [200, 404, 500, 502, 503, 504].map(|status| ApiFaultKind::Html { status });
    let envelopes = [500, 503].map(|status| answer(status, "INTERNAL_ERROR"));
    // The second one lacks the last byte alone.
    let cut = [20, usize::MAX].map(|bytes| ApiFaultKind::Cut { bytes });
    let wrong_length = [10, 1000].map(|claimed| ApiFaultKind::WrongLength { claimed });
    let others = [
        ApiFaultKind::Hang,
        ApiFaultKind::Reset,
        ApiFaultKind::Close,
        ApiFaultKind::Garbage,
        ApiFaultKind::Endless,
        ApiFaultKind::NoContent,
        ApiFaultKind::EmptyOk,
        ApiFaultKind::StatusError,
        ApiFaultKind::Body {
            status: 200,
            content_type: "application/json".to_owned(),
            body: "{}".to_owned(),
        },
        ApiFaultKind::Raw {
            text: "HTTP/1.1 200 OK\r\nContent-Le".to_owned(),
        },
        ApiFaultKind::Redirect {
            status: 307,
            location: "/elsewhere".to_owned(),
        },
    ];
    html.into_iter()
        .chain(envelopes)
        .chain(cut)
        .chain(wrong_length)
        .chain(others)
        .collect()
}

/// What says that nothing was done, and is true.
fn refusals() -> [ApiFaultKind; 4] {
    [
        answer(400, "INVALID_DATA"),
        answer(401, "OAUTH_SCOPE_MISMATCH"),
        answer(403, "NO_PERMISSION"),
        answer(429, "TOO_MANY_REQUESTS"),
    ]
}

/// Deletions whose answers are whole, and unusual.
fn odd_successes() -> [ApiFaultKind; 8] {
    let milliseconds = u64::try_from(SLOW.as_millis()).unwrap();
    [
        ApiFaultKind::Slow { milliseconds },
        ApiFaultKind::Oversized { bytes: 70_000 },
        ApiFaultKind::Gzip,
        ApiFaultKind::ManyHeaders { count: 20 },
        ApiFaultKind::ManyHeaders { count: 200 },
        ApiFaultKind::Informational { count: 3 },
        ApiFaultKind::SecondAnswer,
        ApiFaultKind::ConnectionClose,
    ]
}

fn token_faults() -> [TokenFault; 5] {
    [
        TokenFault::Html { status: 503 },
        TokenFault::EmptyObject,
        TokenFault::Truncated,
        TokenFault::Reset,
        TokenFault::LostAfterIssue,
    ]
}

fn answer(status: u16, code: &str) -> ApiFaultKind {
    ApiFaultKind::Answer {
        status,
        code: code.into(),
        message: "as the sandbox was told".to_owned(),
    }
}

/// What changes everything for a while, and so cannot be a share of the calls.
#[derive(Clone, Copy)]
pub(super) enum Incident {
    /// All access tokens end before their time.
    Revocation,
    /// The day's credits are spent, and a second later there are some again.
    CreditsSpent,
}

impl Incident {
    pub(super) const ALL: [Self; 2] = [Self::Revocation, Self::CreditsSpent];

    pub(super) fn happen(self, zoho: &Sandbox) {
        match self {
            Self::Revocation => zoho.revoke_tokens(),
            Self::CreditsSpent => zoho.on_delete(When::Next(1), ApiFault::before(no_credits())),
        }
    }
}

fn no_credits() -> ApiFaultKind {
    let body = r#"{"code":"TOO_MANY_REQUESTS","details":{},"message":"You have used up the API credits of the 24 hour window","status":"error"}"#;
    let length = body.len();
    ApiFaultKind::Raw {
        text: format!(
            "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    }
}
