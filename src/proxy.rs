//! The story of a deletion: token, place, call; perhaps one more call; verdict.
//!
//! Knows nothing of HTTP on the caller's side. Invariants: at most two calls, everything inside the deadline; and if the
//! first of two can have been carried out, only a success of the second makes the outcome known.

mod admission;
mod again;
mod join;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use admission::Admission;
pub use again::RetryBudget;
use again::{Again, MOST_CALLS};
use join::Leader;
pub use join::SharedCall;

use crate::caller::Caller;
use crate::outcome::Outcome;
use crate::target::Target;
use crate::telemetry::CallRecord;
use crate::token::{AccessToken, Rejection, Slot, Unavailable};
use crate::upstream::{
    Answer, Breaker, Call, CallError, Credits, CreditsSpent, DailyCalls, DailyCallsSpent, Gate,
    Overloaded, Progress, Turn, Upstream,
};

/// What all data-path threads share of one account.
pub struct Shared {
    /// Where its access token lies.
    pub slot: Arc<Slot>,
    /// The way into its API.
    pub gate: Gate<SharedCall>,
    /// Whether connections to it fail.
    pub breaker: Breaker,
    /// What is known of its credits.
    pub credits: Credits,
    /// How many calls it may have in 24 hours, if that is limited.
    pub daily: Option<DailyCalls>,
    /// What second calls may cost.
    pub retries: RetryBudget,
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
    /// What became of the photo, every call considered.
    pub outcome: Outcome,
    /// Every call that was begun.
    pub calls: Vec<CallRecord>,
    /// Whether the request had to wait for a token.
    pub waited_for_token: bool,
    /// Whether another request made the call for it.
    pub joined: bool,
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
    /// Without credits no call is made.
    #[error(transparent)]
    Credits(#[from] CreditsSpent),
    /// The operator allows no more.
    #[error(transparent)]
    DailyCalls(#[from] DailyCallsSpent),
    /// A call was tried.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The request that was to make the call for this one panicked.
    #[error("a fault inside bigin-photo-proxy, in the request that made the call for this one")]
    Fault(Outcome),
}

/// The right to make a call.
type Place<'a> = Call<'a, SharedCall>;

impl Failure {
    /// What it means for the photo.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::TokenRejected(_) => Outcome::Refused,
            Self::Fault(outcome) => outcome,
            Self::Call(error) if error.is_sent() => Outcome::Unknown,
            Self::Token(_)
            | Self::Overloaded(_)
            | Self::Credits(_)
            | Self::DailyCalls(_)
            | Self::Call(_) => Outcome::NotSent,
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
        caller: &Caller,
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
            caller,
            deadline,
            progress,
            leader: None,
            first: None,
            calls: Vec::with_capacity(1),
            waited_for_token: false,
            joined: false,
        };
        let mut result = deletion.run().await;
        if let Err(failure) = &result
            && failure.outcome() == Outcome::NotSent
            && let Some(first) = deletion.first.take()
        {
            result = first.map_err(Failure::from);
        }
        if let Some(leader) = deletion.leader.take() {
            leader.tell(&result);
        }
        let last = result
            .as_ref()
            .map_or_else(|failure| failure.outcome(), Answer::outcome);
        // A refusal of the second call says nothing about the first one.
        let outcome = match last {
            Outcome::Deleted => Outcome::Deleted,
            _ if progress.earlier_may_be_carried_out() => Outcome::Unknown,
            last => last,
        };
        Verdict {
            result,
            outcome,
            calls: deletion.calls,
            waited_for_token: deletion.waited_for_token,
            joined: deletion.joined,
        }
    }
}

/// One deletion on its way.
struct Deletion<'a> {
    route: &'a Route,
    target: &'a Target,
    caller: &'a Caller,
    deadline: Instant,
    progress: &'a Progress,
    /// If others wait for what comes of its call.
    leader: Option<Leader<'a>>,
    /// What came of the first of two calls, if it may have been carried out: the answer, if the second one is not sent.
    first: Option<Box<Result<Answer, CallError>>>,
    calls: Vec<CallRecord>,
    waited_for_token: bool,
    joined: bool,
}

