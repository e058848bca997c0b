//! No secret leaves the process but for Zoho, in any spelling and on any way out; and what is planted there is found.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zoho_sandbox::{Sandbox, TokenFault, When};

use crate::canary::Canary;
use crate::fleet::zoho_with;
use crate::redis_server::Redis;
use crate::relay::Relay;
use crate::support::{Mounted, Program, client, eventually};

/// Nothing in them is a word, so that nothing of them is anywhere by chance.
const CLIENT_SECRET: &str = "b7e23ec29af22b0b4e41da31e868d57226121c84";
const REFRESH_TOKEN: &str =
    "1000.f6e0a1e2ac41945a9aa7ff8a8aaa0cebc12a3bcc.981a929ad5cf810a090e11ae";
const TOKENS: [&str; 2] = [
    "1000.9f86d081884c7d659a2feaa0c55ad015.a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "1000.60303ae22b998861bce3b28f33eec1be.758a213c86d3c089e5aef5d6c7d0c1fd",
];
const PASSWORD: &str = "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c5";
const CALLERS_TOKEN: &str = "4e07408562bedb8b60ce05c1decfe3ad16b72230967d";
const SECRETS: [&str; 6] = [
    CLIENT_SECRET,
    REFRESH_TOKEN,
    TOKENS[0],
    TOKENS[1],
    PASSWORD,
    CALLERS_TOKEN,
];

/// Stands where secrets must not: it is an account's name, a request's id, and a variable of the environment.
const PLANTED: &str = "planted-6b86b273ff34fce19d";

/// Everything that leaves a replica, by the way on which it does.
type Outlets = BTreeMap<&'static str, Vec<u8>>;

/// What a collector receives, undecoded.
async fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    async fn receive(State(received): State<Arc<Mutex<Vec<u8>>>>, body: Bytes) {
        received.lock().unwrap().extend_from_slice(&body);
    }
    let received = Arc::default();
    let router = Router::new()
        .fallback(receive)
        .with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

/// What MONITOR shows from now on. It hides passwords by itself.
async fn monitor(port: u16) -> Arc<Mutex<Vec<u8>>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let greeting = format!("AUTH {PASSWORD}\r\nMONITOR\r\n");
    stream.write_all(greeting.as_bytes()).await.unwrap();
    let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
    let all = Arc::clone(&shown);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            all.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    eventually("it shows", async || {
        shown.lock().unwrap().ends_with(b"+OK\r\n+OK\r\n")
    })
    .await;
    shown
}

/// The files of one account, its store and its callers.
struct Scene {
    zoho: Sandbox,
    redis: Redis,
    files: Mounted,
}

impl Scene {
    async fn set() -> Self {
        let zoho = zoho_with(|settings| {
            CLIENT_SECRET.clone_into(&mut settings.client_secret);
            REFRESH_TOKEN.clone_into(&mut settings.refresh_token);
        })
        .await;
        for token in TOKENS {
            let value = token.to_owned();
            zoho.on_token(When::Next(1), TokenFault::Token { value });
        }
        let files = Mounted::with(&[
            ("secret", CLIENT_SECRET),
            ("token", REFRESH_TOKEN),
            ("password", PASSWORD),
            ("callers", CALLERS_TOKEN),
        ]);
        let redis = Redis::with(&["--requirepass", PASSWORD]).await;
        Self { zoho, redis, files }
    }

    fn config(&self, store: &str, collector: &str) -> String {
        let keys = format!(
            "server.drain_delay = \"0s\"\nserver.caller_token_file = \"{}\"\nlog.level = \"trace,hyper=trace\"\n\
             telemetry.otlp_endpoint = {collector:?}\ntoken_store.password_file = \"{}\"\n{store}",
            self.files.path("callers").display(),
            self.files.path("password").display(),
        );
        let config = self
            .files
            .config(&self.zoho, &keys, &["secret"], &["token"]);
        config.replace("[accounts.main]", &format!("[accounts.{PLANTED}]"))
    }

