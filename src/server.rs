//! The listening side: sockets, accept loops, the clocks of a connection, the drain. HTTP/1.1 alone.
//!
//! Knows bytes and time, not what a request means. Invariant: every connection is bounded in number, in head size and in
//! time, and once the server closes, every request that was accepted is answered.

mod clocks;
mod places;
mod spread;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::unconstrained;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::config::{Networks, ServerConfig};
use crate::shutdown::Shutdown;
use crate::telemetry::{InboundError, Telemetry};
use clocks::Watched;
use places::{Place, Places};
use spread::{Handed, Seat};
pub use spread::{HandedOver, Spread};

/// The most that is read of a request's head. Ours need some 300 bytes; proxies in front add to them.
const MAX_HEAD: usize = 16 * 1024;

/// The most headers that a request may have.
const MAX_HEADERS: usize = 64;

/// Connections that wait in the kernel until they are accepted; the kernel's own `somaxconn` caps it.
const BACKLOG: i32 = 4096;

/// How long to rest when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often to say so.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// How long idle connections stay open when the server closes: some round trips.
const LINGER: Duration = Duration::from_millis(500);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address. An IPv4 one is never dressed up as IPv6.
    pub address: IpAddr,
    /// Address and port, written once for all requests of the connection.
    pub text: Arc<str>,
}

impl From<SocketAddr> for Peer {
    fn from(peer: SocketAddr) -> Self {
        Self {
            address: peer.ip().to_canonical(),
            text: peer.to_string().into(),
        }
    }
}

/// A connection that was accepted, and where it comes from.
type Arrived = (TcpStream, SocketAddr);

/// What bounds the connections of one listener.
#[derive(Clone)]
pub struct Limits {
    places: Places,
    head_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Duration,
}

impl Limits {
    /// At most so many connections, and how long they may take and rest. Clones share the number.
    #[must_use]
    pub fn new(connections: usize, config: &ServerConfig) -> Self {
        Self {
            places: Places::new(connections),
            head_timeout: config.head_timeout,
            write_timeout: config.write_timeout,
            idle_timeout: config.idle_timeout,
        }
    }
}

/// Opens `count` sockets on one address, among which the kernel spreads connections.
///
/// The first one is bound without `SO_REUSEPORT`, so that an address which another process holds is refused, whatever
/// options that process has set. Only then the sockets are allowed to share it.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    let address: SocketAddr = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    if count > 1 {
        for first in &sockets {
            first.set_reuse_port(true)?;
        }
        for _ in 1..count {
            let next = socket(address)?;
            next.set_reuse_port(true)?;
            next.bind(&address.into())?;
            sockets.push(next);
        }
    }
    for socket in &sockets {
        socket.listen(BACKLOG)?;
    }
    Ok(sockets.into_iter().map(Into::into).collect())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // "[::]" is for both families, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it: answers are small and must not wait for company.
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// One listener and what it serves.
pub struct Server<A> {
    /// The socket.
    pub listener: TcpListener,
    /// What answers a request.
    pub answer: A,
    /// What bounds it.
    pub limits: Limits,
    /// Where connections may come from; empty: from everywhere.
    pub allowed_peers: Networks,
    /// The threads that share its address.
    pub spread: Spread,
    /// Where errors are counted.
    pub telemetry: Arc<Telemetry>,
    /// When it ends.
    pub shutdown: Shutdown,
}

