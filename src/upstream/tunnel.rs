//! A tunnel through the operator's proxy: CONNECT (RFC 9110, section 9.3.6), and nothing else.
//!
//! What goes through it is TLS end to end, so the proxy learns the host's name and no token. hyper-util has a tunnel too,
//! but its errors cannot be told apart, and it drops bytes that follow the proxy's answer.

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::unreachable::Unreachable;
use crate::config::ForwardProxy;
use crate::zoho::Origin;

/// The most that is read of the proxy's answer: the least that hyper can be told.
const MAX_ANSWER: usize = 8 * 1024;

/// Opens tunnels to one host.
#[derive(Clone)]
pub(super) struct Tunnel {
    host: Uri,
    headers: HeaderMap,
}

impl Tunnel {
    pub(super) fn new(to: &Origin, proxy: &ForwardProxy) -> Self {
        let host = format!("{}:{}", to.host(), to.port());
        let name = HeaderValue::try_from(&host).expect("a parsed host is visible ASCII");
        let authorization = proxy.authorization.clone();
        let authorization = authorization.map(|it| (PROXY_AUTHORIZATION, it));
        Self {
            host: host.parse().expect("host and port are an authority"),
            headers: [(HOST, name)].into_iter().chain(authorization).collect(),
        }
    }

    /// Asks the proxy at the other end for a tunnel; after that, the host is there.
    pub(super) async fn open(&self, proxy: TcpStream) -> Result<TcpStream, Unreachable> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_ANSWER).writev(false);
        let (mut sender, connection) = builder
            .handshake(TokioIo::new(proxy))
            .await
            .map_err(|error| failure(&error))?;

        let mut request = Request::connect(self.host.clone())
            .body(Empty::<Bytes>::new())
            .expect("an authority is what CONNECT takes");
        request.headers_mut().clone_from(&self.headers);
        let asked = async {
            let answer = sender.send_request(request).await;
            accepted(answer.map_err(|error| failure(&error))?.status())
        };
        let carried = async {
            connection
                .without_shutdown()
                .await
                .map_err(|error| failure(&error))
        };
        let ((), parts) = tokio::try_join!(asked, carried)?;
        // The host says nothing before it is spoken to: what came already is the proxy's, and no tunnel begins so.
        if parts.read_buf.is_empty() {
            Ok(parts.io.into_inner())
        } else {
            Err(Unreachable::ProxyInvalid)
        }
    }
}

fn accepted(status: StatusCode) -> Result<(), Unreachable> {
    if status.is_success() {
        Ok(())
    } else if status.is_client_error() {
        Err(Unreachable::ProxyRefused)
    } else if status.is_server_error() {
        Err(Unreachable::ProxyFailed)
    } else {
        Err(Unreachable::ProxyInvalid)
    }
}

fn failure(error: &hyper::Error) -> Unreachable {
    if error.is_parse() {
        Unreachable::ProxyInvalid
    } else {
        Unreachable::Closed
    }
}
