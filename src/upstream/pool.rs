//! The idle connections to one API, of one data-path thread.
//!
//! The latest used one goes out first, so that the others grow old and leave. Nobody polls an idle connection: what
//! happened to it meanwhile is seen when it is used, or when [`Pool::sweep`] comes by. Age is counted in sweeps, so that
//! no request has to look at a clock for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use super::connection::Connection;

/// How many sweeps a connection survives.
const SWEEPS: u32 = 4;

/// Idle connections. The lock is its thread's own: it is never contended.
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    most: usize,
}

struct Idle {
    connection: Connection,
    sweeps: u32,
}

impl Pool {
    /// A pool that keeps at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let idle = Mutex::default();
        Self { idle, most }
    }

    /// How often to sweep, so that no connection is idle for longer than `timeout`.
    #[must_use]
    pub fn sweep_interval(timeout: Duration) -> Duration {
        // One survives four sweeps and goes with the fifth: at most five intervals after it came.
        timeout / (SWEEPS + 1)
    }

    /// The latest used connection.
    pub(super) fn take(&self) -> Option<Connection> {
        Some(self.idle().pop()?.connection)
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, mut connection: Connection) {
        if connection.is_open(&mut Context::from_waker(Waker::noop())) {
            let (mut idle, sweeps) = (self.idle(), 0);
            if idle.len() < self.most {
                idle.push(Idle { connection, sweeps });
            }
        }
    }

    /// Lets go of connections that are too old or have ended. To be called once in each interval.
    pub fn sweep(&self) {
        let mut context = Context::from_waker(Waker::noop());
        self.idle().retain_mut(|idle| {
            idle.sweeps += 1;
            idle.sweeps <= SWEEPS && idle.connection.is_open(&mut context)
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
