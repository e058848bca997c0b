//! A deletion that is finished once it is sent, whether its caller still listens or not.
//!
//! hyper drops a handler when its connection fails. What is on the wire by then is carried out in any case; so that its
//! outcome is known and logged, and its connection kept, the rest of the work moves to a task of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::upstream::Progress;

/// The work of a request, which survives its caller once it is sent.
pub(super) struct Handover<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    work: Option<Pin<Box<F>>>,
    progress: Arc<Progress>,
    orphans: TaskTracker,
}

impl<F> Handover<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    pub(super) fn new(work: F, progress: Arc<Progress>, orphans: TaskTracker) -> Self {
        Self {
            work: Some(Box::pin(work)),
            progress,
            orphans,
        }
    }
}

impl<F> Future for Handover<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = self.work.as_mut() else {
            return Poll::Pending;
        };
        let output = work.as_mut().poll(context);
        if output.is_ready() {
            self.work = None;
        }
        output
    }
}

impl<F> Drop for Handover<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        // Without a runtime the process is ending, and nothing can be finished any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.progress.may_be_carried_out() {
            self.orphans.spawn_on(work, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// Work that takes a while and says when it is done.
    fn work(done: &Arc<AtomicBool>) -> impl Future<Output = ()> + Send + use<> {
        let done = Arc::clone(done);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            done.store(true, Ordering::Relaxed);
        }
    }

    /// Begins work, drops it after a moment, and says whether it was finished all the same.
    async fn is_finished_after_drop(progress: Progress) -> bool {
        let (done, orphans) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
        let handover = Handover::new(work(&done), Arc::new(progress), orphans.clone());
        let dropped = tokio::time::timeout(Duration::from_millis(10), handover).await;
        assert!(dropped.is_err());
        orphans.close();
        orphans.wait().await;
        done.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_is_finished_without_its_caller() {
        let progress = Progress::default();
        progress.sending();

        assert!(is_finished_after_drop(progress).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_sent_ends_with_its_caller() {
        assert!(!is_finished_after_drop(Progress::default()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_surely_not_carried_out_ends_with_its_caller() {
        let progress = Progress::default();
        progress.sending();
        progress.not_carried_out();

        assert!(!is_finished_after_drop(progress).await);
    }
}
