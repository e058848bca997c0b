//! Reads a request out of bytes. It refuses to know what requests mean.

use std::str;

/// More headers than any client of an API sends.
const MOST_HEADERS: usize = 128;
/// A head longer than this is answered with 431.
const LONGEST_HEAD: usize = 64 * 1024;
/// A body longer than this is answered with 413. Neither form parameters nor settings come near it.
const LONGEST_BODY: usize = 1024 * 1024;

/// A request as it stood on the wire.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) minor_version: u8,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The status that tells a client why its request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) u16);

impl Request {
    /// Reads one request from the front of a buffer. `None` if more bytes are needed; else also how many it took.
    pub(crate) fn parse(buffer: &[u8]) -> Result<Option<(Self, usize)>, Unreadable> {
        let Some((mut request, head_length)) = Self::parse_head(buffer)? else {
            return if buffer.len() > LONGEST_HEAD {
                Err(Unreadable(431))
            } else {
                Ok(None)
            };
        };
        let whole = head_length + request.body_length()?;
        let Some(body) = buffer.get(head_length..whole) else {
            return Ok(None);
        };
        request.body = body.to_vec();
        Ok(Some((request, whole)))
    }

    fn parse_head(buffer: &[u8]) -> Result<Option<(Self, usize)>, Unreadable> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => Ok(Some((Self::from_head(&head), length))),
            Ok(httparse::Status::Partial) => Ok(None),
            Err(httparse::Error::TooManyHeaders) => Err(Unreadable(431)),
            Err(_) => Err(Unreadable(400)),
        }
    }

    fn from_head(head: &httparse::Request<'_, '_>) -> Self {
        let owned = |header: &httparse::Header<'_>| {
            (
                header.name.to_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        };
        Self {
            method: head.method.unwrap_or_default().to_owned(),
            target: head.path.unwrap_or_default().to_owned(),
            minor_version: head.version.unwrap_or_default(),
            headers: head.headers.iter().map(owned).collect(),
            body: Vec::new(),
        }
    }

    /// The length that the head announces. Chunked requests are not understood: no client of this API needs them.
    fn body_length(&self) -> Result<usize, Unreadable> {
        if self.header("transfer-encoding").is_some() {
            return Err(Unreadable(501));
        }
        let Some(length) = self.header("content-length") else {
            return Ok(0);
        };
        match length.parse() {
            Ok(length) if length <= LONGEST_BODY => Ok(length),
            Ok(_) => Err(Unreadable(413)),
            Err(_) => Err(Unreadable(400)),
        }
    }

    /// The value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The target up to the question mark.
    pub(crate) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// What stands behind the question mark.
    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether the connection ends after the answer. It also does after HEAD, whose answers would need to be without
    /// the body that all answers here have.
    pub(crate) fn is_last(&self) -> bool {
        let connection = self
            .header("connection")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let old = self.minor_version == 0 && !connection.contains("keep-alive");
        old || connection.contains("close") || self.method == "HEAD"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_when_it_is_whole_and_not_before() {
        let bytes = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

        for length in 0..bytes.len() {
            assert!(Request::parse(&bytes[..length]).unwrap().is_none());
        }
        let (request, length) = Request::parse(bytes).unwrap().unwrap();

        assert_eq!(
            (request.path(), request.query(), request.body.as_slice()),
            ("/a", "b=c", b"hi".as_slice())
        );
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        let status = |head: &str| {
            Request::parse(format!("{head}\r\n\r\n").as_bytes())
                .unwrap_err()
                .0
        };

        assert_eq!(status("nonsense"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: x"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 9999999"), 413);
        assert_eq!(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked"), 501);
        assert_eq!(
            Request::parse(&vec![b'a'; LONGEST_HEAD + 1]).unwrap_err().0,
            431
        );
    }
}
