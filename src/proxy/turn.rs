//! What a deletion waits for: a token, its turn, another one's call.
//!
//! Of this an ordinary request sees nothing: it finds a token and a place.

use std::sync::Arc;

use super::{Deletion, Failure, Place, Shared, SharedCall};
use crate::token::AccessToken;
use crate::upstream::{Answer, Following, Overloaded, Ticket, Turn};

impl Shared {
    /// Waits until no call may be made at all, so that nobody waits for a place that is of no use.
    async fn closed(&self) -> Failure {
        tokio::select! {
            overloaded = self.breaker.opened() => overloaded.into(),
            spent = self.credits.ended() => spent.into(),
        }
    }
}

impl<'a> Deletion<'a> {
    /// Waits in the queue for its turn.
    pub(super) async fn turn(&mut self) -> Result<Turn<'a, SharedCall>, Failure> {
        let shared = &*self.route.shared;
        let mut waiting = shared.gate.wait(self.caller, *self.target, self.deadline)?;
        let ticket = waiting.ticket();
        let failure = tokio::select! {
            biased;
            turn = waiting.turn() => return Ok(turn?),
            failure = shared.closed() => failure,
            failure = self.patience(ticket) => failure,
        };
        match waiting.give_up().await {
            Some(turn) => Ok(turn?),
            None => Err(failure),
        }
    }

    /// Waits for what comes of another request's call.
    pub(super) async fn follow(
        &mut self,
        following: Following<SharedCall>,
    ) -> Result<Answer, Failure> {
        self.joined = true;
        following.shared.result(self.deadline, self.progress).await
    }

    /// Waits for a token request that is in flight, if there is no token, and then in line for a place, until either takes
    /// too long.
    async fn patience(&mut self, ticket: Ticket) -> Failure {
        let Shared { slot, gate, .. } = &*self.route.shared;
        if slot.current().is_none() {
            self.waited_for_token = true;
            if let Err(unavailable) = slot.wait(self.deadline).await {
                return unavailable.into();
            }
        }
        gate.line_up(ticket);
        let (until, overloaded) = gate.patience(self.deadline);
        tokio::time::sleep_until(until).await;
        overloaded.into()
    }

    /// A place and a token to use it with.
    pub(super) async fn with_token(
        &mut self,
        place: Place<'a>,
    ) -> Result<(Arc<AccessToken>, Place<'a>), Failure> {
        match self.route.shared.slot.current() {
            Some(token) => Ok((token, place)),
            None => Box::pin(self.newer_token(place)).await,
        }
    }

    /// Waits for a newer token, and for the right to call with it. Meanwhile it keeps no place from others.
    async fn newer_token(
        &mut self,
        place: Place<'a>,
    ) -> Result<(Arc<AccessToken>, Place<'a>), Failure> {
        let Shared { slot, gate, .. } = &*self.route.shared;
        drop(place);
        let mut waiting = gate.wait_again(self.caller);
        self.waited_for_token = true;
        let token = slot.wait(self.deadline).await?;
        gate.line_up(waiting.ticket());
        let turn = tokio::time::timeout_at(self.deadline, waiting.turn())
            .await
            .or(Err(Overloaded::NoTime))?;
        match turn? {
            Turn::Call(place, _) => Ok((token, place)),
            Turn::Follow(_) => unreachable!("what has had a turn follows nobody"),
        }
    }
}
