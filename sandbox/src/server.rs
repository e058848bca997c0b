//! The listening side: accepts connections, reads one request after the other, routes each to the part that answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time;
use tokio_rustls::TlsAcceptor;

use crate::in_flight::Slot;
use crate::state::Shared;
use crate::wire::{Answer, Connection, Delivery, Next, Request, Transport};
use crate::{accounts, api, control};

/// How long to wait after a failed accept, which is most often a lack of descriptors that only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Which of Zoho's servers a port plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Both,
    Accounts,
    Api,
}

/// A bound port and what it is for.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) role: Role,
}

/// Accepts connections until the sandbox stops.
pub(crate) async fn run(shared: Arc<Shared>, port: Port) {
    // A connection that is accepted at the moment of stopping is dropped, as all others are.
    while let Some(accepted) = shared
        .stopping
        .run_until_cancelled(port.listener.accept())
        .await
    {
        match accepted {
            Ok((stream, _)) => spawn_connection(&shared, stream, &port),
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn spawn_connection(shared: &Arc<Shared>, stream: TcpStream, port: &Port) {
    shared.lock().book.ledger.connections += 1;
    let (shared, tls, role) = (Arc::clone(shared), port.tls.clone(), port.role);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        // An error is a client that went away, which is its right; stopping drops the connection as it stands.
        drop(
            shared
                .stopping
                .run_until_cancelled(serve(&shared, stream, tls, role))
                .await,
        );
    });
}

async fn serve(
    shared: &Arc<Shared>,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    role: Role,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => converse(shared, stream, role).await,
        Some(tls) => converse(shared, tls.accept(stream).await?, role).await,
    }
}

async fn converse<T: Transport>(shared: &Arc<Shared>, transport: T, role: Role) -> io::Result<()> {
    let mut connection = Connection::new(transport);
    loop {
        let idle_timeout = shared.lock().settings.idle_timeout();
        match connection.next(idle_timeout).await? {
            Next::Request(request) => {
                if !exchange(shared, &mut connection, role, &request).await? {
                    return Ok(());
                }
            }
            Next::Unreadable(unreadable) => {
                shared.lock().book.ledger.unreadable_requests += 1;
                return connection.refuse(unreadable).await;
            }
            Next::End => return Ok(()),
        }
    }
}

/// Answers one request. Whether the connection can take another one.
async fn exchange<T: Transport>(
    shared: &Arc<Shared>,
    connection: &mut Connection<T>,
    role: Role,
    request: &Request,
) -> io::Result<bool> {
    let (delivery, slot) = route(shared, role, request).await;
    let delivery = if request.is_last() {
        delivery.last()
    } else {
        delivery
    };
    if !delivery.wait.is_zero() {
        time::sleep(delivery.wait).await;
    }
    // The call ends before its last byte is on the way: else a client that sends its next one at once could be told
    // that it has too many in flight.
    let _in_flight = slot.filter(|_| delivery.goes_on());
    connection.deliver(&delivery).await
}

async fn route(shared: &Arc<Shared>, role: Role, request: &Request) -> (Delivery, Option<Slot>) {
    let path = request.path();
    if role != Role::Accounts && path.starts_with(control::PREFIX) {
        (control::answer(shared, request).into(), None)
    } else if role != Role::Api && path == accounts::TOKEN_PATH {
        (accounts::answer(shared, request), None)
    } else if role == Role::Accounts {
        (Answer::zoho_html(404).into(), None)
    } else {
        let (delivery, slot) = api::answer(shared, request).await;
        (delivery, Some(slot))
    }
}
