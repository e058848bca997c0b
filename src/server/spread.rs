//! Which thread serves a connection: one that has fewest.
//!
//! The kernel spreads connections over the threads' sockets by a hash. Of a few long-lived callers it often puts most on
//! one thread while another has nothing to do, so a thread that accepts a connection hands it to one that has fewer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::places::Place;

/// The threads that share an address, as one of them sees them. Cheap to clone.
#[derive(Clone)]
pub struct Spread {
    threads: Arc<[Thread]>,
    /// Which of them this is.
    own: usize,
}

struct Thread {
    connections: AtomicUsize,
    handed: UnboundedSender<Handed>,
}

/// What other threads hand to one. There are never more than connections may be held.
pub type HandedOver = UnboundedReceiver<Handed>;

/// A connection on its way to another thread, off its old runtime and not yet on its new one.
pub struct Handed {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) seat: Seat,
}

/// A connection's seat on a thread, given back when dropped.
pub(super) struct Seat {
    threads: Arc<[Thread]>,
    number: usize,
}

impl Spread {
    /// The view of each of `count` threads, and what the others hand to it.
    #[must_use]
    pub fn over(count: usize) -> Vec<(Self, HandedOver)> {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| unbounded_channel()).unzip();
        let threads = senders.into_iter().map(|handed| Thread {
            connections: AtomicUsize::new(0),
            handed,
        });
        let threads: Arc<[Thread]> = threads.collect();
        let view = |(own, handed)| {
            let threads = Arc::clone(&threads);
            (Self { threads, own }, handed)
        };
        receivers.into_iter().enumerate().map(view).collect()
    }

    /// How many connections each thread has.
    pub fn connections(&self) -> impl Iterator<Item = usize> {
        self.threads.iter().map(Thread::connections)
    }

    /// A seat on the thread that has fewest connections; on this one, if none has fewer.
    pub(super) fn seat(&self) -> Seat {
        let load = |number: &usize| {
            let thread = self.threads.get(*number);
            let connections = thread.map_or(usize::MAX, Thread::connections);
            (connections, *number != self.own)
        };
        let number = (0..self.threads.len()).min_by_key(load);
        Seat::on(&self.threads, number.unwrap_or(self.own))
    }

    /// Whether a seat is on this thread.
    pub(super) fn is_own(&self, seat: &Seat) -> bool {
        seat.number == self.own
    }

    /// A seat on this thread, however many connections it has.
    pub(super) fn own_seat(&self) -> Seat {
        Seat::on(&self.threads, self.own)
    }

    /// Hands a connection to the thread that its seat is on. A thread that takes no more gives it back.
    pub(super) fn hand_over(&self, handed: Handed) -> Result<(), Handed> {
        let thread = self.threads.get(handed.seat.number);
        match thread.map(|thread| &thread.handed) {
            Some(sender) => sender.send(handed).map_err(|refused| refused.0),
            None => Err(handed),
        }
    }
}

impl Thread {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Seat {
    fn on(threads: &Arc<[Thread]>, number: usize) -> Self {
        if let Some(thread) = threads.get(number) {
            thread.connections.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            threads: Arc::clone(threads),
            number,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(thread) = self.threads.get(self.number) {
            thread.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