impl<'a> Deletion<'a> {
    async fn run(&mut self) -> Result<Answer, Failure> {
        let shared = &*self.route.shared;
        let Shared { slot, gate, .. } = shared;
        shared.retries.gain();
        // A request without a token takes no place from those that have one.
        let at_once = slot
            .current()
            .and_then(|token| Some((token, gate.try_enter()?)));
        // What waits is boxed: it is rare and large, and every request would carry the room for it.
        let (mut token, mut place) = match at_once {
            Some(both) => both,
            None => match Box::pin(self.turn()).await? {
                Turn::Call(place, shared) => {
                    self.leader = shared.map(|shared| Leader::new(shared, self.progress));
                    self.with_token(place).await?
                }
                Turn::Follow(following) => return Box::pin(self.follow(following)).await,
            },
        };
        // Late, so that those who stood in the queue when the credits or the connections ended learn of it too.
        let mut admission = shared.admit()?;
        loop {
            let result = self.call(&token, admission).await;
            let is_last = self.calls.len() >= MOST_CALLS;
            let admitted = match result {
                // Zoho may drop a token early. A refused call changed nothing: one newer token, one more call.
                Ok(answer) if answer.rejects_token() => {
                    let rejection = slot.reject(&token);
                    if let Rejection::NeverAccepted(next_token) = rejection {
                        return Err(Failure::TokenRejected(next_token));
                    }
                    if is_last {
                        return Err(Failure::TokenRejected(None));
                    }
                    None
                }
                // It ended while the request stood in the queue or a connection was made. That was no call yet.
                Err(CallError::TokenEnded) => None,
                result => match Again::of(&result) {
                    Some(again) if !is_last => match self.admit_again(again).await {
                        None => return Ok(result?),
                        admitted => {
                            self.first = (again == Again::Unknown).then(|| Box::new(result));
                            admitted
                        }
                    },
                    _ => return Ok(result?),
                },
            };
            (token, place) = self.with_token(place).await?;
            admission = match admitted {
                Some(admission) => admission,
                None => shared.admit()?,
            };
        }
    }

    /// The right to a second call, now that the first one ended so. Zoho is given a moment if it asked for one.
    async fn admit_again(&self, again: Again) -> Option<Admission<'a>> {
        let shared = &self.route.shared;
        let moment = again.moment();
        if shared.breaker.is_open() || shared.credits.are_spent() {
            return None;
        }
        if Instant::now() + moment >= self.deadline || !shared.retries.draw() {
            return None;
        }
        match again {
            Again::NotSent => {}
            Again::Unknown => self.progress().unknown(),
            Again::Refused => {
                self.progress().not_carried_out();
                Box::pin(tokio::time::sleep(moment)).await;
            }
        }
        // What was learned meanwhile counts. If it forbids the second call, the first one's result is the answer.
        shared.admit().ok()
    }

    /// How far its call has got.
    fn progress(&self) -> &Progress {
        self.leader.as_ref().map_or(self.progress, Leader::progress)
    }

    async fn call(
        &mut self,
        token: &AccessToken,
        admission: Admission<'_>,
    ) -> Result<Answer, CallError> {
        let begun = Instant::now();
        if begun >= self.deadline {
            return Err(CallError::NoTime);
        }
        self.progress().calling();
        let result = self
            .route
            .upstream
            .delete_photo(self.target, token, self.deadline, self.progress())
            .await;
        if matches!(result, Err(CallError::TokenEnded)) {
            self.progress().not_called();
            return result;
        }
        let status = result
            .as_ref()
            .map(|answer| answer.status)
            .map_err(|error| error.as_str());
        let ended = Instant::now();
        self.calls.push(CallRecord {
            begun,
            ended,
            result: status,
        });
        if result.as_ref().err().is_none_or(|error| error.is_sent()) {
            admission.used();
        }
        let shared = &self.route.shared;
        shared.breaker.learn(&result, ended);
        if matches!(result, Err(CallError::Timeout)) {
            shared.gate.shrink(begun);
        }
        let answer = result?;
        shared.credits.learn(&answer);
        if answer.says_too_many_at_once() {
            shared.gate.shrink(begun);
        } else {
            shared.gate.grow();
        }
        if answer.accepts_token() {
            token.accepted();
        } else if answer.rejects_token() {
            self.progress().not_carried_out();
        }
        Ok(answer)
    }
}
