//! What is right, found by other means than the program's: simple ones, for they need not be fast.

use serde_json::Value;

/// The one path that may be sent to Zoho.
pub(crate) fn deletes_a_photo(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let ["", "bigin", "v2", module, id, "photo"] = parts[..] else {
        return false;
    };
    ["Contacts", "Accounts", "Products"].contains(&module)
        && (1..=19).contains(&id.len())
        && !id.starts_with('0')
        && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// What must be JSON; nothing if this reader cannot hold what JSON may: a number too large, or half of a surrogate pair
/// (RFC 8259, section 8.2).
pub(crate) fn json(body: &[u8]) -> Option<Value> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        Err(error) if is_beyond_this_reader(&error.to_string()) => None,
        Err(error) => panic!("it is no JSON: {error}"),
    }
}

fn is_beyond_this_reader(error: &str) -> bool {
    [
        "number out of range",
        "unexpected end of hex escape",
        "lone leading surrogate in hex escape",
    ]
    .iter()
    .any(|limit| error.starts_with(limit))
}

/// The one envelope that proves a deletion.
pub(crate) fn says_deleted(body: &Value) -> bool {
    body["code"] == "SUCCESS" && body["status"] == "success"
}

/// The first final answer in these bytes, if it is whole and its end is beyond doubt: status and body.
pub(crate) fn whole_answer(mut bytes: &[u8], is_closed: bool) -> Option<(u16, Vec<u8>)> {
    loop {
        while let [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] = bytes {
            bytes = rest;
        }
        let (head, rest) = head_and_rest(bytes)?;
        match status(head.first()?)? {
            100 | 102..=199 => bytes = rest,
            status => return Some((status, body(status, &head, rest, is_closed)?)),
        }
    }
}

/// The lines of a head, and what follows its empty line.
fn head_and_rest(mut bytes: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut lines = Vec::new();
    loop {
        let (line, rest) = line_and_rest(bytes)?;
        if line.is_empty() {
            return Some((lines, rest));
        }
        lines.push(line);
        bytes = rest;
    }
}

fn line_and_rest(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line
        .strip_prefix(b"HTTP/1.1 ")
        .or(line.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.split(|byte| *byte == b' ').next()?;
    (digits.len() == 3).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

fn body(status: u16, head: &[&[u8]], rest: &[u8], is_closed: bool) -> Option<Vec<u8>> {
    if [101, 204, 304].contains(&status) {
        return Some(Vec::new());
    }
    let lengths = values(head, "content-length");
    let codings = values(head, "transfer-encoding");
    match (&codings[..], &lengths[..]) {
        ([], []) => is_closed.then(|| rest.to_vec()),
        ([], lengths) => {
            let mut lengths = lengths.iter().flat_map(|value| value.split(','));
            let length = lengths.next()?.trim();
            let is_one = lengths.all(|other| other.trim().parse::<usize>() == length.parse());
            Some(
                rest.get(..length.parse().ok().filter(|_| is_one)?)?
                    .to_vec(),
            )
        }
        ([chunked], []) if chunked == "chunked" => joined(rest),
        _ => None,
    }
}

/// The values of a header, in lower case.
fn values(head: &[&[u8]], name: &str) -> Vec<String> {
    let lines = head
        .iter()
        .skip(1)
        .map(|line| String::from_utf8_lossy(line).to_ascii_lowercase());
    let headers = lines.filter_map(|line| {
        let (given, value) = line.split_once(':')?;
        (given == name).then(|| value.trim().to_owned())
    });
    headers.collect()
}

/// The data of all chunks, if the last one and its trailers are there.
fn joined(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let (line, rest) = line_and_rest(bytes)?;
        let line = String::from_utf8_lossy(line);
        let digits = line.split([';', ' ', '\t']).next()?;
        let size = usize::from_str_radix(digits, 16).ok()?;
        if size == 0 {
            return head_and_rest(rest).map(|_| data);
        }
        data.extend(rest.get(..size)?);
        bytes = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
