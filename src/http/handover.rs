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
