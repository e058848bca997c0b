//! A caller with one kept connection that repeats nothing: what it is told is what counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a caller waits for an answer: longer than the proxy promises to take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A caller.
#[derive(Default)]
pub(crate) struct Caller {
    connection: Option<SendRequest<Empty<Bytes>>>,
}

/// What a caller learned of a request, and how long that took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// The record that it named, and no other request.
    pub(crate) id: u64,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// What became of the photo, as far as a caller can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Deleted,
    Refused,
    NotSent,
    Unknown,
    /// No connection, so no request.
    NoConnection,
    /// The connection broke before the whole answer.
    Broken,
}

impl Outcome {
    /// As it stands in `Delete-Outcome`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Refused => "refused",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
            Self::NoConnection => "no connection",
            Self::Broken => "connection broken",
        }
    }

    fn parse(text: &str) -> Self {
        let known = [Self::Deleted, Self::Refused, Self::NotSent, Self::Unknown];
        known
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .unwrap_or_else(|| panic!("no outcome: {text:?}"))
    }
}

impl Caller {
    /// Deletes the photo of a record that nobody has named yet, on the kept connection if there is one and it is open.
    pub(crate) async fn delete_photo(&mut self, proxy: SocketAddr) -> Told {
        /// The next record. Real ids have as many digits.
        static RECORDS: AtomicU64 = AtomicU64::new(2_034_020_000_000_000_001);

        let id = RECORDS.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let outcome = timeout(PATIENCE, self.exchange(proxy, id)).await;
        let outcome = outcome.unwrap_or(Outcome::Broken);
        if outcome == Outcome::Broken {
            self.connection = None;
        }
        Told {
            id,
            outcome,
            took: begun.elapsed(),
        }
    }

    /// Lets the kept connection go: the next request needs a new one.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    async fn exchange(&mut self, proxy: SocketAddr, id: u64) -> Outcome {
        match self.connect(proxy).await {
            Ok(connection) => exchange(connection, id).await.unwrap_or(Outcome::Broken),
            Err(_) => Outcome::NoConnection,
        }
    }

    async fn connect(
        &mut self,
        proxy: SocketAddr,
    ) -> std::io::Result<&mut SendRequest<Empty<Bytes>>> {
        let open = match self.connection.take() {
            Some(mut kept) => kept.ready().await.is_ok().then_some(kept),
            None => None,
        };
        let connection = match open {
            Some(kept) => kept,
            None => connect(proxy).await?,
        };
        Ok(self.connection.insert(connection))
    }
}

async fn connect(proxy: SocketAddr) -> std::io::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(connection: &mut SendRequest<Empty<Bytes>>, id: u64) -> hyper::Result<Outcome> {
    let request = Request::delete(format!("/bigin/v2/Contacts/{id}/photo"))
        .header("Host", "proxy")
        .body(Empty::new())
        .unwrap();
    let (head, body) = connection.send_request(request).await?.into_parts();
    body.collect().await?;
    let Some(outcome) = head.headers.get("delete-outcome") else {
        // Other proxies pass Zoho's answer on as it is.
        let is_deleted = head.status == StatusCode::OK;
        return Ok(if is_deleted {
            Outcome::Deleted
        } else {
            Outcome::Unknown
        });
    };
    let outcome = Outcome::parse(outcome.to_str().unwrap());
    assert_eq!(
        head.status.is_success(),
        outcome == Outcome::Deleted,
        "status and outcome contradict each other"
    );
    Ok(outcome)
}
