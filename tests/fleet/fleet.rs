//! Replicas of the program, as processes.

use std::io::BufRead;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use tokio::time::Instant;
use zoho_sandbox::{Sandbox, Settings};

use crate::support::app::{reply, sum_of};
use crate::support::{Program, Reply, client, config_for, eventually};

/// A Zoho that takes many calls, so that its other limits are the ones that are met.
pub(crate) async fn zoho_with(change: impl FnOnce(&mut Settings)) -> Sandbox {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.concurrency = 100_000;
        settings.credits = 100_000_000;
        settings.keep_requests = 1;
        change(settings);
    });
    zoho
}

/// One replica.
pub(crate) struct Replica {
    pub(crate) program: Program,
    pub(crate) caller: Caller,
    admin: SocketAddr,
    /// The log so far, without the requests.
    log: Arc<Mutex<Vec<Value>>>,
}

/// Somebody who calls one replica.
#[derive(Clone)]
pub(crate) struct Caller {
    address: SocketAddr,
    client: reqwest::Client,
}

impl Caller {
    /// Deletes a photo.
    pub(crate) async fn delete(&self, id: u64) -> Reply {
        let url = format!("http://{}/bigin/v2/Contacts/{id}/photo", self.address);
        reply(self.client.delete(url)).await
    }
}

impl Replica {
    /// A replica that serves, and may have no token yet.
    pub(crate) fn start(config: &str) -> Self {
        Self::serving(Program::serve(config), &client())
    }

    fn serving(mut program: Program, client: &reqwest::Client) -> Self {
        let (address, admin) = program.addresses();
        let output = program.take_log();
        let log = Arc::default();
        let lines = Arc::clone(&log);
        std::thread::spawn(move || keep_what_is_no_request(output, &lines));
        Self {
            log,
            program,
            caller: Caller {
                address,
                client: client.clone(),
            },
            admin,
        }
    }

    /// Deletes a photo as a caller does.
    pub(crate) async fn delete(&self, id: u64) -> Reply {
        self.caller.delete(id).await
    }

    /// A path of the operators' listener.
    pub(crate) async fn admin(&self, path: &str) -> Reply {
        reply(
            self.caller
                .client
                .get(format!("http://{}{path}", self.admin)),
        )
        .await
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.admin("/readyz").await.status == 200
    }

    /// The first log line with this message; waits for it.
    pub(crate) async fn line(&self, message: &str) -> Value {
        let mut found = None;
        eventually(message, async || {
            let log = self.log.lock().unwrap();
            found = log.iter().find(|line| line["message"] == message).cloned();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// The versions of the tokens that it has used, in this order, as its log tells.
    pub(crate) fn versions(&self) -> Vec<u64> {
        let log = self.log.lock().unwrap();
        let tokens = log.iter().filter(|line| {
            let message = line["message"].as_str().unwrap_or_default();
            ["access token renewed", "access token taken from the store"].contains(&message)
        });
        tokens
            .map(|line| line["version"].as_u64().unwrap())
            .collect()
    }

    /// The sum of a metric over all series that have these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum_of(&self.admin("/metrics").await.body, name, labels)
    }
}

fn keep_what_is_no_request(output: impl BufRead, lines: &Mutex<Vec<Value>>) {
    for line in output.lines().map_while(Result::ok) {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["outcome"].is_null() {
            lines.lock().unwrap().push(line);
        }
    }
}

/// So many replicas that are started together.
pub(crate) fn start(count: usize, config: &str) -> Vec<Replica> {
    let client = client();
    let programs: Vec<_> = (0..count).map(|_| Program::serve(config)).collect();
    programs
        .into_iter()
        .map(|program| Replica::serving(program, &client))
        .collect()
}

/// The configuration of a replica at `zoho`, without the pause before the end.
pub(crate) fn config(zoho: &Sandbox, keys: &str) -> String {
    config_for(zoho, &format!("server.drain_delay = \"0s\"\n{keys}"))
}

/// Waits until every replica is ready.
pub(crate) async fn all_ready(replicas: &[Replica], within: Duration) {
    let end = Instant::now() + within;
    for replica in replicas {
        while !replica.is_ready().await {
            assert!(Instant::now() < end, "not all are ready after {within:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// So many replicas, ready.
pub(crate) async fn ready(count: usize, config: &str) -> Vec<Replica> {
    let replicas = start(count, config);
    all_ready(&replicas, Duration::from_secs(20)).await;
    replicas
}
