//! Whatever the accounts server answers, a token that is taken can stand in a header, and a failure is told in words of
//! ours.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bigin_photo_proxy::config::Config;
use bigin_photo_proxy::telemetry::Telemetry;
use bigin_photo_proxy::token::Standing;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::zoho;

/// The first byte chooses a status, the others are the body.
pub fn token_answer(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let status = STATUSES[usize::from(*first) % STATUSES.len()];
    SCENE.with(|scene| scene.play(status, body));
}

const STATUSES: [&str; 6] = [
    "200 OK",
    "400 Bad Request",
    "429 Too Many",
    "500 Oh",
    "302 Found",
    "204 Nothing",
];

thread_local! {
    static SCENE: Scene = Scene::set();
}

/// A keeper before an accounts server that answers as it is told.
struct Scene {
    runtime: Runtime,
    tasks: LocalSet,
    answer: Script,
    config: Config,
    telemetry: Arc<Telemetry>,
}

pub(super) type Script = Rc<RefCell<Vec<u8>>>;

impl Scene {
    fn set() -> Self {
        let runtime = zoho::runtime();
        let tasks = LocalSet::new();
        let answer = Script::default();
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let accounts = format!("http://{}", listener.local_addr().expect("it is bound"));
        drop(tasks.spawn_local(serve(listener, Rc::clone(&answer))));
        Self {
            config: zoho::config("", &accounts, "http://127.0.0.1:1"),
            telemetry: zoho::telemetry(),
            runtime,
            tasks,
            answer,
        }
    }

    fn play(&self, status: &str, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.answer.replace([head.as_bytes(), body].concat());
        let (kept, keeper) = zoho::keep(&self.config, &self.telemetry);
        let token = self.tasks.block_on(&self.runtime, async {
            tokio::select! {
                token = kept.slot.wait(zoho::deadline(zoho::PATIENCE)) => token,
                () = keeper.run() => unreachable!("it never ends"),
            }
        });
        match token {
            Ok(token) => {
                let field = &serde_json::from_slice::<Value>(body).expect("JSON")["access_token"];
                let issued = field.as_str().expect("a text");
                assert!(!issued.is_empty() && issued.bytes().all(|byte| byte.is_ascii_graphic()));
                assert_eq!(
                    token.authorization(),
                    format!("Zoho-oauthtoken {issued}").as_str()
                );
                assert!(token.authorization().is_sensitive() && token.is_usable());
            }
            Err(unavailable) => {
                let failure = unavailable
                    .cause
                    .expect("it has answered, and no time was short");
                assert_eq!(kept.slot.standing(), Standing::Failed(failure));
                assert!(failure.to_string().is_ascii());
            }
        }
    }
}

/// The answer of an accounts server that issues this token.
pub(super) fn issuing(token: &str) -> Script {
    let body = format!("{{\"access_token\":\"{token}\"}}");
    let length = body.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    Rc::new(RefCell::new(answer.into_bytes()))
}

pub(super) async fn serve(listener: TcpListener, answer: Script) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(tokio::task::spawn_local(reply(stream, Rc::clone(&answer))));
    }
}

/// Reads a request and answers it.
async fn reply(mut stream: TcpStream, answer: Script) -> std::io::Result<()> {
    let mut request = Vec::new();
    // The last parameter of the form.
    while !request.ends_with(b"\r\n\r\n") && !contains(&request, b"\r\n\r\ngrant_type=") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let bytes = answer.borrow().clone();
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