    /// Two replicas' life: a token that is shared, dies and is renewed, requests that succeed and fail, and an end.
    async fn outlets(&self) -> Outlets {
        let relay = Relay::to(self.redis.port).await;
        let (collector, exported) = collector().await;
        let monitored = monitor(self.redis.port).await;
        let config = self.config(&relay.keys(), &collector);
        let replicas: Vec<_> = (0..2)
            .map(|_| Life::begin(&[("PLANTED", PLANTED)], &config))
            .collect();
        let mut outlets = Outlets::new();
        for replica in &replicas {
            eventually("it is ready", async || {
                replica.get("/readyz").await.status() == 200
            })
            .await;
        }
        let mut said = Vec::new();
        for (authorization, path) in [
            (CALLERS_TOKEN, "/bigin/v2/Contacts/1/photo"),
            (CALLERS_TOKEN, "/bigin/v2/Contacts/x/photo"),
            (CALLERS_TOKEN, "/elsewhere"),
            ("wrong-but-long-enough", "/bigin/v2/Contacts/2/photo"),
        ] {
            for replica in &replicas {
                said.extend(replica.delete(authorization, path).await);
            }
        }
        // One token dies, its successor after it, and then no credentials are good any more.
        self.zoho.revoke_tokens();
        said.extend(
            replicas[0]
                .delete(CALLERS_TOKEN, "/bigin/v2/Contacts/3/photo")
                .await,
        );
        let error = "invalid_code".to_owned();
        self.zoho
            .on_token(When::Always, TokenFault::Error { status: 200, error });
        let _: () = self.redis_run(&["SAVE"]).await;
        outlets.insert("store's dump", std::fs::read(self.redis.dump()).unwrap());
        self.zoho.revoke_tokens();
        said.extend(
            replicas[0]
                .delete(CALLERS_TOKEN, "/bigin/v2/Contacts/4/photo")
                .await,
        );
        outlets.insert("responses", said);
        for path in ["/metrics", "/readyz", "/livez", "/"] {
            let page = replicas[0].get(path).await.text().await.unwrap();
            outlets
                .entry("operators' pages")
                .or_default()
                .extend(page.bytes());
        }
        let life = outlets.entry("process").or_default();
        life.extend(replicas[0].seen_by_the_system());
        let logs = outlets.entry("log").or_default();
        for replica in replicas {
            logs.extend(replica.end().await.bytes());
        }
        outlets.insert("OTLP", exported.lock().unwrap().clone());
        // Without TLS it shows the password, and nothing else.
        let wire = String::from_utf8_lossy(&relay.seen()).replace(PASSWORD, "");
        outlets.insert("wire to the store", wire.into_bytes());
        outlets.insert("MONITOR", monitored.lock().unwrap().clone());
        for command in ["check", "doctor"] {
            let config = config.clone();
            let run = move || Program::run(&[command], Some(&config));
            let (_, stdout, stderr) = tokio::task::spawn_blocking(run).await.unwrap();
            outlets.insert(command, (stdout + &stderr).into_bytes());
        }
        outlets
    }

    async fn redis_run<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", self.redis.port);
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut run = redis::cmd(command[0]);
        run.arg(&command[1..])
            .query_async(&mut connection)
            .await
            .unwrap()
    }
}

/// One replica, and everything that it writes.
struct Life {
    program: Program,
    log: std::thread::JoinHandle<String>,
    callers: String,
    operators: String,
}

impl Life {
    fn begin(variables: &[(&str, &str)], config: &str) -> Self {
        let mut program = Program::serve_in(variables, config);
        let (callers, operators) = program.addresses();
        let mut output = program.take_log();
        let log = std::thread::spawn(move || {
            let mut all = String::new();
            output.read_to_string(&mut all).unwrap();
            all
        });
        Self {
            program,
            log,
            callers: format!("http://{callers}"),
            operators: format!("http://{operators}"),
        }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        let request = client().get(format!("{}{path}", self.operators));
        request.send().await.unwrap()
    }

    /// The whole response.
    async fn delete(&self, token: &str, path: &str) -> Vec<u8> {
        let request = client().delete(format!("{}{path}", self.callers));
        let request = request
            .bearer_auth(token)
            .header("x-request-id", PLANTED)
            .header(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            );
        let response = request.send().await.unwrap();
        let head = format!("{:?}", response.headers());
        [head.as_bytes(), &response.bytes().await.unwrap()].concat()
    }

    /// Its environment and its arguments.
    fn seen_by_the_system(&self) -> Vec<u8> {
        let files = ["environ", "cmdline"].map(|name| self.program.proc_file(name));
        files.concat().into_bytes()
    }

    async fn end(self) -> String {
        self.program.signal("TERM");
        let end = move || (self.program.end().0, self.log.join().unwrap());
        let (code, log) = tokio::task::spawn_blocking(end).await.unwrap();
        assert_eq!(code, 0);
        log
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_a_secret_or_token_leaves_a_replica_in_any_spelling() {
    let scene = Scene::set().await;
    let outlets = scene.outlets().await;
    assert_eq!(
        scene.zoho.ledger().tokens_issued,
        2,
        "both tokens were used"
    );

    let (secrets, planted) = (Canary::of(&SECRETS), Canary::of(&[PLANTED]));
    for (outlet, bytes) in &outlets {
        assert_eq!(secrets.found_in(bytes), None, "{outlet}");
        assert!(
            planted.found_in(bytes).is_some(),
            "{outlet}: {}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(outlets.len(), 10);
    let log = String::from_utf8_lossy(&outlets["log"]);
    assert!(
        log.contains("\"target\":\"hyper"),
        "libraries tell what they do too"
    );
}

#[test]
fn no_secret_can_be_given_on_the_command_line_and_help_shows_none() {
    let canary = Canary::of(&SECRETS);
    for command in ["serve", "check", "doctor", "enroll", "sandbox"] {
        let (code, help, _) = Program::run(&[command, "--help"], None);
        assert_eq!(code, 0);
        assert_eq!(canary.found_in(help.as_bytes()), None);
        assert!(!help.contains("--client-secret") && !help.contains("--refresh-token"));
    }
}
