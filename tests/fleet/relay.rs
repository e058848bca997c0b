//! A TCP relay in front of Redis: it can stop forwarding, as a partitioned network does, and remembers what it forwarded.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;

/// A running relay.
pub(crate) struct Relay {
    address: SocketAddr,
    forwards: watch::Sender<bool>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (forwards, state) = watch::channel(true);
        let seen = Arc::default();
        tokio::spawn(accept(listener, port, state, Arc::clone(&seen)));
        Self {
            address,
            forwards,
            seen,
        }
    }

    /// Keys of a configuration that use it.
    pub(crate) fn keys(&self) -> String {
        format!("token_store.url = \"redis://{}\"", self.address)
    }

    /// Connections stay, and nothing gets through.
    pub(crate) fn cut(&self) {
        self.forwards.send_replace(false);
    }

    pub(crate) fn heal(&self) {
        self.forwards.send_replace(true);
    }

    /// Everything that was forwarded, in both directions.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    forwards: watch::Receiver<bool>,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
            continue;
        };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::spawn(forward(
            near_in,
            far_out,
            forwards.clone(),
            Arc::clone(&seen),
        ));
        tokio::spawn(forward(
            far_in,
            near_out,
            forwards.clone(),
            Arc::clone(&seen),
        ));
    }
}

async fn forward(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut forwards: watch::Receiver<bool>,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if forwards.wait_for(|forwards| *forwards).await.is_err() {
            return;
        }
        seen.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
