//! One connection: reads requests, sends deliveries, and knows the ways in which a connection can end.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::server::TlsStream;

use super::request::Unreadable;
use super::{Answer, Delivery, Request, Then};

/// How often an endless body goes on.
const TRICKLE: Duration = Duration::from_millis(20);

/// What a connection runs over. A reset needs the socket below the TLS.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A connection and the bytes read from it that no request has taken yet.
#[derive(Debug)]
pub(crate) struct Connection<T> {
    transport: T,
    unread: BytesMut,
}

/// What a client does next.
#[derive(Debug)]
pub(crate) enum Next {
    Request(Request),
    /// It sends something that is no request.
    Unreadable(Unreadable),
    /// It leaves, or has been idle for too long.
    End,
}

impl<T: Transport> Connection<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self {
            transport,
            unread: BytesMut::new(),
        }
    }

    /// The next request, once it is whole.
    pub(crate) async fn next(&mut self, idle_timeout: Option<Duration>) -> io::Result<Next> {
        if self.unread.is_empty() && !self.wait_for_bytes(idle_timeout).await? {
            return Ok(Next::End);
        }
        loop {
            match Request::parse(&self.unread) {
                Ok(Some((request, length))) => {
                    self.unread.advance(length);
                    return Ok(Next::Request(request));
                }
                Ok(None) if self.read().await? => {}
                Ok(None) => return Ok(Next::End),
                Err(unreadable) => return Ok(Next::Unreadable(unreadable)),
            }
        }
    }

    async fn wait_for_bytes(&mut self, idle_timeout: Option<Duration>) -> io::Result<bool> {
        match idle_timeout {
            None => self.read().await,
            Some(limit) => time::timeout(limit, self.read()).await.unwrap_or(Ok(false)),
        }
    }

    /// Whether more bytes came.
    async fn read(&mut self) -> io::Result<bool> {
        Ok(self.transport.read_buf(&mut self.unread).await? > 0)
    }

    /// Tells a client that its request cannot be read, and why, and ends the connection. What it is still sending is
    /// read, because a socket that is closed over unread bytes is reset, and the reset can overtake the answer.
    pub(crate) async fn refuse(mut self, unreadable: Unreadable) -> io::Result<()> {
        let answer = Answer::own(
            unreadable.0,
            "text/plain",
            "The sandbox cannot read this request.\n",
        );
        self.deliver(&Delivery::new(answer.bytes(), Then::Close))
            .await?;
        self.wait_until_the_client_leaves().await
    }

    async fn wait_until_the_client_leaves(&mut self) -> io::Result<()> {
        while self.read().await? {
            self.unread.clear();
        }
        Ok(())
    }

    /// Sends what is to be sent. Whether the connection can take another request.
    pub(crate) async fn deliver(&mut self, delivery: &Delivery) -> io::Result<bool> {
        if !delivery.bytes.is_empty() {
            self.transport.write_all(&delivery.bytes).await?;
            self.transport.flush().await?;
        }
        match delivery.then {
            Then::KeepOpen => return Ok(true),
            Then::Close => self.transport.shutdown().await?,
            // A socket that does not linger is closed with a reset, as socket(7) tells.
            Then::Reset => self.transport.socket().set_zero_linger()?,
            Then::Hang => self.wait_until_the_client_leaves().await?,
            Then::Trickle => self.trickle().await?,
        }
        Ok(false)
    }

    /// Ends when a write fails, since the client has left.
    async fn trickle(&mut self) -> io::Result<()> {
        loop {
            self.transport.write_all(b"1\r\n \r\n").await?;
            self.transport.flush().await?;
            time::sleep(TRICKLE).await;
        }
    }
}
