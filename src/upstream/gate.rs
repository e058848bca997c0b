//! The way into one account's API: a cap on calls in flight, and a bounded queue in front of it.
//!
//! Zoho counts concurrent calls for the whole organisation and refuses more
//! (<https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>), so waiting here is cheaper than being refused there.
//! How many it takes is not published for Bigin and shared with the company's other programs, so the cap gives way: it
//! shrinks by a tenth when Zoho refuses a call as one too many or lets one time out, and grows back by one a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::config::UpstreamConfig;

/// The gate of one account, for all data-path threads.
pub struct Gate {
    calls: Semaphore,
    max_in_flight: usize,
    /// The cap now.
    cap: AtomicUsize,
    /// Calls in flight beyond the cap: their places are not given back.
    excess: AtomicUsize,
    /// When the cap was changed last.
    changed: Mutex<Instant>,
    /// When a call timed out last.
    timed_out: Mutex<Option<Instant>>,
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
    /// Connections fail, and one call will find out that far away whether they still do.
    #[error("connections to Zoho's API fail: it is left alone for a moment")]
    Unreachable(Duration),
}

/// How long without trouble until the cap grows by one.
const GROWS_EVERY: Duration = Duration::from_secs(1);

/// The right to make a call, given back when dropped.
pub(crate) struct Call<'a> {
    permit: Option<SemaphorePermit<'a>>,
    gate: &'a Gate,
}

/// A place in the queue, given back when dropped.
pub struct Waiting<'a>(&'a AtomicUsize);

impl Gate {
    /// A gate with the configured cap and queue.
    #[must_use]
    pub fn new(config: &UpstreamConfig) -> Self {
        Self {
            calls: Semaphore::new(config.max_in_flight),
            max_in_flight: config.max_in_flight,
            cap: AtomicUsize::new(config.max_in_flight),
            excess: AtomicUsize::new(0),
            changed: Mutex::new(Instant::now()),
            timed_out: Mutex::new(None),
            waiting: AtomicUsize::new(0),
            queue: config.queue,
            timeout: config.queue_timeout,
        }
    }

    /// The right to make a call, if it can be had at once.
    pub(crate) fn try_enter(&self) -> Option<Call<'_>> {
        Some(self.call(self.calls.try_acquire().ok()?))
    }

    fn call<'a>(&'a self, permit: SemaphorePermit<'a>) -> Call<'a> {
        Call {
            permit: Some(permit),
            gate: self,
        }
    }

    /// Waits for the right to make a call: at most the configured time, and not beyond the deadline.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<Call<'_>, Overloaded> {
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
        Ok(self.call(call.expect("the semaphore is never closed")))
    }

    /// Waits for the right to make a call as long as the deadline allows, for a request that has waited for its turn once.
    pub(crate) async fn enter_again(&self, deadline: Instant) -> Result<Call<'_>, Overloaded> {
        let call = tokio::time::timeout_at(deadline, self.calls.acquire())
            .await
            .or(Err(Overloaded::NoTime))?;
        Ok(self.call(call.expect("the semaphore is never closed")))
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

    /// Zoho let a call time out. All that hang in one stall end together and count once, or nothing would be left.
    pub(crate) fn shrink_after_time_out(&self) {
        let mut last = self
            .timed_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < GROWS_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        self.shrink();
    }

    /// Zoho had more calls than it can take: a tenth less, but never nothing.
    pub(crate) fn shrink(&self) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let smaller = |cap: usize| Some((cap * 9 / 10).max(1));
        let cap = self
            .cap
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, smaller);
        let fewer = cap.map_or(0, |cap| cap - (cap * 9 / 10).max(1));
        // First, so that no place which is given back meanwhile can be taken again.
        self.excess.fetch_add(fewer, Ordering::Relaxed);
        for _ in 0..self.calls.forget_permits(fewer) {
            if !self.settle() {
                self.calls.add_permits(1);
            }
        }
    }

    /// Zoho answered, and took the call well: one more, once a second.
    pub(crate) fn grow(&self) {
        // While all is well this is all.
        if self.cap() >= self.max_in_flight {
            return;
        }
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.elapsed() < GROWS_EVERY || self.cap() >= self.max_in_flight {
            return;
        }
        *changed = Instant::now();
        self.cap.fetch_add(1, Ordering::Relaxed);
        if !self.settle() {
            self.calls.add_permits(1);
        }
    }

    /// Lets one place beyond the cap stay with whoever has it; not if there is none.
    fn settle(&self) -> bool {
        let one_less = |excess: usize| excess.checked_sub(1);
        self.excess
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    /// The most calls in flight for now.
    #[must_use]
    pub fn cap(&self) -> usize {
        self.cap.load(Ordering::Relaxed)
    }

    /// Calls in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let places = self.cap() + self.excess.load(Ordering::Relaxed);
        places.saturating_sub(self.calls.available_permits())
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.gate.excess.load(Ordering::Relaxed) > 0
            && self.gate.settle()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(max_in_flight: usize) -> Gate {
        Gate::new(&UpstreamConfig {
            connect_timeout: Duration::ZERO,
            pool_idle_timeout: Duration::ZERO,
            max_in_flight,
            queue: 0,
            queue_timeout: Duration::ZERO,
            ca: rustls::RootCertStore::empty(),
            proxy: None,
        })
    }

    fn enter_all(gate: &Gate) -> Vec<Call<'_>> {
        std::iter::from_fn(|| gate.try_enter()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_takes_a_tenth_and_a_quiet_second_gives_one_back() {
        let gate = gate(20);
        gate.shrink();
        assert_eq!((gate.cap(), enter_all(&gate).len()), (18, 18));
        gate.shrink();
        assert_eq!((gate.cap(), enter_all(&gate).len()), (16, 16));

        gate.grow();
        assert_eq!(gate.cap(), 16);
        for cap in [17, 18, 19, 20, 20] {
            tokio::time::advance(GROWS_EVERY).await;
            gate.grow();
            gate.grow();
            assert_eq!((gate.cap(), enter_all(&gate).len()), (cap, cap));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_that_many_calls_hang_in_counts_once() {
        let gate = gate(10);
        (0..10).for_each(|_| gate.shrink_after_time_out());
        assert_eq!(gate.cap(), 9);
        tokio::time::advance(GROWS_EVERY).await;

        gate.shrink_after_time_out();

        assert_eq!(gate.cap(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_shrinks_to_nothing() {
        let gate = gate(10);
        (0..100).for_each(|_| gate.shrink());

        assert_eq!((gate.cap(), enter_all(&gate).len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_beyond_the_cap_give_no_place_back() {
        let gate = gate(10);
        let mut calls = enter_all(&gate);
        gate.shrink();
        gate.shrink();
        assert_eq!((gate.cap(), gate.in_flight()), (8, 10));

        calls.truncate(8);
        assert_eq!(gate.in_flight(), 8);
        assert!(gate.try_enter().is_none());
        calls.truncate(7);
        assert!(gate.try_enter().is_some());
        drop(calls);

        assert_eq!((gate.in_flight(), enter_all(&gate).len()), (0, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn growing_forgives_what_is_beyond_the_cap() {
        let gate = gate(10);
        let calls = enter_all(&gate);
        gate.shrink();
        tokio::time::advance(GROWS_EVERY).await;

        gate.grow();
        drop(calls);

        assert_eq!((gate.cap(), enter_all(&gate).len()), (10, 10));
    }
}
