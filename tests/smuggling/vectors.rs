//! What may be wrong with a request, section by section of RFC 9112 (another RFC is named), and what becomes of it when it is
//! sent to the proxy itself.
//!
//! Record 1 is what the request means, record 2 what a second one means that may follow it, and record 666 is in the bytes
//! that are no request: only somebody who reads them otherwise than the proxy would delete that photo.

use std::fmt;

use Direct::{Closed, Open};

/// What becomes of the bytes when they are sent to the proxy itself: the statuses of the answers, in order, and whether the
/// connection then takes another request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direct {
    Open(&'static [u16]),
    Closed(&'static [u16]),
}

/// One abuse.
pub(super) struct Vector {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) bytes: String,
    pub(super) direct: Direct,
}

impl fmt::Display for Vector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.section, self.name)
    }
}

type Row = (&'static str, &'static str, &'static str, Direct);

/// Every vector.
pub(super) fn vectors() -> Vec<Vector> {
    let table = |rows: &'static [Row], whole: fn(&str) -> String| {
        rows.iter()
            .map(move |(section, name, text, direct)| Vector {
                section,
                name,
                bytes: whole(text),
                direct: *direct,
            })
    };
    table(LINES, |line| format!("{line}\r\nHost: a\r\n\r\n"))
        .chain(table(TARGETS, |target| {
            format!("DELETE {target} HTTP/1.1\r\nHost: a\r\n\r\n")
        }))
        .chain(table(HEADERS, |headers| {
            format!("DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\n{headers}\r\n\r\n")
        }))
        .chain(table(BODIES, |rest| {
            format!("DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n{rest}")
        }))
        .chain(table(MESSAGES, ToOwned::to_owned))
        .collect()
}

