//! What goes on the wire after a request, and how the connection goes on.

use std::time::Duration;

use super::Answer;

/// Bytes, a wait before them, and what follows. Every answer and every fault comes down to this.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) wait: Duration,
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// How the connection goes on after the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// With the next request.
    KeepOpen,
    /// It ends in order.
    Close,
    /// It is reset.
    Reset,
    /// In silence, until the client leaves.
    Hang,
    /// With one chunk of a body after the other, until the client leaves.
    Trickle,
}

impl Delivery {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>, then: Then) -> Self {
        Self {
            wait: Duration::ZERO,
            bytes: bytes.into(),
            then,
        }
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The same, as the last one of its connection.
    pub(crate) fn last(self) -> Self {
        let then = if self.then == Then::KeepOpen {
            Then::Close
        } else {
            self.then
        };
        Self { then, ..self }
    }

    /// Whether the call stays in flight after the bytes.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.then, Then::Hang | Then::Trickle)
    }
}

impl From<Answer> for Delivery {
    fn from(answer: Answer) -> Self {
        Self::new(answer.bytes(), Then::KeepOpen)
    }
}
