//! Connections without a library in between: what is written here is what the proxy gets.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Reply};

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

/// A connection on which any bytes can be sent, and on which the answers are told apart.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        // What is sent in pieces arrives in pieces.
        stream.set_nodelay(true).unwrap();
        let unread = Vec::new();
        Self { stream, unread }
    }

    /// Writes bytes. The other side may have closed by then; what it said can still be read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Says that nothing more will come.
    pub(crate) async fn finish(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Leaves with a reset, which no server can mistake for a half-closed connection.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The next answer; `None` if the connection ends before one.
    pub(crate) async fn answer(&mut self) -> Option<Reply> {
        let head = self.head().await?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status: StatusCode = status.unwrap().parse().expect("a status line");
        let headers: HeaderMap = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.parse().unwrap(), value.trim().parse().unwrap()))
            .collect::<Vec<(HeaderName, HeaderValue)>>()
            .into_iter()
            .collect();
        if status.is_informational() {
            return Box::pin(self.answer()).await;
        }
        let length = headers.get("content-length").map(|length| {
            let length: usize = length.to_str().unwrap().parse().unwrap();
            length
        });
        // Without a length, the body lasts until the end of the connection.
        while length.is_none_or(|length| self.unread.len() < length) && self.read().await {}
        let body = self.unread.drain(..length.unwrap_or(self.unread.len()));
        let body = String::from_utf8(body.collect()).unwrap();
        Some(Reply {
            status,
            headers,
            body,
        })
    }

    /// The next answer; `None` if there is none for a while.
    pub(crate) async fn answer_soon(&mut self) -> Option<Reply> {
        let soon = tokio::time::timeout(Duration::from_millis(300), self.answer()).await;
        soon.unwrap_or_default()
    }

    /// The answers that are left until the connection ends.
    pub(crate) async fn answers(&mut self) -> Vec<Reply> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await {
            answers.push(answer);
        }
        assert!(self.unread.is_empty(), "no answer: {:?}", self.unread);
        answers
    }

    /// Everything up to an empty line, and takes that away.
    async fn head(&mut self) -> Option<String> {
        loop {
            let end = self
                .unread
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.unread.drain(..end + 4).take(end).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Reads more, if there is more.
    async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.expect("an answer, or an end, in time")
            .is_ok_and(|count| count > 0)
    }
}
