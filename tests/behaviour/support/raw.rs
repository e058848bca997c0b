//! Connections without a library in between: what is written here is what the proxy gets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back on a raw connection.
#[derive(Debug)]
pub(crate) struct RawReply {
    /// Everything that was read.
    pub(crate) text: String,
    /// Whether the proxy closed the connection.
    pub(crate) closed: bool,
}

impl RawReply {
    /// The status of the first response; 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        let status = self
            .text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        status
            .and_then(|status| status.parse().ok())
            .unwrap_or_default()
    }
}

/// Writes bytes and reads until the proxy closes, or falls silent.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> RawReply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The proxy may close before it has read everything: then writing fails, and what it said can still be read.
    drop(stream.write_all(bytes).await);
    let mut read = Vec::new();
    let mut closed = false;
    let mut buffer = vec![0; 4096];
    while let Ok(result) =
        tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await
    {
        match result {
            Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
            _ => {
                closed = true;
                break;
            }
        }
    }
    RawReply {
        text: String::from_utf8_lossy(&read).into_owned(),
        closed,
    }
}
