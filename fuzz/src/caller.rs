//! Whatever arrives from a caller, Zoho sees the canonical request or nothing, and no caller is told of a deletion that Zoho
//! was not asked for.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Instant;

use bigin_photo_proxy::app::App;
use bigin_photo_proxy::config::LogFormat;
use bigin_photo_proxy::shutdown::Shutdown;
use bigin_photo_proxy::telemetry::audit::Audit;
use bigin_photo_proxy::telemetry::log::Log;

use super::{oracle, zoho};

const SUCCESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 76\r\n\r\n\
    {\"code\":\"SUCCESS\",\"details\":{},\"message\":\"Photo deleted\",\"status\":\"success\"}";

/// The whole program before an API that notes what it is sent.
struct Scene {
    address: SocketAddr,
    /// Where the API is.
    api: SocketAddr,
    /// The heads that it was sent.
    sent: Heads,
}

type Heads = Arc<Mutex<Vec<Vec<u8>>>>;

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::set);

/// The bytes of one connection.
pub fn caller_bytes(bytes: &[u8]) {
    SCENE.play(bytes);
}

impl Scene {
    fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let api = listener.local_addr().expect("it is bound");
        let sent = Heads::default();
        let heads = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                thread::spawn(move || answer_all(stream, &heads));
            }
        });
        let config = zoho::config("", &zoho::accounts_url(), &format!("http://{api}"));
        let app = App::bind(config).expect("two ports");
        let address = app.address();
        thread::spawn(move || {
            let log = Log::to(std::io::sink(), LogFormat::Json).expect("a thread for the log");
            let audit =
                Audit::to(std::io::sink(), LogFormat::Json).expect("a thread for the audit");
            let insisted = || Ok(std::future::pending());
            app.run(&Shutdown::default(), &log, &audit, insisted)
        });
        let scene = Self { address, api, sent };
        scene.wait_for_token();
        scene
    }

    fn wait_for_token(&self) {
        let begun = Instant::now();
        let request = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";
        while !self.exchange(request).contains("delete-outcome: deleted") {
            assert!(begun.elapsed() < zoho::PATIENCE, "no token");
        }
        self.heads();
    }

    fn play(&self, bytes: &[u8]) {
        let said = self.exchange(bytes);
        let heads = self.heads();
        for head in &heads {
            assert!(
                self.is_canonical(head),
                "{:?}",
                String::from_utf8_lossy(head)
            );
        }
        assert_eq!(
            said.matches("delete-outcome: deleted").count(),
            heads.len(),
            "{said}"
        );
        assert!(!said.contains("INTERNAL_ERROR"), "{said}");
    }

    /// Sends bytes, closes this side, and reads all that comes back.
    fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(zoho::PATIENCE))
            .expect("a time");
        // It may have closed before it has read everything; what it said before is still there.
        drop(
            stream
                .write_all(bytes)
                .and_then(|()| stream.shutdown(Half::Write)),
        );
        let mut said = Vec::new();
        let ended = stream.read_to_end(&mut said);
        let is_slow = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_slow, "the connection stays open");
        String::from_utf8_lossy(&said).into_owned()
    }

    fn heads(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.sent.lock().expect("nobody panicked with it"))
    }

    fn is_canonical(&self, head: &[u8]) -> bool {
        let Some(lines) = std::str::from_utf8(head)
            .ok()
            .and_then(|it| it.strip_suffix("\r\n\r\n"))
        else {
            return false;
        };
        let lines: Vec<&str> = lines.split("\r\n").collect();
        let [line, host, authorization, accept, coding, agent] = lines[..] else {
            return false;
        };
        let path = line
            .strip_prefix("DELETE ")
            .and_then(|it| it.strip_suffix(" HTTP/1.1"));
        path.is_some_and(oracle::deletes_a_photo)
            && host == format!("host: {}", self.api)
            && authorization.starts_with("authorization: Zoho-oauthtoken 1000.")
            && accept == "accept: application/json"
            && coding == "accept-encoding: identity"
            && agent.starts_with("user-agent: bigin-photo-proxy/")
    }
}

/// Notes each head, and says that the photo is deleted.
fn answer_all(mut stream: TcpStream, heads: &Heads) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        head.extend_from_slice(&buffer[..count]);
        if head.ends_with(b"\r\n\r\n") {
            heads
                .lock()
                .expect("nobody panicked with it")
                .push(std::mem::take(&mut head));
            if stream.write_all(SUCCESS).is_err() {
                return;
            }
        }
    }
    assert!(head.is_empty(), "{head:?}");
}
