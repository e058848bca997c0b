//! The way into one account's API: a cap on calls in flight, and a bounded queue in front of it.
//!
//! Zoho counts concurrent calls for the whole organisation and refuses more
//! (<https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>), so waiting here is cheaper than being refused there.
//! How many it takes is not published for Bigin and shared with the company's other programs, so the cap gives way. Whose
//! turn it is stands in [`queue`]; while nobody waits, nobody looks there: a place is taken and given back by one atomic
//! step each.
//!
//! Invariant: there is never a free place while somebody waits for one.

mod cap;
mod queue;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::config::UpstreamConfig;
use cap::Cap;
use queue::Queue;
pub(crate) use queue::Ticket;

/// The gate of one account, for all data-path threads.
pub struct Gate {
    cap: Cap,
    /// Calls in flight, and [`LINE`] while somebody waits for a place. While it is set, places are taken under the queue's
    /// lock alone.
    places: AtomicUsize,
    queue: Mutex<Queue<oneshot::Sender<Turn>>>,
    timeout: Duration,
}

/// The highest bit: with it, the number of calls in flight is above every cap, so that nobody gets in past the line.
const LINE: usize = !(usize::MAX >> 1);

/// Why a request may not wait any longer, or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// Too many wait already, most of them of the same caller.
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

/// The right to make a call, given back when dropped.
pub(crate) struct Call<'a>(&'a Gate);

/// A request in the queue. It leaves when dropped.
pub(crate) struct Waiting<'a> {
    gate: &'a Gate,
    ticket: Ticket,
    turn: oneshot::Receiver<Turn>,
}

/// What a request that waits is told.
enum Turn {
    /// A place is its own.
    Call,
    /// It had to make room.
    Shed,
}

impl Gate {
    /// A gate with the configured cap and queue.
    #[must_use]
    pub fn new(config: &UpstreamConfig) -> Self {
        Self {
            cap: Cap::new(config.max_in_flight),
            places: AtomicUsize::new(0),
            queue: Mutex::new(Queue::new(config.queue)),
            timeout: config.queue_timeout,
        }
    }

    /// The right to make a call, if there is a free place and nobody waits for one.
    pub(crate) fn try_enter(&self) -> Option<Call<'_>> {
        let cap = self.cap.now();
        let one_more = |places| (places < cap).then(|| places + 1);
        self.places
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Call(self))
    }

    /// Takes a place in the queue, for whatever one waits. If there is none, the caller that has most of them loses one.
    pub(crate) fn wait(&self, caller: &Caller) -> Result<Waiting<'_>, Overloaded> {
        let (teller, turn) = oneshot::channel();
        let entered = self.queue().enter(caller, teller);
        let (ticket, shed) = entered.map_err(|queue::Full| Overloaded::QueueFull)?;
        if let Some(teller) = shed {
            // Whoever is leaving already need not be told.
            drop(teller.send(Turn::Shed));
        }
        Ok(self.waiting_by(ticket, turn))
    }

    /// Takes a place in the queue even if it is full, for a request that had one or made a call: of those there are at most
    /// as many as places and calls.
    pub(crate) fn wait_again(&self, caller: &Caller) -> Waiting<'_> {
        let (teller, turn) = oneshot::channel();
        let ticket = self.queue().enter_again(caller, teller);
        self.waiting_by(ticket, turn)
    }

    fn waiting_by(&self, ticket: Ticket, turn: oneshot::Receiver<Turn>) -> Waiting<'_> {
        Waiting {
            gate: self,
            ticket,
            turn,
        }
    }

    /// From now on it waits for a place.
    pub(crate) fn line_up(&self, ticket: Ticket) {
        let mut queue = self.queue();
        queue.line_up(ticket);
        self.mark_line(&queue);
        drop(queue);
        self.hand_out();
    }

    /// How long a request may stand in line from now on, and what it is told then: the configured time, and not beyond its
    /// deadline.
    pub(crate) fn patience(&self, deadline: Instant) -> (Instant, Overloaded) {
        let longest = Instant::now() + self.timeout;
        if deadline < longest {
            (deadline, Overloaded::NoTime)
        } else {
            (longest, Overloaded::WaitedTooLong)
        }
    }

    /// Gives free places to those whose turn it is.
    fn hand_out(&self) {
        while let Some(next) = self.next() {
            // If it gave up in this very moment, the place is for the one behind it.
            if next.send(Turn::Call).is_err() {
                self.places.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes a place for the one whose turn it is, if there are both.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut queue = self.queue();
        let cap = self.cap.now();
        let one_more = |places: usize| (places & !LINE < cap).then(|| places + 1);
        if !queue.has_line() {
            return None;
        }
        self.places
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        let next = queue.next();
        self.mark_line(&queue);
        next
    }

    /// To be called under the lock, whenever somebody lined up or left.
    fn mark_line(&self, queue: &Queue<oneshot::Sender<Turn>>) {
        if queue.has_line() {
            self.places.fetch_or(LINE, Ordering::Relaxed);
        } else {
            self.places.fetch_and(!LINE, Ordering::Relaxed);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<oneshot::Sender<Turn>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Zoho let a call time out.
    pub(crate) fn shrink_after_time_out(&self) {
        self.cap.shrink_after_time_out();
    }

    /// Zoho had more calls than it can take.
    pub(crate) fn shrink(&self) {
        self.cap.shrink();
    }

    /// Zoho answered, and took the call well.
    pub(crate) fn grow(&self) {
        if self.cap.grow() {
            self.hand_out();
        }
    }

    /// The most calls in flight for now.
    #[must_use]
    pub fn cap(&self) -> usize {
        self.cap.now()
    }

    /// Calls in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.places.load(Ordering::Relaxed) & !LINE
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // Whoever lines up sets the bit first and then looks for free places. So either it finds this one, or the bit is
        // found here.
        if self.0.places.fetch_sub(1, Ordering::Relaxed) & LINE != 0 {
            self.0.hand_out();
        }
    }
}

impl<'a> Waiting<'a> {
    /// By what it is known to the gate.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits until it has a place, or had to make room for another caller.
    pub(crate) async fn turn(&mut self) -> Result<Call<'a>, Overloaded> {
        match (&mut self.turn).await {
            Ok(Turn::Call) => Ok(Call(self.gate)),
            Ok(Turn::Shed) | Err(_) => Err(Overloaded::QueueFull),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turn.close();
        // It may have got a place in the moment in which it gave up.
        if let Ok(Turn::Call) = self.turn.try_recv() {
            drop(Call(self.gate));
        }
        let mut queue = self.gate.queue();
        queue.leave(self.ticket);
        self.gate.mark_line(&queue);
    }
}

#[cfg(test)]
mod tests;
