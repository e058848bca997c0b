//! An API that answers with bytes as they are, whatever they mean.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What follows the bytes of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// The next request is answered on the same connection.
    Keep,
    /// The connection ends.
    Close,
    /// The connection is reset.
    Reset,
    /// These bytes, for ever.
    Repeat(&'static str),
    /// These bytes, a moment after the answer.
    Later(&'static str),
}

/// A running API. It ends with the test's runtime.
pub(crate) struct RawApi {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<(Vec<u8>, Then)>,
    connections: AtomicUsize,
}

impl RawApi {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new((Vec::new(), Then::Close)),
            connections: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared }
    }

    /// From now on, every request is answered so.
    pub(crate) fn says(&self, bytes: &[u8], then: Then) {
        *self.shared.script.lock().unwrap() = (bytes.to_vec(), then);
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

/// Until the connection ends, one way or the other.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut head = Vec::new();
    loop {
        head.push(stream.read_u8().await?);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let (bytes, then) = shared.script.lock().unwrap().clone();
        stream.write_all(&bytes).await?;
        match then {
            Then::Keep => {}
            Then::Close => return stream.shutdown().await,
            Then::Reset => return stream.set_zero_linger(),
            Then::Repeat(bytes) => {
                let many = bytes.repeat(1000);
                loop {
                    stream.write_all(many.as_bytes()).await?;
                }
            }
            Then::Later(bytes) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(bytes.as_bytes()).await?;
            }
        }
    }
}
