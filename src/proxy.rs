//! The story of a deletion: token, place, call; perhaps one more call with a newer token; verdict.
//!
//! Knows nothing of HTTP on the caller's side. Invariants: at most two calls; a second one only if the first was surely
//! not carried out; everything inside the deadline.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::Outcome;
use crate::target::Target;
use crate::telemetry::CallRecord;
use crate::token::{AccessToken, Rejection, Slot, Unavailable};
use crate::upstream::{Answer, Call, CallError, Gate, Overloaded, Progress, Upstream};

/// What all data-path threads share of one account.
pub struct Shared {
    /// Where its access token lies.
    pub slot: Arc<Slot>,
    /// The way into its API.
    pub gate: Gate,
}

/// The way to one account, from one data-path thread.
pub struct Route {
    /// What this thread shares with the others.
    pub shared: Arc<Shared>,
    /// What it has for itself.
    pub upstream: Upstream,
}

/// Deletes photos, on one data-path thread.
pub struct Proxy {
    routes: Vec<Route>,
}

/// How a deletion ended.
pub struct Verdict {
    /// Zoho's final answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// Every call that was begun.
    pub calls: Vec<CallRecord>,
    /// Whether the request had to wait for a token.
    pub waited_for_token: bool,
}

/// Why there is no answer of Zoho's to hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Without a token no call is made.
    #[error(transparent)]
    Token(#[from] Unavailable),
    /// A fresh token is refused as well.
    /// The next token is due that far away, if that is known.
    #[error("Zoho's API refuses a fresh access token as well")]
    TokenRejected(Option<Duration>),
    /// Too many requests wait.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// A call was tried.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Failure {
    /// What it means for the photo.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::TokenRejected(_) => Outcome::Refused,
            Self::Call(
                CallError::Timeout | CallError::ConnectionLost | CallError::InvalidAnswer(_),
            ) => Outcome::Unknown,
            Self::Token(_)
            | Self::Overloaded(_)
            | Self::Call(
                CallError::Unreachable(_)
                | CallError::NoTime
                | CallError::TokenEnded
                | CallError::NotCanonical,
            ) => Outcome::NotSent,
        }
    }
}

impl Proxy {
    /// A proxy with a route for each account, in the order of their ids.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// Deletes a photo.
    pub async fn delete_photo(
        &self,
        target: &Target,
        deadline: Instant,
        progress: &Progress,
    ) -> Verdict {
        let route = self
            .routes
            .get(target.account.index())
            .expect("there is a route for each account");
        let mut deletion = Deletion {
            route,
            target,
            deadline,
            progress,
            calls: Vec::with_capacity(1),
            waited_for_token: false,
        };
        let result = deletion.run().await;
        Verdict {
            result,
            calls: deletion.calls,
            waited_for_token: deletion.waited_for_token,
        }
    }
}

/// One deletion on its way.
struct Deletion<'a> {
    route: &'a Route,
    target: &'a Target,
    deadline: Instant,
    progress: &'a Progress,
    calls: Vec<CallRecord>,
    waited_for_token: bool,
}

impl<'a> Deletion<'a> {
    async fn run(&mut self) -> Result<Answer, Failure> {
        let Shared { slot, gate } = &*self.route.shared;
        // A request without a token waits in the queue and takes no place from those that have one.
        // What waits is boxed: it is rare and large, and every request would carry the room for it.
        let mut token = match slot.current() {
            Some(token) => token,
            None => Box::pin(self.token()).await?,
        };
        let mut place = match gate.try_enter() {
            Some(place) => place,
            None => Box::pin(gate.enter(self.deadline)).await?,
        };
        let mut refused = false;
        loop {
            match self.call(&token).await {
                // Zoho may drop a token early. A refused call changed nothing: one newer token, one more call.
                Ok(answer) if answer.rejects_token() => {
                    let rejection = slot.reject(&token);
                    if let Rejection::NeverAccepted(next_token) = rejection {
                        return Err(Failure::TokenRejected(next_token));
                    }
                    if refused {
                        return Err(Failure::TokenRejected(None));
                    }
                    refused = true;
                }
                // It ended while the request stood in the queue or a connection was made. That was no call yet.
                Err(CallError::TokenEnded) => {}
                result => return Ok(result?),
            }
            (token, place) = Box::pin(self.newer_token(place)).await?;
        }
    }

    /// Waits in the queue for a token request that is in flight.
    async fn token(&mut self) -> Result<Arc<AccessToken>, Failure> {
        let Shared { slot, gate } = &*self.route.shared;
        let _waiting = gate.wait()?;
        self.waited_for_token = true;
        Ok(slot.wait(self.deadline).await?)
    }

    /// A newer token, and the right to call with it. Whoever has to wait for one keeps no place from others meanwhile.
    async fn newer_token(
        &mut self,
        place: Call<'a>,
    ) -> Result<(Arc<AccessToken>, Call<'a>), Failure> {
        let Shared { slot, gate } = &*self.route.shared;
        if let Some(token) = slot.current() {
            return Ok((token, place));
        }
        drop(place);
        let _waiting = gate.wait_again();
        self.waited_for_token = true;
        let token = slot.wait(self.deadline).await?;
        Ok((token, gate.enter_again(self.deadline).await?))
    }

    async fn call(&mut self, token: &AccessToken) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let result = self
            .route
            .upstream
            .delete_photo(self.target, token, self.deadline, self.progress)
            .await;
        if matches!(result, Err(CallError::TokenEnded)) {
            return result;
        }
        let status = result
            .as_ref()
            .map(|answer| answer.status)
            .map_err(|error| error.as_str());
        self.calls.push(CallRecord {
            begun,
            ended: Instant::now(),
            result: status,
        });
        let answer = result?;
        if answer.accepts_token() {
            token.accepted();
        } else if answer.rejects_token() {
            self.progress.not_carried_out();
        }
        Ok(answer)
    }
}
