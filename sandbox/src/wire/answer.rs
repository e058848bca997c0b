//! An answer before it becomes bytes.

use serde::Serialize;

/// What Zoho adds to every answer. The cookies are bait: a client that keeps them will be seen to send them back.
const DRESS: [(&str, &str); 4] = [
    ("Server", "ZGS"),
    (
        "Set-Cookie",
        "_zcsr_tmp=5a6f686f-53616e64; Path=/; SameSite=Strict; Secure; Priority=High",
    ),
    (
        "Set-Cookie",
        "crmcsr=5a6f686f-53616e64; Path=/; Secure; Priority=High",
    ),
    (
        "Set-Cookie",
        "JSESSIONID=5A6F686F53616E64626F7821; Path=/; Secure; HttpOnly",
    ),
];

/// A status, headers and a body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The media type that Zoho sends with all its JSON.
    pub(crate) const JSON: &str = "application/json;charset=UTF-8";

    /// An answer of Zoho's.
    pub(crate) fn zoho(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = DRESS
            .iter()
            .fold(Self::plain(status, body), |answer, (name, value)| {
                answer.with(name, *value)
            });
        if content_type.is_empty() {
            answer
        } else {
            answer.with("Content-Type", content_type)
        }
    }

    /// JSON of Zoho's.
    pub(crate) fn zoho_json(status: u16, body: &impl Serialize) -> Self {
        Self::zoho(status, Self::JSON, to_json(body))
    }

    /// A page of Zoho's, or of a gateway in front of it.
    pub(crate) fn zoho_html(status: u16) -> Self {
        let body = format!(
            "<html><head><title>Zoho</title></head><body><h1>{status} {}</h1></body></html>",
            reason(status)
        );
        Self::zoho(status, "text/html;charset=UTF-8", body)
    }

    /// An answer of the sandbox itself.
    pub(crate) fn own(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::plain(status, body).with("Content-Type", content_type)
    }

    /// JSON of the sandbox itself, laid out for people.
    pub(crate) fn own_json(status: u16, body: &impl Serialize) -> Self {
        let body =
            serde_json::to_vec_pretty(body).expect("what the sandbox sends has only text keys");
        Self::own(status, Self::JSON, body)
    }

    fn plain(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same answer with another body.
    pub(crate) fn with_body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_claiming(self.body.len())
    }

    /// The same, with a `Content-Length` that may be wrong.
    pub(crate) fn bytes_claiming(&self, length: usize) -> Vec<u8> {
        let mut bytes = self.head();
        // 204 says by itself that there is no body: RFC 9110, section 8.6.
        if self.status != 204 {
            bytes.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The head of a chunked answer, without its body.
    pub(crate) fn chunked_head(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        bytes
    }

    /// The status line and the headers, without framing and without the empty line.
    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.into_bytes()
    }
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("what the sandbox sends has only text keys")
}

/// The phrase behind a status. Clients ignore it, people read it.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}
