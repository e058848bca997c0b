//! How many connections are held, and which of them make room when there is no place for one more: those that have rested
//! longest. A connection in the middle of a request never does.
//!
//! The path of a request knows nothing of this: a connection notes since when it rests, and whoever needs its place looks.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::clocks::Clocks;

/// One connection in so many makes room at a time, at least one: a look at each is too dear for a single place.
const SHARE: usize = 64;

/// How soon to look again: those that were asked to leave may just have begun a request.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places of one listener, for all its threads. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    /// The connections that are held. Locked when one begins, when one ends, and when room is needed.
    held: Mutex<Slab<Arc<Clocks>>>,
    opened: Instant,
}

/// The place of one connection, given back when dropped.
pub(super) struct Place {
    places: Places,
    number: usize,
    clocks: Arc<Clocks>,
    /// After the rest of it, so that `held` is never longer than there are places.
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(count)),
            held: Mutex::default(),
            opened: Instant::now(),
        }))
    }

    /// A place for one more connection. While all others are in the middle of a request, it waits.
    pub(super) async fn take(&self) -> Place {
        let free = Arc::clone(&self.0.free);
        if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            return self.hold(permit);
        }
        let mut permit = pin!(free.acquire_owned());
        loop {
            self.make_room();
            // An end of this time loses nothing: the wait for a place keeps its turn.
            if let Ok(permit) = tokio::time::timeout(LOOK_AGAIN, permit.as_mut()).await {
                return self.hold(permit.expect("the semaphore is never closed"));
            }
        }
    }

    fn hold(&self, permit: OwnedSemaphorePermit) -> Place {
        let clocks = Arc::new(Clocks::new(self.0.opened));
        Place {
            number: self.held().insert(Arc::clone(&clocks)),
            places: self.clone(),
            clocks,
            _permit: permit,
        }
    }

    /// Asks those to leave that have rested longest. They do, unless a request has just begun.
    pub(super) fn make_room(&self) {
        let now = Instant::now();
        let held = self.held();
        let clocks = held.iter().map(|(_, clocks)| clocks);
        let mut resting: Vec<_> = clocks
            .filter_map(|clocks| Some((clocks.resting_since(now)?, clocks)))
            .collect();
        let leaving = held.len().div_ceil(SHARE);
        if leaving < resting.len() {
            resting.select_nth_unstable_by_key(leaving, |(since, _)| *since);
            resting.truncate(leaving);
        }
        for (_, clocks) in resting {
            clocks.ask_to_leave();
        }
    }

    fn held(&self) -> MutexGuard<'_, Slab<Arc<Clocks>>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What is noted of its connection.
    pub(super) fn clocks(&self) -> &Arc<Clocks> {
        &self.clocks
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held().remove(self.number);
    }
}