/// Request lines; a Host and an empty line follow.
#[rustfmt::skip]
const LINES: &[Row] = &[
    ("2.3", "version 2.0", "DELETE /bigin/v2/Contacts/1/photo HTTP/2.0", Closed(&[400])),
    ("2.3", "version 0.9", "DELETE /bigin/v2/Contacts/1/photo HTTP/0.9", Closed(&[400])),
    ("2.3", "version 1.2", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.2", Closed(&[400])),
    ("2.3", "version 1.10", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.10", Closed(&[400])),
    ("2.3", "version 01.1", "DELETE /bigin/v2/Contacts/1/photo HTTP/01.1", Closed(&[400])),
    ("2.3", "version without a minor one", "DELETE /bigin/v2/Contacts/1/photo HTTP/1", Closed(&[400])),
    ("2.3", "version in lower case", "DELETE /bigin/v2/Contacts/1/photo http/1.1", Closed(&[400])),
    ("2.3", "version of another protocol", "DELETE /bigin/v2/Contacts/1/photo ICAP/1.1", Closed(&[400])),
    ("2.3", "version with a space in it", "DELETE /bigin/v2/Contacts/1/photo HTTP/1. 1", Closed(&[400])),
    ("2.3", "version 1.0 without persistence", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.0", Closed(&[200])),
    ("3", "no version at all", "DELETE /bigin/v2/Contacts/1/photo", Closed(&[400])),
    ("3", "no target", "DELETE HTTP/1.1", Closed(&[400])),
    ("3", "method alone", "DELETE", Closed(&[400])),
    ("3", "an empty target", "DELETE  HTTP/1.1", Closed(&[400])),
    ("3", "two spaces behind the method", "DELETE  /bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3", "two spaces before the version", "DELETE /bigin/v2/Contacts/1/photo  HTTP/1.1", Closed(&[400])),
    ("3", "a space behind the version", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1 ", Closed(&[400])),
    ("3", "a tab behind the method", "DELETE\t/bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3", "a tab before the version", "DELETE /bigin/v2/Contacts/1/photo\tHTTP/1.1", Closed(&[400])),
    ("3", "a vertical tab behind the method", "DELETE\u{b}/bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3", "a space before the method", " DELETE /bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3", "a second version", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1 HTTP/1.1", Closed(&[400])),
    ("3", "a second target", "DELETE /bigin/v2/Contacts/1/photo /bigin/v2/Contacts/666 HTTP/1.1", Closed(&[400])),
    ("3", "a NUL in the method", "DELE\0TE /bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3.1", "method in lower case", "delete /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.1", "method in mixed case", "Delete /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.1", "a longer method", "DELETED /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.1", "a shorter method", "DELET /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.1", "an empty method", " /bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3.1", "a colon in the method", "DELETE: /bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3.1", "a method with letters beyond ASCII", "DÉLETE /bigin/v2/Contacts/1/photo HTTP/1.1", Closed(&[400])),
    ("3.1", "GET", "GET /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.1", "TRACE", "TRACE /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.1", "PURGE", "PURGE /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.2.3", "CONNECT to an authority", "CONNECT www.zohoapis.eu:443 HTTP/1.1", Closed(&[400])),
    ("3.2.3", "CONNECT to a path", "CONNECT /bigin/v2/Contacts/1/photo HTTP/1.1", Open(&[405])),
    ("3.2.3", "DELETE with an authority", "DELETE www.zohoapis.eu:443 HTTP/1.1", Closed(&[400])),
    ("3.2.4", "OPTIONS with an asterisk", "OPTIONS * HTTP/1.1", Open(&[404])),
    ("3.2.4", "DELETE with an asterisk", "DELETE * HTTP/1.1", Open(&[404])),
    ("9113, 3.4", "the preface of HTTP/2", "PRI * HTTP/2.0", Closed(&[400])),
];

/// Request targets, in a request that is right in every other respect.
#[rustfmt::skip]
const TARGETS: &[Row] = &[
    ("3.2.1", "the record itself", "/bigin/v2/Contacts/666", Open(&[404])),
    ("3.2.1", "the record itself, with a slash", "/bigin/v2/Contacts/666/", Open(&[404])),
    ("3.2.1", "all records", "/bigin/v2/Contacts?ids=666", Open(&[404])),
    ("3.2.1", "without a leading slash", "bigin/v2/Contacts/666/photo", Closed(&[400])),
    ("3.2.1", "a slash at the end", "/bigin/v2/Contacts/666/photo/", Open(&[404])),
    ("3.2.1", "two slashes at the end", "/bigin/v2/Contacts/666/photo//", Open(&[404])),
    ("3.2.1", "two slashes at the beginning", "//bigin/v2/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "two slashes in the middle", "/bigin/v2/Contacts//666/photo", Open(&[404])),
    ("3.2.1", "two slashes in the prefix", "/bigin//v2/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "an empty id", "/bigin/v2/Contacts//photo", Open(&[404])),
    ("3.2.1", "two slashes before photo", "/bigin/v2/Contacts/666//photo", Open(&[404])),
    ("3.2.1", "an empty query", "/bigin/v2/Contacts/666/photo?", Closed(&[400])),
    ("3.2.1", "a query", "/bigin/v2/Contacts/666/photo?a=b", Closed(&[400])),
    ("3.2.1", "a query before photo", "/bigin/v2/Contacts/666?/photo", Open(&[404])),
    ("3.2.1", "a question mark, escaped", "/bigin/v2/Contacts/666%3f/photo", Open(&[404])),
    ("3.2.1", "a question mark, escaped in upper case", "/bigin/v2/Contacts/666%3F/photo", Open(&[404])),
    ("3.2.1", "a question mark, escaped twice", "/bigin/v2/Contacts/666%253f/photo", Open(&[404])),
    ("3.2.1", "a fragment before photo", "/bigin/v2/Contacts/666#/photo", Open(&[404])),
    ("3.2.1", "a fragment behind photo", "/bigin/v2/Contacts/1/photo#/../../666", Open(&[200])),
    ("3.2.1", "a number sign, escaped", "/bigin/v2/Contacts/666%23/photo", Open(&[404])),
    ("3.2.1", "a dot segment", "/bigin/v2/Contacts/./666/photo", Open(&[404])),
    ("3.2.1", "two dots behind photo", "/bigin/v2/Contacts/666/photo/..", Open(&[404])),
    ("3.2.1", "a dot behind photo", "/bigin/v2/Contacts/666/photo/.", Open(&[404])),
    ("3.2.1", "a dot, escaped", "/bigin/v2/Contacts/666/%2e/photo", Open(&[404])),
    ("3.2.1", "two dots and the module again", "/bigin/v2/Contacts/../Contacts/666/photo", Open(&[404])),
    ("3.2.1", "two dots, up and down again", "/bigin/v2/Contacts/1/../666/photo", Open(&[404])),
    ("3.2.1", "two dots above the root", "/../bigin/v2/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "two dots, escaped", "/bigin/v2/Contacts/666/photo/%2e%2e", Open(&[404])),
    ("3.2.1", "two dots and an escaped slash", "/bigin/v2/Contacts/1/..%2f666/photo", Open(&[404])),
    ("3.2.1", "two dots and a parameter", "/bigin/v2/Contacts/1/..;/666/photo", Open(&[404])),
    ("3.2.1", "an escaped slash", "/bigin/v2/Contacts/666%2fphoto", Open(&[404])),
    ("3.2.1", "an escaped slash in upper case", "/bigin/v2/Contacts/666%2Fphoto", Open(&[404])),
    ("3.2.1", "an escaped slash behind the module", "/bigin/v2/Contacts%2f666/photo", Open(&[404])),
    ("3.2.1", "an escaped slash, escaped again", "/bigin/v2/Contacts/666%252fphoto", Open(&[404])),
    ("3.2.1", "an escaped letter", "/bigin/v2/Contacts/666/%70hoto", Open(&[404])),
    ("3.2.1", "an escaped letter of the module", "/bigin/v2/Contact%73/666/photo", Open(&[404])),
    ("3.2.1", "an escaped digit", "/bigin/v2/Contacts/%366%36/photo", Open(&[404])),
    ("3.2.1", "an escape that is none", "/bigin/v2/Contacts/666%zz/photo", Open(&[404])),
    ("3.2.1", "an escape that is cut", "/bigin/v2/Contacts/666/photo%", Open(&[404])),
    ("3.2.1", "an overlong UTF-8 slash", "/bigin/v2/Contacts/666%c0%afphoto", Open(&[404])),
    ("3.2.1", "NUL, escaped", "/bigin/v2/Contacts/666%00/photo", Open(&[404])),
    ("3.2.1", "NUL, escaped, at the end", "/bigin/v2/Contacts/666/photo%00", Open(&[404])),
    ("3.2.1", "a space, escaped", "/bigin/v2/Contacts/666%20/photo", Open(&[404])),
    ("3.2.1", "a space, escaped, at the end", "/bigin/v2/Contacts/666/photo%20", Open(&[404])),
    ("3.2.1", "NUL", "/bigin/v2/Contacts/666\0/photo", Closed(&[400])),
    ("3.2.1", "a line break, escaped", "/bigin/v2/Contacts/666%0d%0a/photo", Open(&[404])),
    ("3.2.1", "a request line, escaped", "/bigin/v2/Contacts/1/photo%20HTTP/1.1%0d%0aHost:%20b", Open(&[404])),
    ("3.2.1", "a backslash", "/bigin/v2/Contacts\\666\\photo", Open(&[404])),
    ("3.2.1", "a backslash, escaped", "/bigin/v2/Contacts/666%5cphoto", Open(&[404])),
    ("3.2.1", "a parameter on the id", "/bigin/v2/Contacts/666;a=b/photo", Open(&[404])),
    ("3.2.1", "an empty parameter on the id", "/bigin/v2/Contacts/666;/photo", Open(&[404])),
    ("3.2.1", "an empty parameter on the module", "/bigin/v2/Contacts;/666/photo", Open(&[404])),
    ("3.2.1", "a parameter on photo", "/bigin/v2/Contacts/666/photo;a=b", Open(&[404])),
    ("3.2.1", "letters beyond ASCII", "/bigin/v2/Contacts/\u{666}/photo", Open(&[404])),
    ("3.2.1", "full-width digits", "/bigin/v2/Contacts/\u{ff16}/photo", Open(&[404])),
    ("3.2.1", "a no-break space", "/bigin/v2/Contacts/666\u{a0}/photo", Open(&[404])),
    ("3.2.1", "DEL", "/bigin/v2/Contacts/666\u{7f}/photo", Closed(&[400])),
    ("3.2.1", "an id with a sign", "/bigin/v2/Contacts/+666/photo", Open(&[404])),
    ("3.2.1", "a negative id", "/bigin/v2/Contacts/-666/photo", Open(&[400])),
    ("3.2.1", "an id of zero", "/bigin/v2/Contacts/0/photo", Open(&[400])),
    ("3.2.1", "an id with a point", "/bigin/v2/Contacts/666.0/photo", Open(&[400])),
    ("3.2.1", "an id with an exponent", "/bigin/v2/Contacts/666e0/photo", Open(&[400])),
    ("3.2.1", "an id in hexadecimal", "/bigin/v2/Contacts/0x29a/photo", Open(&[400])),
    ("3.2.1", "an id with a leading zero", "/bigin/v2/Contacts/0666/photo", Open(&[400])),
    ("3.2.1", "an id of twenty digits", "/bigin/v2/Contacts/66666666666666666666/photo", Open(&[400])),
    ("3.2.1", "an id that wraps at 64 bits to 666", "/bigin/v2/Contacts/18446744073709552282/photo", Open(&[400])),
    ("3.2.1", "two ids", "/bigin/v2/Contacts/1,666/photo", Open(&[404])),
    ("3.2.1", "two ids as segments", "/bigin/v2/Contacts/1/666/photo", Open(&[404])),
    ("3.2.1", "a module in lower case", "/bigin/v2/contacts/666/photo", Open(&[400])),
    ("3.2.1", "a module in the singular", "/bigin/v2/Contact/666/photo", Open(&[400])),
    ("3.2.1", "the API in upper case", "/BIGIN/v2/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "another version of the API", "/bigin/v1/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "photo in upper case", "/bigin/v2/Contacts/666/PHOTO", Open(&[404])),
    ("3.2.1", "photo in the plural", "/bigin/v2/Contacts/666/photos", Open(&[404])),
    ("3.2.1", "a segment behind photo", "/bigin/v2/Contacts/666/photo/x", Open(&[404])),
    ("3.2.1", "a version with a point", "/bigin/v2.1/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "the path as an account", "/bigin/v2/Contacts/1/photo/bigin/v2/Contacts/666/photo", Open(&[404])),
    ("3.2.1", "an account that is none", "/other/bigin/v2/Contacts/666/photo", Open(&[404])),
    ("3.2.2", "an absolute URL", "http://a/bigin/v2/Contacts/1/photo", Open(&[200])),
    ("3.2.2", "an absolute URL of somewhere else", "http://www.zohoapis.cn:1/bigin/v2/Contacts/1/photo", Open(&[200])),
    ("3.2.2", "an absolute URL with a user", "http://u:p@a/bigin/v2/Contacts/666/photo", Closed(&[400])),
    ("3.2.2", "an absolute URL without a host", "http:///bigin/v2/Contacts/666/photo", Closed(&[400])),
    ("3.2.2", "an absolute URL of another scheme", "ftp://a/bigin/v2/Contacts/666/photo", Closed(&[400])),
    ("3.2.2", "an absolute URL of a file", "file:///bigin/v2/Contacts/666/photo", Closed(&[400])),
    ("3.2.2", "an absolute URL with a bad port", "http://a:99999/bigin/v2/Contacts/666/photo", Closed(&[400])),
    ("3.2.2", "an absolute URL with a query", "http://a/bigin/v2/Contacts/666/photo?b", Closed(&[400])),
    ("3.2.2", "an absolute URL with a path to the record", "http://a/bigin/v2/Contacts/666", Open(&[404])),
    ("3.2.2", "an absolute URL in an absolute URL", "http://a/http://b/bigin/v2/Contacts/666/photo", Open(&[404])),
    ("3.2", "a space in the target", "/bigin/v2/Contacts/666 /photo", Closed(&[400])),
    ("3.2", "a tab in the target", "/bigin/v2/Contacts/666\t/photo", Closed(&[400])),
    ("3.2", "quotes around the target", "\"/bigin/v2/Contacts/666/photo\"", Closed(&[400])),
    ("3.2", "angle brackets around the target", "</bigin/v2/Contacts/666/photo>", Closed(&[400])),
];

/// Header lines, the last one without its line break, behind a good request line. There is no Host but those.
#[rustfmt::skip]
const HEADERS: &[Row] = &[
    ("3.2", "no Host", "X: y", Closed(&[400])),
    ("3.2", "two Hosts", "Host: a\r\nHost: a", Closed(&[400])),
    ("3.2", "two Hosts that differ", "Host: a\r\nHost: b", Closed(&[400])),
    ("3.2", "two Hosts in different case", "Host: a\r\nhOST: b", Closed(&[400])),
    ("3.2", "an empty Host", "Host:", Closed(&[400])),
    ("3.2", "a Host with a user", "Host: u@a", Closed(&[400])),
    ("3.2", "a Host with a path", "Host: a/b", Closed(&[400])),
    ("3.2", "a Host with a scheme", "Host: http://a", Closed(&[400])),
    ("3.2", "a Host with a space", "Host: a b", Closed(&[400])),
    ("3.2", "a Host with a comma", "Host: a,\u{20}b", Closed(&[400])),
    ("3.2", "a Host with a bad port", "Host: a:99999", Closed(&[400])),
    ("3.2", "a Host with two ports", "Host: a:1:2", Closed(&[400])),
    ("3.2", "a Host with a signed port", "Host: a:+80", Closed(&[400])),
    ("3.2", "a Host with a broken address", "Host: [::1", Closed(&[400])),
    ("3.2", "a Host with letters beyond ASCII", "Host: ä", Closed(&[400])),
    ("3.2", "a Host that names another server", "Host: www.zohoapis.cn", Open(&[200])),
    ("3.3", "another Host in X-Forwarded-Host", "Host: a\r\nX-Forwarded-Host: www.zohoapis.cn", Open(&[200])),
    ("3.3", "another path in X-Original-URL", "Host: a\r\nX-Original-URL: /bigin/v2/Contacts/666", Open(&[200])),
    ("3.3", "another path in X-Rewrite-URL", "Host: a\r\nX-Rewrite-URL: /bigin/v2/Contacts/666", Open(&[200])),
    ("3.3", "another method in X-HTTP-Method-Override", "Host: a\r\nX-HTTP-Method-Override: PUT", Open(&[200])),
    ("3.3", "a token of the caller's own", "Host: a\r\nAuthorization: Zoho-oauthtoken mine", Open(&[200])),
    ("3.3", "cookies of the caller's own", "Host: a\r\nCookie: a=b", Open(&[200])),
    ("5", "a header without a name", "Host: a\r\n: y", Closed(&[400])),
    ("5", "a header without a colon", "Host: a\r\nX y", Closed(&[400])),
    ("5", "a header that is only a name", "Host: a\r\nX", Closed(&[400])),
    ("5", "a space in a name", "Host: a\r\nX Y: z", Closed(&[400])),
    ("5", "a bracket in a name", "Host: a\r\nX(Y): z", Closed(&[400])),
    ("5", "a NUL in a name", "Host: a\r\nX\0: y", Closed(&[400])),
    ("5", "a NUL in a value", "Host: a\r\nX: y\0z", Closed(&[400])),
    ("5", "a bell in a value", "Host: a\r\nX: y\u{7}z", Closed(&[400])),
    ("5", "letters beyond ASCII in a name", "Host: a\r\nÄ: y", Closed(&[400])),
    ("5", "letters beyond ASCII in a value", "Host: a\r\nX: ä", Open(&[200])),
    ("5", "an underscore for a hyphen", "Host: a\r\nContent_Length: 5", Open(&[200])),
    ("5", "the name of a header as the value of another", "Host: a\r\nX: Content-Length: 5", Open(&[200])),
    ("5.1", "a space before the colon", "Host: a\r\nX : y", Closed(&[400])),
    ("5.1", "a space before the colon of Host", "Host : a", Closed(&[400])),
    ("5.1", "a space before the colon of Content-Length", "Host: a\r\nContent-Length : 5", Closed(&[400])),
    ("5.1", "a tab before the colon of Transfer-Encoding", "Host: a\r\nTransfer-Encoding\t: chunked", Closed(&[400])),
    ("5.2", "a folded value", "Host: a\r\nX: y\r\n z", Closed(&[400])),
    ("5.2", "a value folded with a tab", "Host: a\r\nX: y\r\n\tz", Closed(&[400])),
    ("5.2", "a folded Transfer-Encoding", "Host: a\r\nTransfer-Encoding:\r\n chunked", Closed(&[400])),
    ("5.2", "a folded first header", " Host: a", Closed(&[400])),
    ("5.2", "a line of spaces", "Host: a\r\n ", Closed(&[400])),
    ("9.1", "Proxy-Connection", "Host: a\r\nProxy-Connection: keep-alive", Open(&[200])),
    ("9.3", "Connection that drops Host", "Host: a\r\nConnection: Host", Open(&[200])),
    ("9.3", "Connection that drops Content-Length", "Host: a\r\nContent-Length: 0\r\nConnection: Content-Length", Open(&[200])),
    ("9.6", "Connection: close", "Host: a\r\nConnection: close", Closed(&[200])),
    ("9.6", "close among other options", "Host: a\r\nConnection: keep-alive, close", Closed(&[200])),
    ("9110, 7.8", "an upgrade to h2c", "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", Open(&[200])),
    ("9110, 7.8", "an upgrade to WebSocket", "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13", Open(&[200])),
    ("9110, 10.1.1", "Expect without a body", "Host: a\r\nExpect: 100-continue", Open(&[200])),
    ("9110, 10.1.1", "an Expect that nobody knows", "Host: a\r\nExpect: 666", Open(&[200])),
    ("9110, 10.1.4", "TE", "Host: a\r\nTE: trailers, chunked", Open(&[200])),
    ("9110, 7.6.2", "Max-Forwards", "Host: a\r\nMax-Forwards: 0", Open(&[200])),
    ("9112, 11.1", "a line break, escaped, in the request id", "Host: a\r\nX-Request-Id: a%0d%0aSet-Cookie:b", Open(&[200])),
];

/// What follows a good request line and a Host.
#[rustfmt::skip]
const BODIES: &[Row] = &[
    ("6.1", "an empty chunked body", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "a request in a chunked body", "Transfer-Encoding: chunked\r\n\r\n31\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nX: \r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "a request behind a chunked body", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked, and a length (TE.CL)", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n37\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "a length, and chunked (CL.TE)", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("6.1", "a length of zero, and chunked (CL.0)", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked, and identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "identity", "Transfer-Encoding: identity\r\n\r\n", Closed(&[400])),
    ("6.1", "identity, and a length", "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "gzip", "Transfer-Encoding: gzip\r\n\r\n", Closed(&[400])),
    ("6.1", "gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked, gzip", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked in upper case", "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked in quotes", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked behind a comma", "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked behind a vertical tab", "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked with a parameter", "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "a coding that is almost chunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.1", "an empty coding", "Transfer-Encoding:\r\n\r\n", Closed(&[400])),
    ("6.1", "chunked under an underscore, and a length", "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("6.2", "a body", "Content-Length: 2\r\n\r\n{}", Closed(&[400])),
    ("6.2", "a request as the body", "Content-Length: 57\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("6.2", "a length of zero and nothing else", "Content-Length: 0\r\n\r\n", Open(&[200])),
    ("6.2", "a length of zero, twice", "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", Open(&[200])),
    ("6.2", "two lengths that differ", "Content-Length: 0\r\nContent-Length: 57\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("6.2", "two lengths in one line", "Content-Length: 0, 57\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("6.2", "the same length twice in one line", "Content-Length: 0, 0\r\n\r\n", Closed(&[400])),
    ("6.2", "a negative length", "Content-Length: -1\r\n\r\n", Closed(&[400])),
    ("6.2", "a signed length", "Content-Length: +0\r\n\r\n", Closed(&[400])),
    ("6.2", "a length in hexadecimal", "Content-Length: 0x0\r\n\r\n", Closed(&[400])),
    ("6.2", "a length with a leading zero", "Content-Length: 00\r\n\r\n", Closed(&[400])),
    ("6.2", "a length with a point", "Content-Length: 0.0\r\n\r\n", Closed(&[400])),
    ("6.2", "a length with an exponent", "Content-Length: 0e0\r\n\r\n", Closed(&[400])),
    ("6.2", "a length that wraps at 64 bits to zero", "Content-Length: 18446744073709551616\r\n\r\n", Closed(&[400])),
    ("6.2", "an empty length", "Content-Length:\r\n\r\n", Closed(&[400])),
    ("6.2", "a length of letters", "Content-Length: zero\r\n\r\n", Closed(&[400])),
    ("6.2", "a length in full-width digits", "Content-Length: \u{ff10}\r\n\r\n", Closed(&[400])),
    ("6.2", "a length with a space in it", "Content-Length: 0 0\r\n\r\n", Closed(&[400])),
    ("6.3", "a request behind a request without a length", "\r\nDELETE /bigin/v2/Contacts/2/photo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Open(&[200, 200])),
    ("6.3", "a body that nobody announced", "\r\n{\"a\":666}\r\n", Closed(&[200, 400])),
    ("7.1", "a chunk size that is none", "Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("7.1", "a chunk size with a sign", "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n", Closed(&[400])),
    ("7.1", "a chunk size with a prefix", "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n", Closed(&[400])),
    ("7.1", "a chunk size that wraps", "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("7.1", "a chunk ended by a bare LF", "Transfer-Encoding: chunked\r\n\r\n0\n\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("7.1", "a chunk longer than it says", "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", Closed(&[400])),
    ("7.1.1", "an extension with a bare LF", "Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("7.1.1", "an extension in quotes with a line break", "Transfer-Encoding: chunked\r\n\r\n0;a=\"\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n\"", Closed(&[400])),
    ("7.1.2", "a trailer that changes the framing", "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 57\r\n\r\n", Closed(&[400])),
    ("7.1.2", "a trailer that ends in a bare LF", "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("8", "a body that never comes", "Content-Length: 1000\r\n\r\n", Closed(&[400])),
    ("8", "a chunked body that never ends", "Transfer-Encoding: chunked\r\n\r\n5\r\nab", Closed(&[400])),
    ("9110, 10.1.1", "Expect and a body", "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}", Closed(&[400])),
];

/// Whole messages.
#[rustfmt::skip]
const MESSAGES: &[Row] = &[
    ("2.2", "an empty line before the request", "\r\nDELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n", Open(&[200])),
    ("2.2", "a bare LF before the request", "\nDELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n", Open(&[200])),
    ("2.2", "bare LFs between all lines", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\nHost: a\n\n", Open(&[200])),
    ("2.2", "a bare LF behind a header that hides another", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 57\r\n\r\n", Closed(&[400])),
    ("2.2", "a bare CR in the request line", "DELETE /bigin/v2/Contacts/1/photo\rHTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "a bare CR behind the request line", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\rHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "a bare CR in a value", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 57\r\n\r\n", Closed(&[400])),
    ("2.2", "a bare CR before the end of the head", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", Closed(&[400])),
    ("2.2", "CR CR LF as a line break", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "white space before the first header", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\n \r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "white space that hides a Transfer-Encoding", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "a byte order mark", "\u{feff}DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "NULs before the request", "\0\0DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.2", "a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Closed(&[400])),
    ("2.2", "no HTTP at all", "hello\r\n\r\n", Closed(&[400])),
    ("2.2", "the beginning of TLS", "\u{16}\u{3}\u{1}\0\u{1}\0\r\n\r\n", Closed(&[400])),
    ("2.2", "the header of the PROXY protocol", "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\nDELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("2.3", "a simple request of HTTP/0.9", "DELETE /bigin/v2/Contacts/1/photo\r\n", Closed(&[400])),
    ("2.3", "1.0 with chunked", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Closed(&[400])),
    ("2.3", "1.0 without a Host", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.0\r\n\r\n", Closed(&[200])),
    ("2.3", "1.0 with keep-alive", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Open(&[200])),
    ("6.3", "the end of a head, and a request behind a refused body", "POST /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nContent-Length: 57\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("6.3", "a GET with a body that is a request", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 57\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("9.3.2", "two requests in a row", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\nDELETE /bigin/v2/Contacts/2/photo HTTP/1.1\r\nHost: a\r\n\r\n", Open(&[200, 200])),
    ("9.3.2", "a refused request between two good ones", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nDELETE /bigin/v2/Contacts/2/photo HTTP/1.1\r\nHost: a\r\n\r\n", Open(&[200, 404, 200])),
    ("9.3.2", "a good request behind bad framing", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[400])),
    ("9.3.2", "a good request, then bad framing, then another", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\nDELETE /bigin/v2/Contacts/1/photo?a HTTP/1.1\r\nHost: a\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[200, 400])),
    ("9.3.2", "empty lines between requests", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nDELETE /bigin/v2/Contacts/2/photo HTTP/1.1\r\nHost: a\r\n\r\n", Open(&[200, 200])),
    ("9.6", "a request behind Connection: close", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[200])),
    ("9.6", "a request behind one of 1.0", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.0\r\n\r\nDELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\nHost: a\r\n\r\n", Closed(&[200])),
    ("11.2", "a request in a header that does not end", "DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nX: DELETE /bigin/v2/Contacts/666/photo HTTP/1.1\r\n\r\n", Open(&[200])),
    ("11.2", "a head whose last header takes in what follows", "GET / HTTP/1.1\r\nHost: a\r\nX: ", Closed(&[400])),
];
