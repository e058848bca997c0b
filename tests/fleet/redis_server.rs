//! A real Redis, started for one test on a port of its own, without a file on disk but its log.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use redis::{FromRedisValue, RedisResult};
use tokio::net::TcpStream;

use crate::support::eventually;

/// A running redis-server. It is killed with the test.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With further arguments.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        // Free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let directory = std::env::temp_dir().join(format!("fleet-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&directory).unwrap();
        let mut arguments: Vec<_> = arguments.iter().map(|&it| it.to_owned()).collect();
        let with_tls = arguments
            .iter()
            .any(|argument| argument.starts_with("--tls"));
        let ports = if with_tls {
            ["--port", "0", "--tls-port"]
        } else {
            ["--port", "0", "--port"]
        };
        arguments.extend(ports.map(str::to_owned));
        arguments.push(port.to_string());
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--dir"];
        arguments.extend(fixed.map(str::to_owned));
        arguments.push(directory.display().to_string());
        let mut redis = Self {
            child: spawn(&arguments),
            port,
            directory,
            arguments,
        };
        redis.wait().await;
        redis
    }

    /// Keys of a configuration that use it.
    pub(crate) fn keys(&self) -> String {
        format!("token_store.url = {:?}", self.url())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What SAVE writes.
    pub(crate) fn dump(&self) -> PathBuf {
        self.directory.join("dump.rdb")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty, on the same port.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.arguments);
        self.wait().await;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Runs a command.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = self.connection().await.unwrap();
        let (name, arguments) = command.split_first().unwrap();
        let mut command = redis::cmd(name);
        command.arg(arguments);
        command.query_async(&mut connection).await.unwrap()
    }

    /// How many scripts it has run.
    pub(crate) async fn scripts_run(&self) -> u64 {
        let all: String = self.run(&["INFO", "commandstats"]).await;
        let of_scripts = all
            .lines()
            .find(|line| line.starts_with("cmdstat_evalsha:"));
        let calls = of_scripts.and_then(|line| line.split(['=', ',']).nth(1));
        calls.unwrap().parse().unwrap()
    }

    /// The keys that end like this; in a fleet with one account there is at most one.
    pub(crate) async fn keys_like(&self, end: &str) -> Vec<String> {
        self.run(&["KEYS", &format!("*{end}")]).await
    }

    /// A field of the one token.
    pub(crate) async fn token_field<T: FromRedisValue>(&self, field: &str) -> T {
        let keys = self.keys_like(":token").await;
        self.run(&["HGET", &keys[0], field]).await
    }

    pub(crate) async fn connection(&self) -> RedisResult<redis::aio::MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        client.get_multiplexed_async_connection().await
    }

    async fn wait(&mut self) {
        eventually("redis listens", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
        })
        .await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn spawn(arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("Debian's package redis-server is installed")
}
