//! One process of the program, started, watched and ended as an orchestrator does it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use zoho_sandbox::Sandbox;

use super::{Program, config_for};

/// How long a replica may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A replica that is ready. It is killed when dropped, as by SIGKILL.
pub(crate) struct Replica {
    program: Program,
    pub(crate) address: SocketAddr,
}

impl Replica {
    /// Starts one in front of `zoho`, with these keys, and waits until it says that it is ready.
    pub(crate) async fn start(zoho: &Sandbox, keys: &str) -> Self {
        let config = config_for(zoho, keys);
        let starting = tokio::task::spawn_blocking(move || {
            let mut program = Program::serve(&config);
            let addresses = program.addresses();
            // Nobody looks, but one whose log is not read would drop lines instead of writing them.
            let mut log = program.take_log();
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            (program, addresses)
        });
        let (program, (address, admin)) = starting.await.unwrap();
        let end = Instant::now() + PATIENCE;
        while !is_ready(admin).await {
            assert!(Instant::now() < end, "a replica does not become ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { program, address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Asks it to leave, and waits until it has: its exit code.
    pub(crate) async fn terminate(self) -> i32 {
        self.program.signal("TERM");
        let ended = tokio::task::spawn_blocking(|| self.program.end());
        ended.await.unwrap().0
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    let request = "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = ask(admin, request).await;
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Sends one request that asks for the end of the connection, and reads up to there.
pub(crate) async fn ask(server: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
