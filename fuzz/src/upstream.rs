//! Whatever Zoho's side sends, a deletion is believed only if the first whole answer proves it, and what follows that answer
//! is never taken for the next one.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bigin_photo_proxy::account::Accounts;
use bigin_photo_proxy::outcome::Outcome;
use bigin_photo_proxy::target::Target;
use bigin_photo_proxy::token::AccessToken;
use bigin_photo_proxy::upstream::{Answer, CallError, Connector, Pool, Progress, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::{oracle, zoho};

/// How long an answer is waited for that will not come.
const MOMENT: Duration = Duration::from_millis(5);

const REFUSAL: &str =
    "{\"code\":\"NO_PERMISSION\",\"details\":{},\"message\":\"x\",\"status\":\"error\"}";

/// The first byte says whether the connection is closed behind the others, which are the answer.
pub fn upstream_bytes(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let closes = first % 2 == 0;
    SCENE.with(|scene| scene.play(bytes, closes));
}

thread_local! {
    static SCENE: Scene = Scene::set();
}

/// A real connection to an API that answers with bytes as they are.
struct Scene {
    runtime: Runtime,
    tasks: LocalSet,
    script: Script,
    upstream: Upstream,
    target: Target,
    token: Arc<AccessToken>,
}

/// What the API answers, and whether it closes behind it.
type Script = Rc<RefCell<(Vec<u8>, bool)>>;

impl Scene {
    fn set() -> Self {
        let runtime = zoho::runtime();
        let tasks = LocalSet::new();
        let script = Script::default();
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let api = format!("http://{}", listener.local_addr().expect("it is bound"));
        drop(tasks.spawn_local(serve(listener, Rc::clone(&script))));

        let config = zoho::config("", &zoho::accounts_url(), &api);
        let (kept, keeper) = zoho::keep(&config, &zoho::telemetry());
        let token = tasks.block_on(&runtime, async {
            tokio::select! {
                token = kept.slot.wait(zoho::deadline(zoho::PATIENCE)) => token.expect("a token"),
                () = keeper.run() => unreachable!("it never ends"),
            }
        });
        let account = config.accounts.first().expect("there is one");
        let connector = Connector::new(&account.api, &Arc::new(zoho::tls()), &config.upstream);
        let names = Accounts::new(vec!["main".to_owned()], "main").expect("it is named");
        Self {
            upstream: Upstream::new(&account.api, connector, Arc::new(Pool::new(1))),
            target: Target::parse("/bigin/v2/Contacts/1/photo", &names).expect("a target"),
            runtime,
            tasks,
            script,
            token,
        }
    }

    fn play(&self, bytes: &[u8], closes: bool) {
        let right = oracle::whole_answer(bytes, closes);
        if let Ok(answer) = self.call(bytes, closes, MOMENT) {
            let (status, body) = right.expect("an answer that is believed is whole");
            assert_eq!(
                (answer.status.as_u16(), &answer.body[..]),
                (status, &body[..])
            );
            let Some(body) = oracle::json(&body) else {
                return;
            };
            let proves = (200..300).contains(&status) && oracle::says_deleted(&body);
            assert_eq!(
                answer.outcome() == Outcome::Deleted,
                proves,
                "{status} {body}"
            );
        }

        let refusal = format!(
            "HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{REFUSAL}",
            REFUSAL.len()
        );
        let next = self.call(refusal.as_bytes(), false, zoho::PATIENCE);
        assert!(
            next.is_ok_and(|answer| answer.body == REFUSAL),
            "its own answer, and no other"
        );
    }

    fn call(&self, bytes: &[u8], closes: bool, patience: Duration) -> Result<Answer, CallError> {
        self.script.replace((bytes.to_vec(), closes));
        let progress = Progress::default();
        let deadline = zoho::deadline(patience);
        let call = self
            .upstream
            .delete_photo(&self.target, &self.token, deadline, &progress);
        self.tasks.block_on(&self.runtime, call)
    }
}

async fn serve(listener: TcpListener, script: Script) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(tokio::task::spawn_local(converse(
            stream,
            Rc::clone(&script),
        )));
    }
}

/// Until the connection ends.
async fn converse(mut stream: TcpStream, script: Script) -> std::io::Result<()> {
    let mut head = Vec::new();
    loop {
        stream
            .read_buf(&mut head)
            .await
            .and_then(|count| match count {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            })?;
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let (bytes, closes) = script.borrow().clone();
        stream.write_all(&bytes).await?;
        if closes {
            return stream.shutdown().await;
        }
    }
}
