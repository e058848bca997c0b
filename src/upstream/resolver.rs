//! The addresses of one host, from the system's resolver.
//!
//! That one cannot be interrupted: each question that it leaves open holds up a thread until it gives up, some ten seconds
//! later. Invariants: there is never a second question beside an open one, so that while nothing is answered nothing piles
//! up; and what is answered is asked anew, for addresses change. How long anybody waits is not decided here.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::vec;

use futures_util::FutureExt;
use futures_util::future::Shared;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::task::AbortHandle;
use tower::Service;

/// Asks the system, and waits for it.
type Lookup = fn(&str) -> io::Result<Vec<SocketAddr>>;

type Answer = Result<Vec<SocketAddr>, DnsError>;

type Asking<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The resolver of one host. Clones share the question.
#[derive(Clone)]
pub(super) struct Resolver {
    lookup: Lookup,
    open: Arc<Mutex<Option<Question>>>,
}

/// A question, and those who wait for its answer.
struct Question {
    task: AbortHandle,
    answer: Shared<Asking<Answer>>,
}

/// The name has no address, or nobody says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host name cannot be resolved")]
pub(super) struct DnsError;

impl Resolver {
    pub(super) fn new(lookup: Lookup) -> Self {
        let open = Arc::default();
        Self { lookup, open }
    }

    /// The answer to the open question, or to a new one.
    fn ask(&self, name: Name) -> Shared<Asking<Answer>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = &*open
            && !question.task.is_finished()
        {
            return question.answer.clone();
        }
        let lookup = self.lookup;
        let asking = tokio::task::spawn_blocking(move || lookup(name.as_str()));
        let task = asking.abort_handle();
        let answer = asking.map(|found| match found {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ => Err(DnsError),
        });
        let answer = answer.boxed().shared();
        *open = Some(Question {
            task,
            answer: answer.clone(),
        });
        answer
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = DnsError;
    type Future = Asking<Result<Self::Response, DnsError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DnsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.ask(name).map(|answer| answer.map(Vec::into_iter)))
    }
}
