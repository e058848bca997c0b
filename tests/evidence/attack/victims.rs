//! Who is attacked: this proxy, and those that do the same job, configured as in `benches/compare`.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;
use zoho_sandbox::Sandbox;

use crate::support::{Replica, ask};

/// A running proxy. It ends when dropped.
pub(super) enum Victim {
    Ours(Replica),
    Peer(Peer),
}

impl Victim {
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Ours(replica) => replica.address,
            Self::Peer(peer) => peer.address,
        }
    }

    /// Its share of memory in bytes: what it shares with others counts in part.
    pub(super) fn memory(&self) -> u64 {
        let pid = match self {
            Self::Ours(replica) => replica.pid(),
            Self::Peer(peer) => peer.process.id(),
        };
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib: u64 = pss.unwrap().trim_end_matches("kB").trim().parse().unwrap();
        kib * 1024
    }
}

/// Another proxy that does the same job.
pub(super) struct Peer {
    process: Child,
    pub(super) address: SocketAddr,
    directory: PathBuf,
}

impl Peer {
    pub(super) async fn nginx(zoho: &Sandbox) -> Self {
        let template = include_str!("../../../benches/compare/conf/nginx.conf");
        let arguments = |config: &str| ["-c", config].map(ToOwned::to_owned).to_vec();
        Self::start("nginx", template, arguments, zoho).await
    }

    pub(super) async fn haproxy(zoho: &Sandbox) -> Self {
        let template = include_str!("../../../benches/compare/conf/haproxy.cfg");
        let arguments = |config: &str| ["-db", "-f", config].map(ToOwned::to_owned).to_vec();
        Self::start("haproxy", template, arguments, zoho).await
    }

    /// One process with one worker.
    async fn start(
        program: &str,
        template: &str,
        arguments: impl Fn(&str) -> Vec<String>,
        zoho: &Sandbox,
    ) -> Self {
        let address = free_address();
        let directory = std::env::temp_dir().join(format!("{program}-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&directory).unwrap();
        let values = [
            ("@dir@", directory.to_str().unwrap().to_owned()),
            ("@port@", address.port().to_string()),
            ("@upstream_port@", zoho.address().port().to_string()),
            ("@host@", zoho.address().ip().to_string()),
            ("@token@", access_token(zoho).await),
            ("@workers@", "1".to_owned()),
            ("@master@", "off".to_owned()),
            ("@scheme@", "http".to_owned()),
            ("@tls@", String::new()),
            ("@ca@", "/etc/ssl/certs/ca-certificates.crt".to_owned()),
        ];
        let config = values
            .iter()
            .fold(template.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            });
        let path = directory.join("config");
        std::fs::write(&path, config).unwrap();
        let process = Command::new(program)
            .args(arguments(path.to_str().unwrap()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        Self {
            process,
            address,
            directory,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing depends on how well that goes.
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// A port that was free a moment ago, for those who cannot choose one themselves.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// An access token, which the peers cannot get themselves.
async fn access_token(zoho: &Sandbox) -> String {
    let settings = zoho.settings();
    let form = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        settings.client_id, settings.client_secret, settings.refresh_token
    );
    let request = format!(
        "POST /oauth/v2/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = ask(zoho.accounts_address(), &request).await.unwrap();
    let (_, token) = answer.split_once("\"access_token\":\"").unwrap();
    token.split('"').next().unwrap().to_owned()
}
