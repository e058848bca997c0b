//! A client that sees every byte. It does nothing on its own: no retries, no redirects, no cookies.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zoho_sandbox::Sandbox;

/// Longer than anything here takes, shorter than a patient person waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// One answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(head: &str, body: &[u8]) -> Self {
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.expect("the status line has a status"),
            head: head.to_owned(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.json()
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the sandbox accepts");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, request: &str) {
        self.stream
            .write_all(request.as_bytes())
            .await
            .expect("the sandbox reads");
    }

    /// The next answer, framed by its `Content-Length`.
    pub(crate) async fn answer(&mut self) -> Answer {
        loop {
            if let Some(answer) = self.whole_answer() {
                return answer;
            }
            assert!(
                self.read().await.expect("the connection lives") > 0,
                "the connection ended"
            );
        }
    }

    fn whole_answer(&mut self) -> Option<Answer> {
        let head_length = self
            .unread
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")?
            + 4;
        let head = String::from_utf8_lossy(self.unread.get(..head_length)?).into_owned();
        let empty = Answer::parse(&head, b"");
        let length: usize = empty
            .header("Content-Length")
            .unwrap_or("0")
            .parse()
            .expect("a length is a number");
        let answer = Answer::parse(&head, self.unread.get(head_length..head_length + length)?);
        self.unread.drain(..head_length + length);
        Some(answer)
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        read.expect("the sandbox does something in time")
    }

    /// All bytes until the connection ends, and whether it ended in order (true) or was reset.
    pub(crate) async fn rest(mut self) -> (Vec<u8>, bool) {
        loop {
            match self.read().await {
                Ok(0) => return (self.unread, true),
                Ok(_) => {}
                Err(_) => return (self.unread, false),
            }
        }
    }

    /// What has arrived after this time, the connection being still open.
    pub(crate) async fn arrives_within(&mut self, time: Duration) -> String {
        let ended = async { while self.read().await.unwrap_or(0) > 0 {} };
        assert!(timeout(time, ended).await.is_err(), "the connection ended");
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

/// A request without a body.
pub(crate) fn request(method: &str, target: &str, token: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Zoho-oauthtoken {token}\r\n\r\n"
    )
}

/// The request that deletes the photo of a contact.
pub(crate) fn delete_photo(token: &str, id: u64) -> String {
    request("DELETE", &format!("/bigin/v2/Contacts/{id}/photo"), token)
}

/// A request at the token endpoint with the right credentials, as they are by default.
pub(crate) fn token_request() -> String {
    token_request_with("sandbox-client-secret", "1000.sandbox-refresh-token")
}

pub(crate) fn token_request_with(client_secret: &str, refresh_token: &str) -> String {
    let form = format!(
        "grant_type=refresh_token&client_id=1000.SANDBOX&client_secret={client_secret}&refresh_token={refresh_token}"
    );
    post(
        "/oauth/v2/token",
        "application/x-www-form-urlencoded",
        &form,
    )
}

pub(crate) fn post(target: &str, content_type: &str, body: &str) -> String {
    with_body("POST", target, content_type, body)
}

pub(crate) fn with_body(method: &str, target: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: sandbox\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// One request on a connection of its own.
pub(crate) async fn ask(zoho: &Sandbox, request: &str) -> Answer {
    let mut client = sent(zoho, request).await;
    client.answer().await
}

/// A connection on which one request has been sent.
pub(crate) async fn sent(zoho: &Sandbox, request: &str) -> Client {
    let mut client = Client::connect(zoho.address()).await;
    client.send(request).await;
    client
}

/// A fresh access token.
pub(crate) async fn token(zoho: &Sandbox) -> String {
    ask(zoho, &token_request()).await.text("access_token")
}
