//! The handle: starts a sandbox, steers it, asks it what happened, stops it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::faults::{ApiFault, TokenFault, When};
use crate::ledger::Ledger;
use crate::server::{self, Port, Role};
use crate::settings::Settings;
use crate::state::Shared;

/// A running sandbox. Clones are handles of the same one; it stops when the last of them is dropped.
#[derive(Clone, Debug)]
pub struct Sandbox {
    running: Arc<Running>,
}

/// What ends with the last handle. (The tasks hold the shared state, so that cannot be it.)
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    accounts_address: SocketAddr,
}

impl Sandbox {
    /// Starts a sandbox with the default settings on a free port of 127.0.0.1, on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// If no port can be bound, which a test could do nothing about.
    pub async fn start() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::bind(any_port, Settings::default())
            .await
            .expect("the sandbox can bind a free port of 127.0.0.1")
    }

    /// Starts a sandbox on this address, port 0 being any free one. Fails if the address is not a loopback one (anyone
    /// who reaches the sandbox can steer it) or cannot be bound.
    pub async fn bind(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        Self::open(address, settings, None).await
    }

    /// The same, over TLS. The configuration should offer HTTP/1.1 alone by ALPN: the sandbox speaks nothing else.
    pub async fn bind_tls(
        address: SocketAddr,
        settings: Settings,
        tls: Arc<ServerConfig>,
    ) -> io::Result<Self> {
        Self::open(address, settings, Some(TlsAcceptor::from(tls))).await
    }

    async fn open(
        address: SocketAddr,
        settings: Settings,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        require_loopback(address)?;
        let (api, accounts) = bind_ports(address, settings.separate_accounts_port).await?;
        let address = api.local_addr()?;
        let accounts_address = accounts
            .as_ref()
            .map_or(Ok(address), TcpListener::local_addr)?;
        let url = if tls.is_some() { tls_url } else { plain_url };
        let shared = Arc::new(Shared::new(settings, url(address), url(accounts_address)));
        for port in ports(api, accounts, tls.as_ref()) {
            shared.tasks.spawn(server::run(Arc::clone(&shared), port));
        }
        let running = Running {
            shared,
            address,
            accounts_address,
        };
        Ok(Self {
            running: Arc::new(running),
        })
    }

    /// The address of the API, and of the accounts server unless that has a port of its own.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// The address of the accounts server.
    #[must_use]
    pub fn accounts_address(&self) -> SocketAddr {
        self.running.accounts_address
    }

    /// The origin of the accounts server: `http://127.0.0.1:…`, or `https://localhost:…` with TLS.
    #[must_use]
    pub fn accounts_url(&self) -> String {
        self.running.shared.accounts_url.clone()
    }

    /// The origin of the API.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.running.shared.api_url.clone()
    }

    /// The current settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.running.shared.lock().settings.clone()
    }

    /// Changes settings while the sandbox runs, for all requests that come after.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.running.shared.lock().settings);
    }

    /// Queues a fault of the token endpoint. A request meets the first queued fault whose time it is.
    pub fn on_token(&self, when: When, fault: TokenFault) {
        self.running.shared.lock().token_faults.push(when, fault);
    }

    /// Queues a fault of the API, of whole-record deletions too. A request meets the first queued fault whose time it is.
    pub fn on_delete(&self, when: When, fault: ApiFault) {
        self.running.shared.lock().api_faults.push(when, fault);
    }

    /// Forgets all faults. A call that is already hanging goes on hanging.
    pub fn well(&self) {
        self.running.shared.well();
    }

    /// Makes all live tokens invalid at once.
    pub fn revoke_tokens(&self) {
        self.running.shared.lock().tokens.revoke_all();
    }

    /// Makes the oldest live token invalid, as one token too many does.
    pub fn evict_oldest_token(&self) {
        self.running.shared.lock().tokens.evict_oldest();
    }

    /// A snapshot of what really happened.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.running.shared.lock().ledger()
    }

    /// Begins anew, with the current settings: no faults, no tokens, an empty ledger, fresh limits, the seed from its
    /// start. Connections stay, and calls that are under way end in the new ledger.
    pub fn reset(&self) {
        self.running.shared.lock().reset();
    }

    /// Closes the ports and every connection; connecting is refused afterwards. The ledger can still be read.
    pub async fn stop(&self) {
        let shared = &self.running.shared;
        shared.stopping.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

fn require_loopback(address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let problem = format!("{address} is not a loopback address");
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// The listener of the API, and that of the accounts server if it has one: a free port of the same address.
async fn bind_ports(
    address: SocketAddr,
    separate: bool,
) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let api = TcpListener::bind(address).await?;
    if !separate {
        return Ok((api, None));
    }
    let accounts = TcpListener::bind((address.ip(), 0)).await?;
    Ok((api, Some(accounts)))
}

/// What each listener is for. Without a second one, the first plays both servers.
fn ports(api: TcpListener, accounts: Option<TcpListener>, tls: Option<&TlsAcceptor>) -> Vec<Port> {
    let port = |listener, role| Port {
        listener,
        tls: tls.cloned(),
        role,
    };
    match accounts {
        None => vec![port(api, Role::Both)],
        Some(accounts) => vec![port(api, Role::Api), port(accounts, Role::Accounts)],
    }
}

fn plain_url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// With TLS the name counts, and certificates are made for `localhost`.
fn tls_url(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}
