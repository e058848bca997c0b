//! One call for several requests that want the same deletion and have not been sent yet.
//!
//! The gate finds them in its queue when the turn of one of them comes; here the one that makes the call and those that
//! follow it meet. Invariants: everybody followed before the call began, so its answer is as true for them as for the one
//! that made it; and a follower is never told "not sent" of a call that has been. Why it is so: docs/adr/0009.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Failure;
use crate::outcome::Outcome;
use crate::upstream::{Answer, CallError, Meeting, Progress};

/// Where those who share a call meet.
#[derive(Default)]
pub struct SharedCall {
    progress: Progress,
    result: watch::Sender<Option<Result<Answer, Failure>>>,
}

impl SharedCall {
    /// Waits for what comes of it. Who has no time left is told how far it has got by then. What the follower knows of its
    /// own progress is true at the end, also if it is dropped before.
    pub(super) async fn result(
        &self,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Answer, Failure> {
        let _taking_over = TakingOver {
            shared: &self.progress,
            own: progress,
        };
        let mut result = self.result.subscribe();
        let heard = tokio::time::timeout_at(deadline, result.wait_for(Option::is_some)).await;
        match heard.ok().and_then(Result::ok).as_deref() {
            Some(Some(result)) => result.clone(),
            _ if self.progress.may_be_carried_out() => Err(CallError::Timeout.into()),
            _ => Err(CallError::NoTime.into()),
        }
    }
}

impl Meeting for SharedCall {
    fn abandoned(&self) {
        let outcome = if self.progress.may_be_carried_out() {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        };
        self.result.send_if_modified(|result| {
            let is_untold = result.is_none();
            if is_untold {
                *result = Some(Err(Failure::Fault(outcome)));
            }
            is_untold
        });
    }
}

/// Takes over how far a shared call has got, when dropped.
struct TakingOver<'a> {
    shared: &'a Progress,
    own: &'a Progress,
}

impl Drop for TakingOver<'_> {
    fn drop(&mut self) {
        self.own.take_over(self.shared);
    }
}

/// The one that makes the call, and must tell those who follow what comes of it.
pub(super) struct Leader<'a> {
    shared: Arc<SharedCall>,
    /// Of its own request.
    progress: &'a Progress,
}

impl<'a> Leader<'a> {
    pub(super) fn new(shared: Arc<SharedCall>, progress: &'a Progress) -> Self {
        Self { shared, progress }
    }

    /// How far the call has got.
    pub(super) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Tells what came of it.
    pub(super) fn tell(self, result: &Result<Answer, Failure>) {
        self.shared.result.send_replace(Some(result.clone()));
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.progress.take_over(self.progress());
        self.shared.abandoned();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    /// What a follower hears, and when, of a leader that does this with its call.
    async fn heard(
        patience: Duration,
        lead: impl AsyncFnOnce(Leader<'_>),
    ) -> (Option<Failure>, Duration) {
        let shared = Arc::new(SharedCall::default());
        let (progress, begun) = (Progress::default(), Instant::now());
        let leader = Leader::new(Arc::clone(&shared), &progress);
        let own = Progress::default();
        let follow = async {
            let result = shared.result(begun + patience, &own).await;
            (result, begun.elapsed())
        };
        let (heard, ()) = tokio::join!(follow, lead(leader));
        let may_be = shared.progress.may_be_carried_out();
        for progress in [&progress, &own] {
            assert_eq!(progress.may_be_carried_out(), may_be);
        }
        (heard.0.err(), heard.1)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_follower_hears_what_came_of_the_call() {
        let lead = async |leader: Leader<'_>| {
            tokio::time::sleep(SECOND).await;
            leader.tell(&Err(CallError::ConnectionLost.into()));
        };

        let lost = Failure::Call(CallError::ConnectionLost);
        assert_eq!(heard(2 * SECOND, lead).await, (Some(lost), SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_whose_time_is_up_hears_whether_the_call_was_sent() {
        for (sent, expected) in [(true, CallError::Timeout), (false, CallError::NoTime)] {
            let lead = async |leader: Leader<'_>| {
                if sent {
                    leader.progress().sending();
                }
                tokio::time::sleep(2 * SECOND).await;
            };

            let expected = (Some(Failure::Call(expected)), SECOND);
            assert_eq!(heard(SECOND, lead).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_that_is_dropped_knows_whether_the_call_was_sent() {
        let (shared, own) = (SharedCall::default(), Progress::default());
        let mut following = Box::pin(shared.result(Instant::now() + SECOND, &own));
        assert!(following.as_mut().now_or_never().is_none());
        shared.progress.sending();

        drop(following);

        assert!(own.may_be_carried_out());
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_is_lost_leaves_nobody_waiting_and_says_whether_it_had_sent() {
        for (sent, expected) in [(true, Outcome::Unknown), (false, Outcome::NotSent)] {
            let lead = async |leader: Leader<'_>| {
                if sent {
                    leader.progress().sending();
                }
            };

            let expected = (Some(Failure::Fault(expected)), Duration::ZERO);
            assert_eq!(heard(SECOND, lead).await, expected);
        }
    }
}
