//! The way into one account's API: a cap on calls in flight, and a bounded queue in front of it.
//!
//! Zoho counts concurrent calls for the whole organisation and refuses more
//! (<https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>), so waiting here is cheaper than being refused there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::config::UpstreamConfig;

/// The gate of one account, for all data-path threads.
pub struct Gate {
    calls: Semaphore,
    max_in_flight: usize,
    waiting: AtomicUsize,
    queue: usize,
    timeout: Duration,
}

/// Why a request may not wait any longer, or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// Too many wait already.
    #[error("the queue is full")]
    QueueFull,
    /// It waited as long as is allowed.
    #[error("the wait in the queue was too long")]
    WaitedTooLong,
    /// Its own deadline passed while it waited.
    #[error("the deadline passed in the queue")]
    NoTime,
}

/// The right to make a call, given back when dropped.
pub(crate) type Call<'a> = SemaphorePermit<'a>;

/// A place in the queue, given back when dropped.
pub struct Waiting<'a>(&'a AtomicUsize);

impl Gate {
    /// A gate with the configured cap and queue.
    #[must_use]
    pub fn new(config: &UpstreamConfig) -> Self {
        Self {
            calls: Semaphore::new(config.max_in_flight),
            max_in_flight: config.max_in_flight,
            waiting: AtomicUsize::new(0),
            queue: config.queue,
            timeout: config.queue_timeout,
        }
    }

    /// The right to make a call, if it can be had at once.
    pub fn try_enter(&self) -> Option<Call<'_>> {
        self.calls.try_acquire().ok()
    }

    /// Waits for the right to make a call: at most the configured time, and not beyond the deadline.
    pub async fn enter(&self, deadline: Instant) -> Result<Call<'_>, Overloaded> {
        let _waiting = self.wait()?;
        let longest = Instant::now() + self.timeout;
        let (until, too_late) = if deadline < longest {
            (deadline, Overloaded::NoTime)
        } else {
            (longest, Overloaded::WaitedTooLong)
        };
        let call = tokio::time::timeout_at(until, self.calls.acquire())
            .await
            .or(Err(too_late))?;
        Ok(call.expect("the semaphore is never closed"))
    }

    /// Waits for the right to make a call as long as the deadline allows, for a request that has waited for its turn once.
    pub async fn enter_again(&self, deadline: Instant) -> Result<Call<'_>, Overloaded> {
        let call = tokio::time::timeout_at(deadline, self.calls.acquire()).await;
        Ok(call
            .or(Err(Overloaded::NoTime))?
            .expect("the semaphore is never closed"))
    }

    /// Takes a place in the queue, for whatever one waits.
    pub fn wait(&self) -> Result<Waiting<'_>, Overloaded> {
        let place = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.queue {
            Ok(place)
        } else {
            Err(Overloaded::QueueFull)
        }
    }

    /// Takes a place in the queue even if it is full, for a request that had one or made a call: of those there are at most
    /// as many as places and calls.
    pub fn wait_again(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Calls in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.max_in_flight
            .saturating_sub(self.calls.available_permits())
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
