//! As much of HTTP/1.1 as the kit needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

use crate::args::Args;

/// The documented answer.
pub const SUCCESS: &[u8] =
    br#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

/// Not a message that the kit understands.
#[derive(Debug)]
pub struct Malformed;

/// Where the parts of a message are.
pub struct Message {
    pub total: usize,
    body: (usize, usize),
}

impl Message {
    /// The message at the start of `bytes`, if it is there as a whole. Of a chunked body, the first chunk is the body:
    /// all bodies here fit into one.
    pub fn find(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some(blank) = memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, start) = (&bytes[..blank + 2], blank + 4);
        if let Some(length) = header(head, b"content-length") {
            let end = start + number(length, 10)?;
            return Ok((bytes.len() >= end).then_some(Self {
                total: end,
                body: (start, end),
            }));
        }
        if header(head, b"transfer-encoding").is_some() {
            return Self::find_chunked(bytes, start);
        }
        Ok(Some(Self {
            total: start,
            body: (start, start),
        }))
    }

    fn find_chunked(bytes: &[u8], start: usize) -> Result<Option<Self>, Malformed> {
        let mut body = (start, start);
        let mut at = start;
        loop {
            let Some(size_line) = memmem::find(&bytes[at..], b"\r\n") else {
                return Ok(None);
            };
            let length = number(&bytes[at..at + size_line], 16)?;
            let chunk = at + size_line + 2;
            at = chunk + length + 2;
            if bytes.len() < at {
                return Ok(None);
            }
            if length == 0 {
                return Ok(Some(Self { total: at, body }));
            }
            if body.0 == body.1 {
                body = (chunk, chunk + length);
            }
        }
    }

    pub fn head<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[..self.body.0]
    }

    /// Whether this is the documented answer.
    pub fn is_success(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"HTTP/1.1 200 ") && &bytes[self.body.0..self.body.1] == SUCCESS
    }
}

fn number(text: &[u8], radix: u32) -> Result<usize, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    usize::from_str_radix(text.trim(), radix).map_err(|_| Malformed)
}

/// The value of a header, whose name is given in lower case.
pub fn header<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let mut rest = head;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        rest = &rest[end + 1..];
        if rest.len() > name.len()
            && rest[name.len()] == b':'
            && rest[..name.len()].eq_ignore_ascii_case(name)
        {
            let end = memchr::memchr(b'\r', rest)?;
            return Some(rest[name.len() + 1..end].trim_ascii());
        }
    }
    None
}

/// A whole message for the wire.
pub fn response(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The request of a caller, with a record id that changes.
pub struct Request {
    bytes: Vec<u8>,
    id_end: usize,
    sent: u64,
}

impl Request {
    /// With `--auth` it is what the fake Zoho wants; without, what a proxy wants.
    pub fn new(args: &Args) -> Self {
        let path = "DELETE /bigin/v2/Contacts/3652397000000000000";
        let authorization = args.text("--auth").map_or_else(String::new, |token| {
            format!("Authorization: Zoho-oauthtoken {token}\r\n")
        });
        let text = format!(
            "{path}/photo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bk/0.1\r\nAccept: */*\r\n{authorization}\r\n"
        );
        Self {
            bytes: text.into_bytes(),
            id_end: path.len(),
            sent: 0,
        }
    }

    /// The bytes of the next one.
    pub fn next(&mut self) -> &[u8] {
        self.sent += 1;
        let mut rest = self.sent;
        for digit in self.bytes[self.id_end - 9..self.id_end].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.bytes
    }
}

/// Sends one request over a new connection. The connection, if the answer was right.
pub fn ask(address: SocketAddr, request: &mut Request, patience: Duration) -> Option<TcpStream> {
    let deadline = Instant::now() + patience;
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(request.next()).ok()?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while Instant::now() < deadline {
        match stream.read(&mut piece).ok()? {
            0 => return None,
            read => answer.extend_from_slice(&piece[..read]),
        }
        if let Some(message) = Message::find(&answer).ok()? {
            return message.is_success(&answer).then_some(stream);
        }
    }
    None
}
