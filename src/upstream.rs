//! One call to Zoho's API: a connection, the canonical request, the whole answer.
//!
//! Nothing is retried here but what was never written: a pooled connection that Zoho has closed meanwhile is replaced.
//! Whether a request can have been carried out is noted where it happens ([`Progress`]), not guessed later.

mod answer;
mod breaker;
mod canonical;
mod connect;
mod connection;
mod credits;
mod daily;
mod gate;
mod pool;
mod progress;
mod resolver;
mod stop;
mod tunnel;
mod unreachable;

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

pub use answer::{Answer, InvalidAnswer};
pub use breaker::Breaker;
pub use connect::{Connector, tls_config};
pub use credits::{Credits, CreditsSpent};
pub(crate) use daily::DailyCall;
pub use daily::{DailyCalls, DailyCallsSpent};
pub(crate) use gate::{Call, Following, Ticket, Turn};
pub use gate::{Gate, Meeting, Overloaded};
pub use pool::Pool;
pub use progress::Progress;
pub(crate) use stop::Pass;
pub use unreachable::Unreachable;

use crate::target::Target;
use crate::token::AccessToken;
use crate::zoho::Origin;
use canonical::Canonical;
use connection::{Connection, Unanswered};

/// Why a call brought no answer of Zoho's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There was no connection, so nothing was sent.
    #[error("no connection to Zoho's API: {0}")]
    Unreachable(#[from] Unreachable),
    /// The deadline passed before anything was sent.
    #[error("the deadline passed before the call was sent")]
    NoTime,
    /// The deadline passed after sending.
    #[error("Zoho's API did not answer in time")]
    Timeout,
    /// The connection broke after sending, before an answer.
    #[error("the connection to Zoho's API was lost before an answer")]
    ConnectionLost,
    /// What came is not to be believed.
    #[error("Zoho's API sent no valid answer: {0}")]
    InvalidAnswer(#[from] InvalidAnswer),
    /// The token was refused or expired while a connection was made. Nothing was sent.
    #[error("the access token ended before the call was sent")]
    TokenEnded,
    /// The request that was built is not the canonical one. Nothing was sent.
    #[error("the request to Zoho's API is not canonical")]
    NotCanonical,
}

impl CallError {
    /// Whether a request may have been written.
    #[must_use]
    pub const fn is_sent(self) -> bool {
        match self {
            Self::Timeout | Self::ConnectionLost | Self::InvalidAnswer(_) => true,
            Self::Unreachable(_) | Self::NoTime | Self::TokenEnded | Self::NotCanonical => false,
        }
    }

    /// One word, for metrics, logs and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::NoTime => "no_time",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection_lost",
            Self::InvalidAnswer(_) => "invalid_answer",
            Self::TokenEnded => "token_ended",
            Self::NotCanonical => "not_canonical",
        }
    }
}

/// The way to one account's API, from one data-path thread.
pub struct Upstream {
    canonical: Canonical,
    connector: Connector,
    pool: Arc<Pool>,
}

impl Upstream {
    /// The way to `api`, with connections kept in `pool`.
    #[must_use]
    pub fn new(api: &Origin, connector: Connector, pool: Arc<Pool>) -> Self {
        Self {
            canonical: Canonical::new(api),
            connector,
            pool,
        }
    }

    /// Deletes a photo, and reads the whole answer.
    pub async fn delete_photo(
        &self,
        target: &Target,
        token: &AccessToken,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Answer, CallError> {
        loop {
            let (mut connection, is_new) = match self.pool.take() {
                Some(connection) => (connection, false),
                // Boxed, because it is rare and large: every request would carry the room for it.
                None => (Box::pin(self.connect(deadline)).await?, true),
            };
            if !token.is_usable() {
                self.pool.put(connection);
                return Err(CallError::TokenEnded);
            }
            let request = self
                .canonical
                .request(target, token)
                .ok_or(CallError::NotCanonical)?;
            match connection.exchange(request, deadline, progress).await {
                Ok((head, body)) => {
                    // Who sends what is not to be believed may send more of it: that connection is not kept.
                    let answer = Answer::read(head, body)?;
                    self.pool.put(connection);
                    return Ok(answer);
                }
                // Zoho had closed it, and nothing was written. Each round uses up a pooled connection, so this ends.
                Err(Unanswered::Unsent) if !is_new => {}
                Err(Unanswered::Unsent) => return Err(Unreachable::Closed.into()),
                Err(Unanswered::Lost) => return Err(CallError::ConnectionLost),
                Err(Unanswered::Late) => return Err(CallError::Timeout),
                Err(Unanswered::Invalid(invalid)) => return Err(invalid.into()),
            }
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, CallError> {
        let connected = timeout_at(deadline, self.connector.connect()).await;
        Ok(connected.or(Err(CallError::NoTime))??)
    }
}
