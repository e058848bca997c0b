//! A forward proxy that opens tunnels, or behaves as badly as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does when it is asked for a tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manners {
    /// It opens one.
    Tunnel,
    /// It says this, closes its side, and waits for the other end to go.
    Say(&'static str),
    /// It says nothing.
    Silence,
}

/// A running forward proxy. It ends with the test's runtime.
pub(crate) struct ConnectProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::default();
        let heads = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manners, Arc::clone(&heads)));
            }
        });
        Self { address, asked }
    }

    /// The key that sends the proxy under test through this one.
    pub(crate) fn key(&self) -> String {
        format!("upstream.proxy = \"http://{}\"", self.address)
    }

    /// The head of every request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut near: TcpStream, manners: Manners, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = near.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let host = head.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(head);
    match manners {
        Manners::Tunnel => {
            let mut far = TcpStream::connect(host).await.unwrap();
            near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
                .unwrap();
            // Either side may leave when it likes.
            drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
        }
        Manners::Say(text) => {
            // The other end may have read enough before it is all said.
            drop(near.write_all(text.as_bytes()).await);
            drop(near.shutdown().await);
            drop(near.read_to_end(&mut Vec::new()).await);
        }
        Manners::Silence => drop(near.read_to_end(&mut Vec::new()).await),
    }
}
