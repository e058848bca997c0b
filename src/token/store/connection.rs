//! The connection to the store: opened when it is needed, driven by whoever waits for an answer, dropped at the first
//! doubt.
//!
//! Invariants: nothing here takes longer than its time limit, and a store that has just failed is left alone for as long as
//! a command may take.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, ScriptInvocation,
    ServerErrorKind, Value,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::config::TokenStoreConfig;

/// Name, TCP, TLS and password are several exchanges: so many commands' time.
const COMMANDS_TO_CONNECT: u32 = 4;

/// Why the store did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// Nothing was tried.
    #[error("it has just failed and is left alone for a moment")]
    Resting,
    /// Its name is not known here.
    #[error("its name cannot be resolved")]
    Dns,
    /// TCP or the greeting failed.
    #[error("no connection can be made")]
    Unreachable,
    /// TLS failed.
    #[error(
        "TLS fails: what answers there has no certificate that is trusted for its name, or speaks none"
    )]
    Tls,
    /// The time for a command was over.
    #[error("no answer in time")]
    TimedOut,
    /// An end or a reset.
    #[error("the connection broke")]
    Lost,
    /// Access control.
    #[error("it refuses the user, the password or the command")]
    Refused,
    /// MOVED and the like.
    #[error("it is a node of a cluster: only a single Redis or Valkey is supported")]
    Cluster,
    /// It follows another one.
    #[error("it is a read-only replica")]
    ReadOnly,
    /// Any other error of its own: it is loading, or cannot save, for example.
    #[error("it answers with an error: its own log says which")]
    Failing,
    /// An answer that is none.
    #[error("its answer makes no sense")]
    Odd,
}

impl Away {
    /// One word, for metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Dns => "dns",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::TimedOut => "timeout",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Cluster => "cluster",
            Self::ReadOnly => "read_only",
            Self::Failing => "failing",
            Self::Odd => "odd",
        }
    }
}

/// Messages of the server are not passed on: they may quote what was sent.
impl From<RedisError> for Away {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            _ if error.is_cluster_error() => Self::Cluster,
            ErrorKind::Server(ServerErrorKind::CrossSlot) => Self::Cluster,
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly,
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Self::Refused
            }
            ErrorKind::Extension if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => {
                Self::Refused
            }
            ErrorKind::Extension | ErrorKind::Server(_) => Self::Failing,
            ErrorKind::Io => Self::Lost,
            _ => Self::Odd,
        }
    }
}

/// The connection, if there is one.
pub(super) struct Connection {
    place: Place,
    open: Option<Open>,
    not_before: Instant,
}

/// Where the store is and how it is greeted.
struct Place {
    config: Arc<TokenStoreConfig>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// A look at the resolver that has not ended: it cannot be interrupted, so there is never a second one beside it.
    resolving: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
}

/// Commands go in at one end; the driver carries them while somebody waits.
struct Open {
    commands: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Open {
    /// Waits for the answer to a command, and carries both meanwhile.
    async fn driven<T>(
        &mut self,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Away> {
        tokio::select! {
            answer = answer => answer.map_err(Away::from),
            () = &mut self.driver => Err(Away::Lost),
        }
    }
}

impl Connection {
    /// Not open yet. The configuration of TLS is used if the store asks for it.
    pub(super) fn new(config: Arc<TokenStoreConfig>, tls: &Arc<ClientConfig>) -> Self {
        let name = config.tls_name.clone();
        let tls = name.map(|name| (TlsConnector::from(Arc::clone(tls)), name));
        Self {
            place: Place {
                config,
                tls,
                resolving: None,
            },
            open: None,
            not_before: Instant::now(),
        }
    }

    pub(super) fn command_timeout(&self) -> Duration {
        self.place.config.command_timeout
    }

    /// Runs a script. It may run twice: its second run must do no more than the first has done.
    pub(super) async fn run(&mut self, script: &ScriptInvocation<'_>) -> Result<Value, Away> {
        if Instant::now() < self.not_before {
            return Err(Away::Resting);
        }
        let was_open = self.open.is_some();
        let mut answer = self.run_once(script).await;
        // The store may have been restarted since the last command, which shows only now.
        if was_open && answer == Err(Away::Lost) {
            answer = self.run_once(script).await;
        }
        if answer.is_err() {
            self.not_before = Instant::now() + self.place.config.command_timeout;
        }
        answer
    }

    async fn run_once(&mut self, script: &ScriptInvocation<'_>) -> Result<Value, Away> {
        // Taken, and put back only after an answer: an unanswered command would leave its answer to the next one.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.place.connect().await?,
        };
        let mut commands = open.commands.clone();
        let answer = open.driven(script.invoke_async(&mut commands));
        let answer = tokio::time::timeout(self.place.config.command_timeout, answer);
        let answer = answer.await.unwrap_or(Err(Away::TimedOut));
        if answer.is_ok() {
            self.open = Some(open);
        }
        answer
    }
}

impl Place {
    async fn connect(&mut self) -> Result<Open, Away> {
        let limit = self.config.command_timeout * COMMANDS_TO_CONNECT;
        tokio::time::timeout(limit, self.dial())
            .await
            .unwrap_or(Err(Away::Unreachable))
    }

    async fn dial(&mut self) -> Result<Open, Away> {
        let addresses = self.resolve().await.ok_or(Away::Dns)?;
        let tcp = TcpStream::connect(&*addresses)
            .await
            .or(Err(Away::Unreachable))?;
        // Commands are small, and somebody waits for each. If it cannot be set, they are only slower.
        drop(tcp.set_nodelay(true));
        match &self.tls {
            None => self.greet(tcp).await,
            Some((tls, name)) => {
                let tls = tls.connect(name.clone(), tcp).await;
                self.greet(tls.or(Err(Away::Tls))?).await
            }
        }
    }

    async fn resolve(&mut self) -> Option<Vec<SocketAddr>> {
        let place = (self.config.host.clone(), self.config.port);
        let resolving = self.resolving.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || Ok(place.to_socket_addrs()?.collect()))
        });
        let found = resolving.await;
        self.resolving = None;
        found.ok()?.ok()
    }

    async fn greet<S>(&self, stream: S) -> Result<Open, Away>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let mut session = RedisConnectionInfo::default()
            .set_db(self.config.database)
            .set_lib_name("bigin-photo-proxy", env!("CARGO_PKG_VERSION"));
        if let Some(password) = &self.config.password {
            session = session.set_password(password.expose());
        }
        if !self.config.user.is_empty() {
            session = session.set_username(&self.config.user);
        }
        // Time is limited here, for connecting and answering alike.
        let limits = AsyncConnectionConfig::new().set_response_timeout(None);
        let (commands, driver) =
            MultiplexedConnection::new_with_config(&session, stream, limits).await?;
        let mut open = Open {
            commands,
            driver: Box::pin(driver),
        };
        // Who lacks a password is told so only after a short command: a long one ends the connection without a word.
        let mut commands = open.commands.clone();
        open.driven(redis::cmd("PING").query_async::<()>(&mut commands))
            .await?;
        Ok(open)
    }
}
