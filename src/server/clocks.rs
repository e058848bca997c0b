//! The clocks of one connection: how long it may be idle, and how long the head of a request may take.
//!
//! hyper has one clock for both. Here the bytes themselves say which one runs: [`Watched`] sees the first byte of a head,
//! the service sees its end. The timer is touched only when a head does not arrive in one piece, or when it goes off:
//! for an ordinary request it costs nothing.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::{InboundError, Limits, inbound_error};

/// What a connection is doing, as its bytes and its service see it: the lowest two bits say what, the others count
/// changes, so that a state which came, went and came again is seen as new.
#[derive(Default)]
pub(super) struct Clocks(AtomicU32);

/// Between requests.
const IDLE: u32 = 0;
/// Some bytes of a head are there.
const HEAD: u32 = 1;
/// A request is being served.
const BUSY: u32 = 2;

impl Clocks {
    pub(super) fn request_began(&self) {
        self.enter(BUSY);
    }

    pub(super) fn request_ended(&self) {
        self.enter(IDLE);
    }

    fn bytes_came(&self) {
        if self.now() & 3 == IDLE {
            self.enter(HEAD);
        }
    }

    /// Only the connection's own task writes, so this need not be one atomic step.
    fn enter(&self, state: u32) {
        let changes = (self.now() | 3).wrapping_add(1);
        self.0.store(changes | state, Ordering::Relaxed);
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Drives a connection to its end, or until one of its clocks runs out.
    pub(super) async fn watch<C>(
        &self,
        mut connection: Pin<&mut C>,
        limits: &Limits,
    ) -> Result<(), InboundError>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut state = self.now();
        let first = match state & 3 {
            HEAD => limits.head_timeout,
            _ => limits.idle_timeout,
        };
        let mut clock = pin!(tokio::time::sleep(first));
        let mut since = Instant::now();
        poll_fn(|context| {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ended.map_err(|error| inbound_error(&error)));
            }
            if self.now() != state {
                state = self.now();
                // A request that is being served has a deadline of its own.
                if state & 3 != BUSY {
                    since = Instant::now();
                }
                if state & 3 == HEAD {
                    clock.as_mut().reset(since + limits.head_timeout);
                }
            }
            while clock.as_mut().poll(context).is_ready() {
                if let Some(error) = self.run_out(since, limits, clock.as_mut()) {
                    return Poll::Ready(error);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The clock went off: is it over, or did something happen since it was set?
    fn run_out(
        &self,
        since: Instant,
        limits: &Limits,
        clock: Pin<&mut Sleep>,
    ) -> Option<Result<(), InboundError>> {
        let (due, over) = match self.now() & 3 {
            HEAD => (since + limits.head_timeout, Err(InboundError::HeadTimeout)),
            IDLE => (since + limits.idle_timeout, Ok(())),
            // See above.
            _ => (Instant::now() + limits.idle_timeout, Ok(())),
        };
        if due <= Instant::now() {
            return Some(over);
        }
        clock.reset(due);
        None
    }
}

/// A caller's stream that tells the clocks when bytes come.
pub(super) struct Watched {
    stream: TcpStream,
    clocks: Arc<Clocks>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, clocks: Arc<Clocks>) -> Self {
        Self { stream, clocks }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.clocks.bytes_came();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// A caller that has gone first is no error: hyper would report it instead of the one that made it close.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        shut.map(|result| match result {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}