impl<A, F, B> Server<A>
where
    A: Fn(Request<Incoming>, &Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    /// Serves until the shutdown closes it, and then until all accepted requests are answered, or cut.
    pub async fn run(self, mut handed_over: HandedOver) {
        let connections = TaskTracker::new();
        let (mut waiting, mut complained) = (None, None);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.closing() => break,
                // Losing one of these branches loses no connection: accepting and receiving are cancel-safe.
                // What others hand over comes first: it has its places already.
                Some(handed) = handed_over.recv() => self.adopt(handed, &connections),
                accepted = self.listener.accept(), if waiting.is_none() => {
                    waiting = self.usable(accepted, &mut complained).await;
                }
                // Until there is a place the others wait in the kernel.
                place = self.limits.places.take(), if waiting.is_some() => {
                    if let Some(arrived) = waiting.take() {
                        self.admit(arrived, place, &connections);
                    }
                }
            }
        }
        // From now on the others keep what they accept.
        handed_over.close();
        while let Some(handed) = handed_over.recv().await {
            self.adopt(handed, &connections);
        }
        self.empty_queue(waiting, &connections).await;
        let Self {
            listener, shutdown, ..
        } = self;
        drop(listener);
        connections.close();
        tokio::select! {
            () = connections.wait() => {}
            // What is left then is dropped with the runtime.
            () = shutdown.cut() => {}
        }
    }

    /// Serves a connection, here or on a thread that has fewer.
    fn admit(&self, (stream, peer): Arrived, place: Place, connections: &TaskTracker) {
        let seat = self.spread.seat();
        if self.spread.is_own(&seat) {
            connections.spawn(self.serve(stream, peer, (place, seat)));
            return;
        }
        // Off this runtime. It fails only if the runtime never knew the socket.
        let Ok(stream) = stream.into_std() else {
            return;
        };
        let handed = Handed {
            stream,
            peer,
            place,
            seat,
        };
        if let Err(refused) = self.spread.hand_over(handed) {
            let seat = self.spread.own_seat();
            self.adopt(Handed { seat, ..refused }, connections);
        }
    }

    /// Serves a connection that another thread accepted.
    fn adopt(&self, handed: Handed, connections: &TaskTracker) {
        let Handed {
            stream,
            peer,
            place,
            seat,
        } = handed;
        match TcpStream::from_std(stream) {
            Ok(stream) => drop(connections.spawn(self.serve(stream, peer, (place, seat)))),
            Err(error) => tracing::error!(%error, "a connection cannot be moved to another thread"),
        }
    }

    /// A connection that was accepted, unless accepting failed.
    async fn usable(
        &self,
        accepted: io::Result<Arrived>,
        complained: &mut Option<Instant>,
    ) -> Option<Arrived> {
        let error = match accepted {
            Ok((_, peer)) if !self.may_connect(peer.ip()) => {
                let metrics = &self.telemetry.metrics;
                metrics.inbound_error(InboundError::PeerNotAllowed);
                return None;
            }
            Ok(arrived) => return Some(arrived),
            Err(error) if is_of_one_connection(&error) => return None,
            Err(error) => error,
        };
        self.telemetry
            .metrics
            .inbound_error(InboundError::NotAccepted);
        if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            *complained = Some(Instant::now());
            tracing::error!(%error, "connections cannot be accepted");
        }
        // There may be fewer descriptors than places.
        self.limits.places.make_room();
        tokio::time::sleep(ACCEPT_PAUSE).await;
        None
    }

    fn may_connect(&self, peer: IpAddr) -> bool {
        self.allowed_peers.is_empty() || self.allowed_peers.contains(peer)
    }

    /// Connections that the kernel has already accepted would be reset when the listener closes.
    async fn empty_queue(&self, mut waiting: Option<Arrived>, connections: &TaskTracker) {
        // Lets the runtime look at its sockets once more.
        tokio::task::yield_now().await;
        loop {
            let Some(arrived) = waiting.take() else {
                // Unconstrained: else the runtime would call the queue empty when this task has done much in one go.
                let Some(accepted) = unconstrained(self.listener.accept()).now_or_never() else {
                    return;
                };
                waiting = self.usable(accepted, &mut None).await;
                continue;
            };
            tokio::select! {
                place = self.limits.places.take() => self.admit(arrived, place, connections),
                () = self.shutdown.cut() => return,
            }
        }
    }

    /// Serves one connection to its end.
    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        (place, seat): (Place, Seat),
    ) -> impl Future<Output = ()> + Send + use<A, F, B> {
        let peer = Peer::from(peer);
        let clocks = Arc::clone(place.clocks());
        let (answer, busy) = (self.answer.clone(), Arc::clone(&clocks));
        let service = service_fn(move |request| {
            busy.request_began();
            let (answer, busy) = (answer(request, &peer), Arc::clone(&busy));
            async move {
                let response = answer.await;
                busy.request_ended();
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .header_read_timeout(None);
        // A caller that has said all it wants to say may close its side and still gets its answer. Nor does hyper look
        // whether a caller has gone while its request is served, so what is sent to Zoho is always finished.
        builder.half_close(true);
        // One small buffer and a plain write: gathering two is dearer for the kernel than copying some bytes.
        builder.writev(false);
        // Boxed: what is handed into a future would keep its room there beside the room where it is pinned.
        let mut connection = Box::pin(builder.serve_connection(
            TokioIo::new(Watched::new(stream, Arc::clone(&clocks))),
            service,
        ));
        let (limits, shutdown, telemetry) = (
            self.limits.clone(),
            self.shutdown.clone(),
            Arc::clone(&self.telemetry),
        );
        async move {
            // It is dropped before its place is free.
            let serving = async move {
                tokio::select! {
                    biased;
                    served = clocks.watch(connection.as_mut(), &limits) => served,
                    () = time_to_close(&shutdown) => {
                        // Ends it now if it is idle, else after the request that is being served.
                        connection.as_mut().graceful_shutdown();
                        clocks.watch(connection.as_mut(), &limits).await
                    }
                }
            };
            if let Some(Err(error)) = telemetry.contain("a connection", serving).await {
                telemetry.metrics.inbound_error(error);
            }
            drop((place, seat));
        }
    }
}

/// Waits until a connection should end. Callers that have connected a moment ago have a request under way.
async fn time_to_close(shutdown: &Shutdown) {
    let mut closing = pin!(shutdown.closing());
    let mut is_registered = false;
    poll_fn(|context| {
        // A task's waker stays the same, so it need not be registered anew each time that the connection moves.
        if is_registered && !shutdown.is_leaving() {
            return Poll::Pending;
        }
        is_registered = true;
        closing.as_mut().poll(context)
    })
    .await;
    tokio::time::sleep(LINGER).await;
}

/// Whether accepting failed for a reason that concerns only the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// What hyper says of a connection that it ended itself.
fn inbound_error(error: &hyper::Error) -> InboundError {
    if error.is_parse_too_large() {
        InboundError::HeadTooLarge
    } else if error.is_parse() {
        InboundError::NotHttp
    } else {
        InboundError::Broken
    }
}
