//! Whatever stands in the store that replicas share, and whatever the store answers: a replica takes no token from it that no
//! replica has sealed, has its own all the same if nothing forbids it, and does not panic.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bigin_photo_proxy::config::Config;
use bigin_photo_proxy::telemetry::Telemetry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::{token, zoho};

/// The first byte says how the others become an answer to every script: as they are, or as the parts, divided by zeros, of
/// an answer with this meaning.
pub fn store_answer(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*first) % KINDS.len()];
    let answer = kind.map_or_else(|| rest.to_vec(), |what| array(what, rest));
    SCENE.with(|scene| scene.play(answer));
}

const KINDS: [Option<&str>; 8] = [
    None,
    Some("newer"),
    Some("failed"),
    Some("busy"),
    Some("spent"),
    Some("throttled"),
    Some("mine"),
    Some("same"),
];

/// What the accounts server issues.
const OWN: &str = "1000.own";

/// How long a replica is watched. Its store may take a millisecond to answer, and eight until it is given up at the start.
const WHILE: Duration = Duration::from_millis(60);

/// An answer of the script, as Redis writes it: a number where a part is one, else a text.
fn array(what: &str, rest: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = rest.split(|byte| *byte == 0).collect();
    let mut answer = format!(
        "*{}\r\n:1000\r\n${}\r\n{what}\r\n",
        parts.len() + 2,
        what.len()
    );
    let mut bytes = answer.into_bytes();
    for part in parts {
        let number = std::str::from_utf8(part)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        answer = number.map_or_else(|| format!("${}\r\n", part.len()), |it| format!(":{it}\r\n"));
        bytes.extend_from_slice(answer.as_bytes());
        if number.is_none() {
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

thread_local! {
    static SCENE: Scene = Scene::set();
}

/// A keeper between an accounts server that is well and a store that answers as it is told.
struct Scene {
    runtime: Runtime,
    tasks: LocalSet,
    answer: Rc<RefCell<Vec<u8>>>,
    config: Config,
    telemetry: Arc<Telemetry>,
}

impl Scene {
    fn set() -> Self {
        let runtime = zoho::runtime();
        let tasks = LocalSet::new();
        let answer = Rc::default();
        let (accounts, store) = runtime.block_on(async {
            let bind = || TcpListener::bind("127.0.0.1:0");
            (bind().await.expect("a port"), bind().await.expect("a port"))
        });
        let keys = format!(
            "token.timeout = \"1s\"\ntoken.budget_window = \"100ms\"\ntoken_store.command_timeout = \"1ms\"\n\
             token_store.url = \"redis://{}\"",
            store.local_addr().expect("it is bound")
        );
        let accounts_url = format!("http://{}", accounts.local_addr().expect("it is bound"));
        drop(tasks.spawn_local(token::serve(accounts, token::issuing(OWN))));
        drop(tasks.spawn_local(serve(store, Rc::clone(&answer))));
        Self {
            config: zoho::config(&keys, &accounts_url, "http://127.0.0.1:1"),
            telemetry: zoho::telemetry(),
            runtime,
            tasks,
            answer,
        }
    }

    fn play(&self, answer: Vec<u8>) {
        self.answer.replace(answer);
        let (kept, keeper) = zoho::keep(&self.config, &self.telemetry);
        self.tasks.block_on(&self.runtime, async {
            tokio::select! {
                () = tokio::time::sleep(WHILE) => {}
                _ = kept.slot.wait(zoho::deadline(zoho::PATIENCE)) => {}
                () = keeper.run() => unreachable!("it never ends"),
            }
        });
        if let Some(token) = kept.slot.current() {
            assert_eq!(
                token.authorization(),
                format!("Zoho-oauthtoken {OWN}").as_str()
            );
        }
        let metrics = self.telemetry.metrics.render();
        assert!(!metrics.contains("bigin_panics_total 1"), "{metrics}");
    }
}

async fn serve(listener: TcpListener, answer: Rc<RefCell<Vec<u8>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(tokio::task::spawn_local(reply(stream, Rc::clone(&answer))));
    }
}

/// Greets as Redis does, and answers every script.
async fn reply(mut stream: TcpStream, answer: Rc<RefCell<Vec<u8>>>) -> std::io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    loop {
        let count = stream.read(&mut request).await?;
        let request = &request[..count];
        let contains = |word: &[u8]| request.windows(word.len()).any(|window| window == word);
        let said = match () {
            () if count == 0 => return Ok(()),
            () if contains(b"EVALSHA") => answer.borrow().clone(),
            () if contains(b"PING") => b"+PONG\r\n".to_vec(),
            // The names of library and version: two commands.
            () => b"+OK\r\n+OK\r\n".to_vec(),
        };
        stream.write_all(&said).await?;
    }
}
