//! What can go wrong, as values: a test queues them, the control interface takes the same as JSON.

mod queue;
mod status;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use queue::FaultQueue;

/// Which requests a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The next so many requests that no fault queued earlier hits.
    Next(u32),
    /// Every request.
    Always,
    /// This share of requests (0.1 is one in ten), drawn by a generator that starts from the seed.
    Share(f64),
}

/// A fault of the token endpoint.
///
/// A faulty request counts in the real throttle window as any other, except one hit by [`TokenFault::Throttled`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenFault {
    /// `{"error": …}` with this status. Zoho sends 200 with most of them.
    Error {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
        /// The text of `error`, such as `invalid_client`.
        error: String,
    },
    /// Zoho's throttling body, which has been seen with 400 and with 200. The real window is left alone.
    Throttled {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
    },
    /// An HTML page.
    Html {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
    },
    /// `{}` with 200.
    EmptyObject,
    /// The normal answer, well framed, but its JSON ends in the middle.
    Truncated,
    /// 302 to somewhere else.
    Redirect {
        /// Where to.
        location: String,
    },
    /// The normal answer, late.
    Slow {
        /// How late.
        milliseconds: u64,
    },
    /// No answer until the client leaves.
    Hang,
    /// The connection is reset instead of an answer.
    Reset,
    /// A token is issued and counted as live, but the connection is reset before the answer.
    LostAfterIssue,
    /// The normal answer with another `expires_in`. The token lives as long as it normally would.
    ExpiresIn {
        /// Any JSON; `null` leaves the field out.
        value: Value,
    },
    /// The normal answer with `expires_in` in milliseconds, which the presence of `expires_in_sec` gives away.
    Milliseconds,
    /// The normal answer with another `api_domain`.
    ApiDomain {
        /// The text; `None` leaves the field out.
        value: Option<String>,
    },
    /// The normal answer with this text as the token, which is then valid.
    Token {
        /// The text, however odd. JSON escapes it.
        value: String,
    },
    /// Anything.
    Body {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
}

impl TokenFault {
    /// The text that the next token is to have, if the fault is about that.
    pub(crate) fn token_text(&self) -> Option<String> {
        match self {
            Self::Token { value } => Some(value.clone()),
            _ => None,
        }
    }
}

/// A fault of the API, and whether the deletion is carried out nevertheless.
///
/// Whatever the fault, a complete and well-formed success is only sent for a deletion that was carried out, unless the
/// test itself wrote it ([`ApiFaultKind::Answer`], [`ApiFaultKind::Body`], [`ApiFaultKind::Raw`], the second one of
/// [`ApiFaultKind::SecondAnswer`]). So the kinds that leave the answer whole carry the deletion out in any case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiFault {
    /// What happens.
    #[serde(flatten)]
    pub kind: ApiFaultKind,
    /// Whether the request is carried out before that, as far as it passes the checks. If not, and the fault replaces
    /// the answer, it strikes in front of Zoho, as a gateway does: nothing is checked, counted as credit, or deleted.
    #[serde(default)]
    pub carried_out: bool,
}

impl ApiFault {
    /// The fault strikes first: nothing is deleted.
    #[must_use]
    pub const fn before(kind: ApiFaultKind) -> Self {
        Self {
            kind,
            carried_out: false,
        }
    }

    /// The deletion is carried out first, then the fault strikes.
    #[must_use]
    pub const fn after(kind: ApiFaultKind) -> Self {
        Self {
            kind,
            carried_out: true,
        }
    }

    /// Whether the request has its effect, if the checks let it pass.
    pub(crate) const fn carries_out(&self) -> bool {
        self.carried_out || self.kind.leaves_the_answer_whole()
    }
}

/// What goes wrong at the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ApiFaultKind {
    /// Any envelope. Its `status` is `success` if the code is `SUCCESS`, else `error`.
    Answer {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
        /// The code: a text, or the number 429 that Zoho has been seen to send.
        code: Value,
        /// The message.
        message: String,
    },
    /// An HTML page, as a gateway sends.
    Html {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
    },
    /// Anything.
    Body {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
    /// 204 without a body.
    NoContent,
    /// 200 with an empty body.
    EmptyOk,
    /// 200 with an envelope that says `error`.
    StatusError,
    /// The normal answer, late. The deletion is carried out after the wait, or with [`ApiFault::after`] before it. The
    /// call stays in work meanwhile, even if the client leaves: a server does not look.
    Slow {
        /// How late.
        milliseconds: u64,
    },
    /// No answer until the client leaves.
    Hang,
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is closed without a byte.
    Close,
    /// The first so many bytes of the normal answer, then the end. At least the last byte is always missing.
    Cut {
        /// How many, counted from the status line on.
        bytes: usize,
    },
    /// Bytes that are not HTTP, then the end.
    Garbage,
    /// The normal answer in a body that is padded to this size.
    Oversized {
        /// The size of the body.
        bytes: usize,
    },
    /// A chunked body that trickles on until the client leaves.
    Endless,
    /// The normal answer, gzipped though nobody asked.
    Gzip,
    /// The normal answer with so many more headers.
    ManyHeaders {
        /// How many.
        count: usize,
    },
    /// A redirect.
    Redirect {
        /// The HTTP status.
        #[serde(deserialize_with = "status::final_status")]
        status: u16,
        /// Where to.
        location: String,
    },
    /// So many `102 Processing` before the normal answer.
    Informational {
        /// How many.
        count: usize,
    },
    /// The normal answer with a wrong `Content-Length`; the connection stays open.
    WrongLength {
        /// What it says.
        claimed: usize,
    },
    /// The normal answer, and behind it an unasked second one that says success.
    SecondAnswer,
    /// Exactly this text instead of an answer, then the end.
    Raw {
        /// What goes on the wire.
        text: String,
    },
    /// The normal answer with `Connection: close`, then the end.
    ConnectionClose,
}

impl ApiFaultKind {
    /// Whether a client may rightly believe the answer. If so, it has to be true.
    const fn leaves_the_answer_whole(&self) -> bool {
        matches!(
            self,
            Self::Slow { .. }
                | Self::Oversized { .. }
                | Self::Gzip
                | Self::ManyHeaders { .. }
                | Self::Informational { .. }
                | Self::SecondAnswer
                | Self::ConnectionClose
        )
    }
}
