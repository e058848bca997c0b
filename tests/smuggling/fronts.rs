//! haproxy and nginx in front of the proxy, as lenient as they can be made, with one kept connection to it that all callers
//! share.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::eventually;

/// A proxy in front. It ends with the test.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Front {
    pub(super) async fn haproxy(behind: SocketAddr) -> Self {
        Self::start("haproxy", &["-db", "-q", "-f"], |address, _| {
            format!(
                "global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    http-reuse always
frontend callers
    bind {address}
    option accept-invalid-http-request
    default_backend photos
backend photos
    option accept-invalid-http-response
    server proxy {behind} maxconn 1
"
            )
        })
        .await
    }

    pub(super) async fn nginx(behind: SocketAddr) -> Self {
        Self::start("nginx", &["-c"], |address, folder| {
            format!(
                "daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    upstream photos {{
        server {behind};
        keepalive 1;
    }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://photos;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_ignore_client_abort on;
        }}
    }}
}}
"
            )
        })
        .await
    }

    /// Starts a program on a free port with the configuration that is written for it.
    async fn start(
        program: &str,
        arguments: &[&str],
        config: impl FnOnce(SocketAddr, &str) -> String,
    ) -> Self {
        let folder = std::env::temp_dir().join(format!("{program}-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let file = folder.join("config");
        std::fs::write(&file, config(address, folder.to_str().unwrap())).unwrap();
        drop(free);
        // Not on everybody's path.
        let mut command = Command::new(format!("/usr/sbin/{program}"));
        command.args(arguments).arg(&file);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{program}, which tests/run installs: {error}"));
        eventually("it listens", async || {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        Self {
            address,
            child,
            folder,
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
