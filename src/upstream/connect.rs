//! New connections to one API: DNS, TCP, perhaps a tunnel, and TLS, each failure told apart.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tower::Service;

use super::connection::{Connection, Stream};
use super::resolver::{DnsError, Resolver};
use super::tunnel::Tunnel;
use super::unreachable::Unreachable;
use crate::config::UpstreamConfig;
use crate::zoho::Origin;

/// Opens connections to one API.
#[derive(Clone)]
pub struct Connector {
    /// The host that is connected to: the API's, or the proxy's on the way.
    first: Uri,
    tcp: HttpConnector<Resolver>,
    tunnel: Option<Tunnel>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Connector {
    /// A connector to `api`. The configuration of TLS is used if `api` asks for it, and so is the proxy: what is not
    /// encrypted stays on this host.
    #[must_use]
    pub fn new(api: &Origin, tls: &Arc<ClientConfig>, config: &UpstreamConfig) -> Self {
        let name = || {
            ServerName::try_from(api.host().trim_matches(['[', ']']).to_owned())
                .expect("Origin parsed it")
        };
        let proxy = config.proxy.as_ref().filter(|_| api.is_tls());
        let first = proxy.map_or_else(|| api.to_string(), |proxy| proxy.url.to_string());
        Self {
            first: first.parse().expect("an origin is a URI"),
            tcp: tcp(Resolver::default(), config.connect_timeout),
            tunnel: proxy.map(|proxy| Tunnel::new(api, proxy)),
            tls: api
                .is_tls()
                .then(|| (TlsConnector::from(Arc::clone(tls)), name())),
            timeout: config.connect_timeout,
        }
    }

    /// A new connection that is ready for a request.
    pub(super) async fn connect(&self) -> Result<Connection, Unreachable> {
        let stream = tokio::time::timeout(self.timeout, self.open())
            .await
            .or(Err(Unreachable::TimedOut))??;
        Connection::handshake(stream)
            .await
            .or(Err(Unreachable::Closed))
    }

    /// Makes a connection for nothing but to know whether one can be made.
    pub async fn try_to_connect(&self) -> Result<(), Unreachable> {
        self.connect().await.map(drop)
    }

    async fn open(&self) -> Result<Stream, Unreachable> {
        let tcp = self
            .tcp
            .clone()
            .call(self.first.clone())
            .await
            .map_err(|error| tcp_failure(&error))?
            .into_inner();
        let tcp = match &self.tunnel {
            None => tcp,
            Some(tunnel) => tunnel.open(tcp).await?,
        };
        match &self.tls {
            None => Ok(Either::Left(tcp)),
            Some((tls, name)) => {
                let stream = tls
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(|error| tls_failure(&error))?;
                Ok(Either::Right(stream))
            }
        }
    }
}

fn tcp(resolver: Resolver, timeout: Duration) -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Of several addresses each has a share, so that a dead one leaves time for the others.
    tcp.set_connect_timeout(Some(timeout));
    tcp
}

/// What certificates to trust: the system's, and those of `further`. Without `needed`, none: it spares the reading.
pub fn tls_config(further: &RootCertStore, needed: bool) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if needed {
        // A single unreadable file among the system's is no reason to fail; that none is readable is one, below.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.extend(further.roots.iter().cloned());
        anyhow::ensure!(
            !roots.is_empty(),
            "no certificate authority to trust: install ca-certificates, or set upstream.ca_file"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn tcp_failure(error: &(dyn StdError + 'static)) -> Unreachable {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<DnsError>() {
            return Unreachable::Dns;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused => Unreachable::Refused,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    Unreachable::Unroutable
                }
                io::ErrorKind::TimedOut => Unreachable::TimedOut,
                _ => Unreachable::Failed,
            };
        }
        cause = error.source();
    }
    Unreachable::Failed
}

fn tls_failure(error: &io::Error) -> Unreachable {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::InvalidCertificate(_)) => Unreachable::Certificate,
        Some(rustls::Error::AlertReceived(_)) => Unreachable::TlsAlert,
        _ => Unreachable::Tls,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, Mutex};

    use socket2::{Domain, Socket, Type};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    /// A connector to a host whose addresses are found so.
    fn connector(port: u16, lookup: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Connector {
        Connector {
            first: format!("http://api.test:{port}").parse().unwrap(),
            tcp: tcp(Resolver::new(lookup), PATIENCE),
            tunnel: None,
            tls: None,
            timeout: PATIENCE,
        }
    }

    fn at(address: [u8; 4]) -> Vec<SocketAddr> {
        vec![(address, 0).into()]
    }

    /// Where the next one comes in.
    fn accept(listener: &TcpListener) -> IpAddr {
        listener.accept().unwrap().0.local_addr().unwrap().ip()
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_a_failure_of_dns() {
        let connector = connector(1, |_| Ok(Vec::new()));

        assert_eq!(connector.try_to_connect().await, Err(Unreachable::Dns));
    }

    #[tokio::test]
    async fn an_address_that_changes_is_found_by_the_next_connection() {
        static NOW: Mutex<[u8; 4]> = Mutex::new([127, 0, 0, 1]);
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
        let connector = connector(port, |_| Ok(at(*NOW.lock().unwrap())));
        assert_eq!(connector.try_to_connect().await, Ok(()));
        assert_eq!(accept(&first), IpAddr::from([127, 0, 0, 1]));

        *NOW.lock().unwrap() = [127, 0, 0, 2];

        assert_eq!(connector.try_to_connect().await, Ok(()));
        assert_eq!(accept(&second), IpAddr::from([127, 0, 0, 2]));
    }

    #[tokio::test]
    async fn a_question_that_is_not_answered_is_given_up_in_time_and_not_asked_a_second_time() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static ANSWERED: Barrier = Barrier::new(2);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connector = connector(listener.local_addr().unwrap().port(), |_| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            ANSWERED.wait();
            Ok(at([127, 0, 0, 1]))
        });

        for _ in 0..3 {
            let given_up = connector.try_to_connect().await;
            assert_eq!(given_up, Err(Unreachable::TimedOut));
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        let (connected, _) = tokio::join!(connector.try_to_connect(), async { ANSWERED.wait() });

        assert_eq!(connected, Ok(()));
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_the_others() {
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = live.local_addr().unwrap().port();
        // A queue that is full answers nobody.
        let dead = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 3], port));
        dead.bind(&address.into()).unwrap();
        dead.listen(0).unwrap();
        let connect = || TcpStream::connect_timeout(&address, PATIENCE);
        let _queue: Vec<_> = std::iter::from_fn(|| connect().ok()).collect();
        let connector = connector(port, |_| {
            Ok([at([127, 0, 0, 3]), at([127, 0, 0, 1])].concat())
        });

        assert_eq!(connector.try_to_connect().await, Ok(()));
    }
}
