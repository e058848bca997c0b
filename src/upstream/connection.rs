//! One HTTP/1.1 connection to Zoho's API, driven by the request that uses it.
//!
//! hyper wants a connection polled by a task of its own. Here the request polls it in place: no second task, no message
//! between two, and when the request ends, everything about the connection is known. While it is idle nobody polls it, so
//! whatever arrived meanwhile (an end, bytes nobody asked for) is seen before the next request is written.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::Request;
use http::response::Parts;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};
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
    /// Gone when the connection has ended: what still waits in it is handed back when it is dropped.
    driver: Option<Box<Driver>>,
    /// Goes off at the deadline of a request. Kept, because to put an alarm off is cheaper than to set a new one.
    alarm: Pin<Box<Sleep>>,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The connection was dead, and not a byte of the request was written.
    Unsent,
    /// The connection ended before an answer.
    Lost,
    /// The deadline passed.
    Late,
    /// There was an answer, but none to believe.
    Invalid(InvalidAnswer),
}

impl Connection {
    pub(super) async fn handshake(stream: Stream) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        // The number of headers stays at hyper's own limit of 100: any other one costs an allocation for each answer.
        builder.max_buf_size(MAX_HEAD).writev(false);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            driver: Some(Box::new(driver)),
            alarm: Box::pin(sleep_until(Instant::now())),
        })
    }

    /// Whether another request can be sent, as far as is known without waiting.
    pub(super) fn is_open(&mut self, context: &mut Context<'_>) -> bool {
        self.poll_driver(context);
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and reads its whole answer. The request is handed on here and now: a future would carry it along.
    pub(super) fn exchange(
        &mut self,
        request: Request<Empty<Bytes>>,
        deadline: Instant,
        progress: &Progress,
    ) -> impl Future<Output = Result<(Parts, Bytes), Unanswered>> {
        progress.sending();
        self.alarm.as_mut().reset(deadline);
        let sent = self.sender.try_send_request(request);
        async move {
            let (head, body) = self
                .drive(sent)
                .await?
                .map_err(|mut error| {
                    if error.take_message().is_some() {
                        progress.not_carried_out();
                        Unanswered::Unsent
                    } else {
                        unanswered(&error.into_error())
                    }
                })?
                .into_parts();
            let body = self.drive(whole(body)).await?;
            Ok((head, body.map_err(Unanswered::Invalid)?))
        }
    }

    /// Waits until the deadline for something that this connection brings, while moving its bytes. What is there already
    /// needs no moving.
    ///
    /// Nothing but the driver feeds what is awaited, and that is looked at after each of the driver's moves, so it needs
    /// no waker. The driver's own is left out at first when bytes have come: usually they are all, and taking them would
    /// ring for one more turn of everything.
    async fn drive<F: Future>(&mut self, awaited: F) -> Result<F::Output, Unanswered> {
        // Unconstrained: a future that is out of budget would say so to the waker that it does not have.
        let mut awaited = pin!(unconstrained(awaited));
        let mut bytes_have_come = false;
        poll_fn(|context| {
            let mut unwoken = Context::from_waker(Waker::noop());
            if bytes_have_come {
                self.poll_driver(&mut unwoken);
            }
            if let Poll::Ready(output) = awaited.as_mut().poll(&mut unwoken) {
                return Poll::Ready(Ok(output));
            }
            bytes_have_come = true;
            self.poll_driver(context);
            if let Poll::Ready(output) = awaited.as_mut().poll(&mut unwoken) {
                return Poll::Ready(Ok(output));
            }
            // Unconstrained too: bytes without end use up the budget, and would put the alarm off for ever.
            let mut alarm = unconstrained(self.alarm.as_mut());
            let rings = Pin::new(&mut alarm).poll(context);
            rings.map(|()| Err(Unanswered::Late))
        })
        .await
    }

    fn poll_driver(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(&mut **driver).poll(context).is_ready()
        {
            self.driver = None;
        }
    }
}

/// Reads a body to its end. Nearly always it is one frame, which needs no copy.
async fn whole(mut body: Incoming) -> Result<Bytes, InvalidAnswer> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(InvalidAnswer::BodyTooLarge);
    }
    let (mut first, mut others) = (Bytes::new(), Vec::new());
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::task::consume_budget;

    use super::*;

    #[tokio::test]
    async fn bytes_without_end_that_use_up_the_budget_do_not_put_the_deadline_off() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(silent.local_addr().unwrap());
        let stream = Either::Left(stream.await.unwrap());
        let mut connection = Connection::handshake(stream).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        let progress = Progress::default();
        let exchange = connection.exchange(Request::new(Empty::new()), deadline, &progress);
        let mut exchange = pin!(exchange);

        let with_no_budget_left = poll_fn(|context| {
            while pin!(consume_budget()).poll(context).is_ready() {}
            exchange.as_mut().poll(context)
        });
        let result = tokio::time::timeout(Duration::from_secs(5), with_no_budget_left).await;

        assert!(matches!(result, Ok(Err(Unanswered::Late))));
    }
}
