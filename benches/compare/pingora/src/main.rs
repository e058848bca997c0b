//! The same job with pingora: its proxy, its pool, nothing else.

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::prelude::*;
use pingora::server::configuration::{Opt, ServerConf};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Photos {
    /// Address and port of the upstream.
    address: String,
    tls: bool,
    host: String,
    authorization: String,
}

#[async_trait]
impl ProxyHttp for Photos {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> Result<bool> {
        let known = is_photo(session.req_header().uri.path());
        if !known {
            session.respond_error(404).await?;
        }
        Ok(!known)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let peer = HttpPeer::new(self.address.as_str(), self.tls, "localhost".to_owned());
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        request.insert_header("Host", self.host.as_str())?;
        request.insert_header("Authorization", self.authorization.as_str())
    }
}

fn is_photo(path: &str) -> bool {
    let record = path
        .strip_prefix("/bigin/v2/Contacts/")
        .and_then(|rest| rest.strip_suffix("/photo"));
    record.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn main() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is missing"));
    let upstream = variable("UPSTREAM");
    let (scheme, host) = upstream.split_once("://").expect("UPSTREAM is a URL");
    let configuration = ServerConf {
        threads: variable("WORKERS").parse().expect("WORKERS is a number"),
        upstream_keepalive_pool_size: 1024,
        ca_file: std::env::var("CA_FILE").ok(),
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..Default::default()
    };
    let photos = Photos {
        address: host.replace("localhost", "127.0.0.1"),
        tls: scheme == "https",
        host: host.to_owned(),
        authorization: format!("Zoho-oauthtoken {}", variable("TOKEN")),
    };
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, photos);
    service.add_tcp(&variable("LISTEN"));
    server.add_service(service);
    server.run_forever();
}
