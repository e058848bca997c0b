//! The idle connections to one API, of one data-path thread.
//!
//! The latest used one goes out first, so that the others grow old and leave. Nobody polls an idle connection: what
//! happened to it meanwhile is seen when it is taken, or when [`Pool::sweep`] comes by.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;

/// Idle connections. The lock is its thread's own: it is never contended.
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    timeout: Duration,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// An empty pool whose connections leave after `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self {
            idle: Mutex::default(),
            timeout,
        }
    }

    /// The latest used connection, unless it is too old.
    pub(super) fn take(&self) -> Option<Connection> {
        let idle = self.idle().pop()?;
        if idle.since.elapsed() < self.timeout {
            return Some(idle.connection);
        }
        // The others are older still.
        self.idle().clear();
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, mut connection: Connection) {
        if connection.is_open(&mut Context::from_waker(Waker::noop())) {
            self.idle().push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Lets go of connections that are too old or have ended. To be called from time to time.
    pub fn sweep(&self) {
        let mut context = Context::from_waker(Waker::noop());
        let timeout = self.timeout;
        self.idle().retain_mut(|idle| {
            idle.since.elapsed() < timeout && idle.connection.is_open(&mut context)
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
