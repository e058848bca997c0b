//! The clocks of one connection: how long it may be idle, how long the head of a request may take, and how long the
//! caller may take to read its answer.
//!
//! hyper has one clock for the first two and none for the third. Here the bytes themselves say which one runs:
//! [`Watched`] sees the first byte of a head and what cannot be written, the service sees where a request begins and
//! ends. The timer is touched only when a head or an answer does not go through in one piece, or when it goes off: for an
//! ordinary request it costs nothing.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{InboundError, Limits, inbound_error};

/// How long a connection must be idle, or in one head, before it may be sent away for another: some round trips. Less, and
/// its next bytes may be under way; but heads that come byte by byte must not cost good callers their place.
const RESTS_AFTER: Duration = Duration::from_millis(500);

/// What a connection is doing, as its bytes and its service see it.
pub(super) struct Clocks {
    /// The lowest two bits say what, the others count changes, so that a state which came, went and came again is seen as
    /// new.
    state: AtomicU32,
    /// Whether what was read last ended inside a head: behind a whole request, the next one may have begun.
    is_inside_head: AtomicBool,
    /// What `since` counts from.
    opened: Instant,
    /// When the present state began, in nanoseconds. Not kept while a request is served.
    since: AtomicU64,
    /// Whether others need the place of this connection.
    must_leave: AtomicBool,
    /// Its task.
    task: AtomicWaker,
}

/// Between requests.
const IDLE: u32 = 0;
/// Some bytes of a head are there.
const HEAD: u32 = 1;
/// A request is being served.
const BUSY: u32 = 2;
/// The caller does not read what is written. hyper takes no further request until it does.
const WRITING: u32 = 3;

impl Clocks {
    /// Of a connection that begins now; all times are compared that were noted since the same moment.
    pub(super) fn new(opened: Instant) -> Self {
        let clocks = Self {
            state: AtomicU32::new(IDLE),
            is_inside_head: AtomicBool::new(false),
            opened,
            since: AtomicU64::new(0),
            must_leave: AtomicBool::new(false),
            task: AtomicWaker::new(),
        };
        clocks.restart();
        clocks
    }

    /// Since when nothing has come of a connection, if it rests.
    pub(super) fn resting_since(&self, now: Instant) -> Option<Instant> {
        let since = self.since();
        let rests = matches!(self.what(), IDLE | HEAD) && now.duration_since(since) > RESTS_AFTER;
        rests.then_some(since)
    }

    /// Asks its task to end, which it does if it still rests then.
    pub(super) fn ask_to_leave(&self) {
        if !self.must_leave.swap(true, Ordering::Release) {
            self.task.wake();
        }
    }

    pub(super) fn request_began(&self) {
        self.enter(BUSY);
    }

    pub(super) fn request_ended(&self) {
        self.rest();
    }

    fn bytes_came(&self, are_inside_head: bool) {
        self.is_inside_head
            .store(are_inside_head, Ordering::Relaxed);
        if self.what() == IDLE {
            self.enter(HEAD);
        }
    }

    fn write_is_blocked(&self) {
        if self.what() != WRITING {
            self.enter(WRITING);
        }
    }

    fn all_is_written(&self) {
        if self.what() == WRITING {
            self.rest();
        }
    }

    /// Between two requests, unless there is a part of the next one already.
    fn rest(&self) {
        let next_has_begun = self.is_inside_head.load(Ordering::Relaxed);
        self.enter(if next_has_begun { HEAD } else { IDLE });
    }

    fn restart(&self) {
        let nanoseconds = self.opened.elapsed().as_nanos();
        let since = u64::try_from(nanoseconds).expect("no process runs for 500 years");
        self.since.store(since, Ordering::Relaxed);
    }

    fn since(&self) -> Instant {
        self.opened + Duration::from_nanos(self.since.load(Ordering::Relaxed))
    }

    /// Only the connection's own task writes, so this need not be one atomic step.
    fn enter(&self, state: u32) {
        let changes = (self.now() | 3).wrapping_add(1);
        self.state.store(changes | state, Ordering::Relaxed);
    }

    fn now(&self) -> u32 {
        self.state.load(Ordering::Relaxed)
    }

    fn what(&self) -> u32 {
        self.now() & 3
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
        poll_fn(|context| {
            self.task.register(context.waker());
            Poll::Ready(())
        })
        .await;
        let mut state = self.now();
        let mut clock = pin!(tokio::time::sleep_until(self.due(limits).0));
        poll_fn(|context| {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ended.map_err(|error| inbound_error(&error)));
            }
            if self.now() != state {
                state = self.now();
                // A request that is being served has a deadline of its own.
                if self.what() != BUSY {
                    self.restart();
                }
                // The clock of an idle connection is the longest, and need not be set back before it goes off.
                if matches!(self.what(), HEAD | WRITING) {
                    clock.as_mut().reset(self.due(limits).0);
                }
            }
            if self.must_leave.load(Ordering::Acquire) {
                // To be woken uses the registration up.
                self.task.register(context.waker());
                self.must_leave.store(false, Ordering::Relaxed);
                if self.resting_since(Instant::now()).is_some() {
                    return Poll::Ready(Err(InboundError::MadeRoom));
                }
            }
            while clock.as_mut().poll(context).is_ready() {
                let (due, over) = self.due(limits);
                if due <= Instant::now() {
                    return Poll::Ready(over);
                }
                clock.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await
    }

    /// When the clock that runs goes off, and what that means.
    fn due(&self, limits: &Limits) -> (Instant, Result<(), InboundError>) {
        let since = self.since();
        match self.what() {
            HEAD => (since + limits.head_timeout, Err(InboundError::HeadTimeout)),
            WRITING => (
                since + limits.write_timeout,
                Err(InboundError::WriteTimeout),
            ),
            IDLE => (since + limits.idle_timeout, Ok(())),
            // See above.
            _ => (Instant::now() + limits.idle_timeout, Ok(())),
        }
    }
}

/// A caller's stream that tells the clocks when bytes come, and when they cannot go.
pub(super) struct Watched {
    stream: TcpStream,
    clocks: Arc<Clocks>,
    /// The last bytes that were read.
    tail: [u8; 3],
}

impl Watched {
    pub(super) fn new(stream: TcpStream, clocks: Arc<Clocks>) -> Self {
        Self {
            stream,
            clocks,
            tail: [0; 3],
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk() {
            self.tail = *tail;
        } else {
            for byte in bytes {
                let [_, second, third] = self.tail;
                self.tail = [second, third, *byte];
            }
        }
        // An empty line ends a head. It may be a bare one: RFC 9112, section 2.2.
        let ends_head = matches!(self.tail, [b'\n', b'\r', b'\n'] | [_, b'\n', b'\n']);
        self.clocks.bytes_came(!ends_head);
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
        if let Some(bytes @ [_, ..]) = buffer.filled().get(before..) {
            self.note(bytes);
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
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_pending() {
            self.clocks.write_is_blocked();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written all that it has.
        self.clocks.all_is_written();
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
