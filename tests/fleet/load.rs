//! Callers that never pause for long, and remember every answer that is not a success.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::fleet::{Caller, Replica};
use crate::support::Reply;

/// A running load.
pub(crate) struct Load {
    callers: JoinSet<Vec<Reply>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Load {
    /// One caller a replica, with this pause between two requests.
    pub(crate) fn on(replicas: &[Replica], pause: Duration) -> Self {
        let (stop, done) = (Arc::default(), Arc::default());
        let mut callers = JoinSet::new();
        for replica in replicas {
            let shared = (Arc::clone(&stop), Arc::clone(&done));
            callers.spawn(call(replica.caller.clone(), pause, shared));
        }
        Self {
            callers,
            stop,
            done,
        }
    }

    /// How many answers there were so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it. Returns how many answers there were, and those that were no success.
    pub(crate) async fn end(self) -> (u64, Vec<Reply>) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.callers.join_all().await.into_iter().flatten();
        (self.done.load(Ordering::Relaxed), failed.collect())
    }

    /// Ends it; nobody may have seen anything but success.
    pub(crate) async fn end_unharmed(self) {
        let (done, failed) = self.end().await;
        assert!(
            failed.is_empty(),
            "{} of {done}: {:?}",
            failed.len(),
            failed[0]
        );
        assert!(done > 0);
    }
}

async fn call(
    caller: Caller,
    pause: Duration,
    (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>),
) -> Vec<Reply> {
    let mut failed = Vec::new();
    let mut id = 0;
    while !stop.load(Ordering::Relaxed) {
        id += 1;
        let reply = caller.delete(id).await;
        done.fetch_add(1, Ordering::Relaxed);
        if reply.outcome() != "deleted" {
            failed.push(reply);
        }
        tokio::time::sleep(pause).await;
    }
    failed
}
