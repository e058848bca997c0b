//! `bk sim`: a fake Zoho that costs as little as it can. It hands out one access token, and answers a request that
//! deletes a photo with it as documented, at once or after a fixed delay.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::args::Args;
use crate::epoll::{self, Epoll};
use crate::http::{self, Message};

const LISTENER: usize = usize::MAX;

pub fn main(args: &Args) {
    let mut sim = Sim::new(args);
    let mut keys = Vec::new();
    loop {
        let due = sim.due.front().map(|answer| answer.due);
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        sim.epoll.wait(timeout, &mut keys);
        for key in &keys {
            match *key {
                LISTENER => sim.accept(),
                key => sim.serve(key),
            }
        }
        sim.send_due();
    }
}

/// What can be asked.
#[derive(Clone, Copy)]
enum Errand {
    Deletion,
    Unauthorized,
    Token,
    Unknown,
}

/// The answers, ready for the wire.
struct Answers {
    authorization: String,
    deleted: Vec<u8>,
    unauthorized: Vec<u8>,
    token: Vec<u8>,
    unknown: Vec<u8>,
}

impl Answers {
    fn new(args: &Args) -> Self {
        let token = args.text("--token").unwrap_or("TESTTOKEN");
        let expires_in = args.number::<u32>("--expires-in").unwrap_or(3600);
        let grant = format!(
            concat!(
                r#"{{"access_token":"{}","api_domain":"https://www.zohoapis.com","#,
                r#""token_type":"Bearer","expires_in":{}}}"#
            ),
            token, expires_in
        );
        let unauthorized =
            br#"{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}"#;
        let unknown =
            br#"{"code":"INVALID_URL_PATTERN","details":{},"message":"unknown","status":"error"}"#;
        Self {
            authorization: format!("Zoho-oauthtoken {token}"),
            deleted: http::response("200 OK", http::SUCCESS),
            unauthorized: http::response("401 Unauthorized", unauthorized),
            token: http::response("200 OK", grant.as_bytes()),
            unknown: http::response("404 Not Found", unknown),
        }
    }

    fn errand(&self, head: &[u8]) -> Errand {
        let line_end = memchr::memchr(b'\r', head).unwrap_or(0);
        let line = &head[..line_end];
        if line.starts_with(b"POST /oauth/v2/token") {
            return Errand::Token;
        }
        if !line.starts_with(b"DELETE /bigin/v2/Contacts/") || !line.ends_with(b"/photo HTTP/1.1") {
            return Errand::Unknown;
        }
        if http::header(head, b"authorization") == Some(self.authorization.as_bytes()) {
            Errand::Deletion
        } else {
            Errand::Unauthorized
        }
    }

    fn of(&self, errand: Errand) -> &[u8] {
        match errand {
            Errand::Deletion => &self.deleted,
            Errand::Unauthorized => &self.unauthorized,
            Errand::Token => &self.token,
            Errand::Unknown => &self.unknown,
        }
    }
}

struct Connection {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    received: Vec<u8>,
    /// Tells it from an earlier one with the same key.
    serial: u64,
}

impl Connection {
    /// Reads what is there. An error also if the other side has ended it.
    fn receive(&mut self, piece: &mut [u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return match self.stream.read(piece) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.received.extend_from_slice(&piece[..read]);
                    Ok(())
                }
                Err(error) => unless_blocked(error),
            };
        };
        match tls.read_tls(&mut self.stream) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) => unless_blocked(error)?,
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let start = self.received.len();
        self.received
            .resize(start + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut self.received[start..])?;
        flush(tls, &mut self.stream)
    }

    /// Everything here is far below a socket's buffer.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                flush(tls, &mut self.stream)
            }
        }
    }

    /// The errand of the next whole request.
    fn next(&mut self, answers: &Answers) -> io::Result<Option<Errand>> {
        let message = Message::find(&self.received).map_err(|_| ErrorKind::InvalidData)?;
        Ok(message.map(|message| {
            let errand = answers.errand(message.head(&self.received));
            self.received.drain(..message.total);
            errand
        }))
    }
}

fn unless_blocked(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    }
}

fn flush(tls: &mut ServerConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}

/// An answer that waits.
struct Delayed {
    due: Instant,
    key: usize,
    serial: u64,
    errand: Errand,
}

struct Sim {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    answers: Answers,
    delay: Duration,
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    accepted: u64,
    due: VecDeque<Delayed>,
    piece: Vec<u8>,
}

impl Sim {
    fn new(args: &Args) -> Self {
        let (listener, epoll) = (epoll::listen(args.address("--listen")), Epoll::new());
        listener.set_nonblocking(true).expect("an option");
        epoll.add(&listener, LISTENER);
        let delay = Duration::from_micros(args.number("--delay-us").unwrap_or(0));
        Self {
            listener,
            tls: tls_config(args),
            answers: Answers::new(args),
            delay,
            epoll,
            connections: Vec::new(),
            free: Vec::new(),
            accepted: 0,
            due: VecDeque::new(),
            piece: vec![0; 64 * 1024],
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nodelay(true).expect("an option");
            stream.set_nonblocking(true).expect("an option");
            let tls = self.tls.clone().map(|config| {
                Box::new(ServerConnection::new(config).expect("a valid configuration"))
            });
            let key = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.epoll.add(&stream, key);
            self.accepted += 1;
            self.connections[key] = Some(Connection {
                stream,
                tls,
                received: Vec::new(),
                serial: self.accepted,
            });
        }
    }

    fn serve(&mut self, key: usize) {
        let Some(connection) = &mut self.connections[key] else {
            return;
        };
        let received = connection.receive(&mut self.piece);
        if received.and_then(|()| self.answer(key)).is_err() {
            self.close(key);
        }
    }

    fn answer(&mut self, key: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[key] else {
            return Ok(());
        };
        while let Some(errand) = connection.next(&self.answers)? {
            if self.delay.is_zero() || matches!(errand, Errand::Token) {
                connection.send(self.answers.of(errand))?;
            } else {
                self.due.push_back(Delayed {
                    due: Instant::now() + self.delay,
                    key,
                    serial: connection.serial,
                    errand,
                });
            }
        }
        Ok(())
    }

    fn send_due(&mut self) {
        while let Some(answer) = self.due.pop_front_if(|answer| answer.due <= Instant::now()) {
            let connection = self.connections[answer.key]
                .as_mut()
                .filter(|connection| connection.serial == answer.serial);
            if let Some(connection) = connection
                && connection.send(self.answers.of(answer.errand)).is_err()
            {
                self.close(answer.key);
            }
        }
    }

    fn close(&mut self, key: usize) {
        self.connections[key] = None;
        self.free.push(key);
    }
}

fn tls_config(args: &Args) -> Option<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(args.text("--cert")?)
        .expect("--cert can be read")
        .collect::<Result<Vec<_>, _>>()
        .expect("--cert holds certificates");
    let key = PrivateKeyDer::from_pem_file(args.text("--key").expect("--key")).expect("a key");
    // Named: beside a program that brings another one, rustls would not choose.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key fits the certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
}
