//! One HTTP/1.1 connection to Zoho's API, driven by the request that uses it.
//!
//! hyper wants a connection polled by a task of its own. Here the request polls it in place: no second task, no message
//! between two, and when the request ends, everything about the connection is known. While it is idle nobody polls it, so
//! whatever arrived meanwhile (an end, bytes nobody asked for) is seen before the next request is written.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http::Request;
use http::response::Parts;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::answer::InvalidAnswer;
use super::progress::Progress;

/// The most that is read of a body. Zoho's envelopes have some 100 bytes; a larger answer is none of this endpoint's.
const MAX_BODY: usize = 64 * 1024;

/// The most that is read of a head. Zoho's have some 1,500 bytes.
const MAX_HEAD: usize = 32 * 1024;

/// A connection's bytes, encrypted or (to loopback addresses alone) not.
pub(super) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

type Driver = http1::Connection<TokioIo<Stream>, Empty<Bytes>>;

/// A connection that takes one request at a time.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: Box<Driver>,
    ended: bool,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The connection was dead, and not a byte of the request was written: here it is again.
    Unsent(Box<Request<Empty<Bytes>>>),
    /// The connection ended before an answer.
    Lost,
    /// There was an answer, but none to believe.
    Invalid(InvalidAnswer),
}

impl Connection {
    pub(super) async fn handshake(stream: Stream) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(MAX_HEAD)
            .max_headers(128)
            .writev(false);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            driver: Box::new(driver),
            ended: false,
        })
    }

    /// Whether another request can be sent, as far as is known without waiting.
    pub(super) fn is_open(&mut self, context: &mut Context<'_>) -> bool {
        self.poll_driver(context);
        !self.ended && self.sender.is_ready()
    }

    /// Sends a request and reads its whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Empty<Bytes>>,
        progress: &Progress,
    ) -> Result<(Parts, Bytes), Unanswered> {
        if !poll_fn(|context| Poll::Ready(self.is_open(context))).await {
            return Err(Unanswered::Unsent(Box::new(request)));
        }
        progress.sending();
        let sent = self.sender.try_send_request(request);
        let response = self
            .drive(sent)
            .await
            .map_err(|mut error| match error.take_message() {
                Some(unsent) => {
                    progress.not_carried_out();
                    Unanswered::Unsent(Box::new(unsent))
                }
                None => unanswered(&error.into_error()),
            })?;
        let (head, body) = response.into_parts();
        let body = self.drive(whole(body)).await.map_err(Unanswered::Invalid)?;
        Ok((head, body))
    }

    /// Waits for something that this connection brings, while moving its bytes.
    async fn drive<F: Future>(&mut self, awaited: F) -> F::Output {
        let mut awaited = pin!(awaited);
        poll_fn(|context| {
            self.poll_driver(context);
            if let Poll::Ready(output) = awaited.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            // An ended connection wakes nobody any more, but it has told `awaited` why: ask once more.
            if self.ended {
                awaited.as_mut().poll(context)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    fn poll_driver(&mut self, context: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut *self.driver).poll(context).is_ready();
        }
    }
}

/// Reads a body to its end. Nearly always it is one frame, which needs no copy.
async fn whole(mut body: Incoming) -> Result<Bytes, InvalidAnswer> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(InvalidAnswer::BodyTooLarge);
    }
    let (mut first, mut others) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.or(Err(InvalidAnswer::Incomplete))?.into_data() else {
            continue;
        };
        if first.len() + others.len() + data.len() > MAX_BODY {
            return Err(InvalidAnswer::BodyTooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            others.extend_from_slice(&data);
        }
    }
    if others.is_empty() {
        Ok(first)
    } else {
        Ok([&first[..], &others].concat().into())
    }
}

/// What hyper says of an exchange that failed after the request was handed over.
fn unanswered(error: &hyper::Error) -> Unanswered {
    if error.is_parse_too_large() {
        Unanswered::Invalid(InvalidAnswer::HeadTooLarge)
    } else if error.is_parse() {
        Unanswered::Invalid(InvalidAnswer::NotHttp)
    } else {
        Unanswered::Lost
    }
}
