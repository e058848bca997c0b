//! New connections to one API: DNS, TCP, perhaps a tunnel, and TLS, each failure told apart.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tower::Service;
use tower::util::ServiceFn;

use super::connection::{Connection, Stream};
use super::tunnel::Tunnel;
use super::unreachable::Unreachable;
use crate::config::UpstreamConfig;
use crate::zoho::Origin;

type Addresses = Pin<Box<dyn Future<Output = Result<vec::IntoIter<SocketAddr>, DnsError>> + Send>>;
type Resolver = ServiceFn<fn(Name) -> Addresses>;

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
        let mut tcp =
            HttpConnector::new_with_resolver(tower::service_fn(resolve as fn(Name) -> Addresses));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let name = || {
            ServerName::try_from(api.host().trim_matches(['[', ']']).to_owned())
                .expect("Origin parsed it")
        };
        let proxy = config.proxy.as_ref().filter(|_| api.is_tls());
        let first = proxy.map_or_else(|| api.to_string(), |proxy| proxy.url.to_string());
        Self {
            first: first.parse().expect("an origin is a URI"),
            tcp,
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

/// The system's resolver. A type of our own marks its failures.
fn resolve(name: Name) -> Addresses {
    Box::pin(async move {
        let found = tokio::net::lookup_host((name.as_str(), 0))
            .await
            .map_err(DnsError)?;
        Ok(found.collect::<Vec<_>>().into_iter())
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the host name cannot be resolved")]
struct DnsError(#[source] io::Error);

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
