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

use std::iter;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::caller::Caller;
use crate::config::UpstreamConfig;
use crate::target::Target;
use cap::Cap;
pub(crate) use queue::Ticket;
use queue::{Queue, Wish};

/// Where those who share a call meet.
pub trait Meeting: Default {
    /// Whoever was to make the call is gone. If the others have not heard what came of it, they hear that.
    fn abandoned(&self);
}

/// The gate of one account, for all data-path threads. `S` is where those who share a call meet.
pub struct Gate<S> {
    cap: Cap,
    /// Calls in flight, and [`LINE`] while somebody waits for a place. While it is set, places are taken under the queue's
    /// lock alone.
    places: AtomicUsize,
    queue: Mutex<Queue<Teller<S>>>,
    /// Those who follow have left the queue, so they are bounded by a number of their own, which is as large.
    followers: Arc<Semaphore>,
    timeout: Duration,
}

/// How a request that waits is told its turn.
type Teller<S> = oneshot::Sender<Message<S>>;

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
pub(crate) struct Call<'a, S: Meeting>(&'a Gate<S>);

/// A request in the queue. It leaves when dropped.
pub(crate) struct Waiting<'a, S: Meeting> {
    gate: &'a Gate<S>,
    ticket: Ticket,
    turn: oneshot::Receiver<Message<S>>,
}

/// The turn of a request that waited.
pub(crate) enum Turn<'a, S: Meeting> {
    /// It has a place. If others wait for what comes of its call, it meets them there.
    Call(Call<'a, S>, Option<Arc<S>>),
    /// Another one makes the call for it.
    Follow(Following<S>),
}

/// A request that follows another one's call.
pub(crate) struct Following<S> {
    /// Where it hears what comes of the call.
    pub(crate) shared: Arc<S>,
    _seat: OwnedSemaphorePermit,
}

/// What a request that waits is told.
enum Message<S> {
    /// A place is its own; these meet there.
    Call(Option<Arc<S>>),
    /// It need not make a call.
    Follow(Following<S>),
    /// It had to make room.
    Shed,
}

impl<S: Meeting> Gate<S> {
    /// A gate with the configured cap and queue.
    #[must_use]
    pub fn new(config: &UpstreamConfig) -> Self {
        Self {
            cap: Cap::new(config.max_in_flight),
            places: AtomicUsize::new(0),
            queue: Mutex::new(Queue::new(config.queue)),
            followers: Arc::new(Semaphore::new(config.queue)),
            timeout: config.queue_timeout,
        }
    }

    /// The right to make a call, if there is a free place and nobody waits for one.
    pub(crate) fn try_enter(&self) -> Option<Call<'_, S>> {
        let cap = self.cap.now();
        let one_more = |places| (places < cap).then(|| places + 1);
        self.places
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Call(self))
    }

    /// Takes a place in the queue, for whatever one waits. If there is none, the caller that has most of them loses one.
    pub(crate) fn wait(
        &self,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Waiting<'_, S>, Overloaded> {
        let (teller, turn) = oneshot::channel();
        let mut queue = self.queue();
        let entered = queue.enter(caller, Wish { target, deadline }, teller);
        self.mark_line(&queue);
        drop(queue);
        let (ticket, shed) = entered.map_err(|queue::Full| Overloaded::QueueFull)?;
        if let Some(teller) = shed {
            // Whoever is leaving already need not be told.
            drop(teller.send(Message::Shed));
        }
        Ok(self.waiting_by(ticket, turn))
    }

    /// Takes a place in the queue even if it is full, for a request that had one or made a call: of those there are at most
    /// as many as places and calls.
    pub(crate) fn wait_again(&self, caller: &Caller) -> Waiting<'_, S> {
        let (teller, turn) = oneshot::channel();
        let ticket = self.queue().enter_again(caller, teller);
        self.waiting_by(ticket, turn)
    }

    fn waiting_by(&self, ticket: Ticket, turn: oneshot::Receiver<Message<S>>) -> Waiting<'_, S> {
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
        while let Some((leader, followers)) = self.next() {
            let shared = (!followers.is_empty()).then(Arc::<S>::default);
            // Whoever is dropped in this very moment hears nothing. Then the next one leads.
            let mut told = leader.send(Message::Call(shared.clone())).is_ok();
            for (follower, seat) in followers {
                let message = match &shared {
                    Some(shared) if told => Message::Follow(Following {
                        shared: Arc::clone(shared),
                        _seat: seat,
                    }),
                    shared => Message::Call(shared.clone()),
                };
                told |= follower.send(message).is_ok();
            }
            if !told {
                self.places.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes a place for the one whose turn it is, if there are both, and seats for those who follow it.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn next(&self) -> Option<(Teller<S>, Vec<(Teller<S>, OwnedSemaphorePermit)>)> {
        let mut queue = self.queue();
        let cap = self.cap.now();
        let one_more = |places: usize| (places & !LINE < cap).then(|| places + 1);
        if !queue.has_line() {
            return None;
        }
        self.places
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        let next = queue.next(self.followers.available_permits());
        self.mark_line(&queue);
        let next = next?;
        let seat = || Arc::clone(&self.followers).try_acquire_owned().ok();
        // Seats are taken under the lock alone, so there are still as many.
        let followers = next.followers.into_iter().zip(iter::from_fn(seat));
        Some((next.leader, followers.collect()))
    }

    /// To be called under the lock, whenever somebody lined up, left, or had to make room.
    fn mark_line(&self, queue: &Queue<Teller<S>>) {
        if queue.has_line() {
            self.places.fetch_or(LINE, Ordering::Relaxed);
        } else {
            self.places.fetch_and(!LINE, Ordering::Relaxed);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Teller<S>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that began then was more than Zoho can take, or timed out.
    pub(crate) fn shrink(&self, begun: Instant) {
        self.cap.shrink(begun);
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

impl<S: Meeting> Drop for Call<'_, S> {
    fn drop(&mut self) {
        // Whoever lines up sets the bit first and then looks for free places. So either it finds this one, or the bit is
        // found here.
        if self.0.places.fetch_sub(1, Ordering::Relaxed) & LINE != 0 {
            self.0.hand_out();
        }
    }
}

impl<'a, S: Meeting> Waiting<'a, S> {
    /// By what it is known to the gate.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits for its turn, unless it has to make room for another caller.
    pub(crate) async fn turn(&mut self) -> Result<Turn<'a, S>, Overloaded> {
        match (&mut self.turn).await {
            Ok(Message::Call(shared)) => Ok(Turn::Call(Call(self.gate), shared)),
            Ok(Message::Follow(following)) => Ok(Turn::Follow(following)),
            Ok(Message::Shed) | Err(_) => Err(Overloaded::QueueFull),
        }
    }

    /// Leaves the queue. If its turn comes in this very moment, it has it, for others may have been told to follow.
    pub(crate) async fn give_up(&mut self) -> Option<Result<Turn<'a, S>, Overloaded>> {
        let left = self.leave();
        if left { None } else { Some(self.turn().await) }
    }

    /// Whether it was still in the queue.
    fn leave(&self) -> bool {
        let mut queue = self.gate.queue();
        let left = queue.leave(self.ticket);
        self.gate.mark_line(&queue);
        left
    }
}

impl<S: Meeting> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.turn.close();
        // It may have got a place in the moment in which it gave up.
        if let Ok(Message::Call(shared)) = self.turn.try_recv() {
            drop(Call(self.gate));
            if let Some(shared) = shared {
                shared.abandoned();
            }
        }
        self.leave();
    }
}

#[cfg(test)]
mod tests;
