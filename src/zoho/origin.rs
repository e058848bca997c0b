//! An origin that tokens or credentials may be sent to: scheme, host and port, nothing else.
//!
//! Invariant: it is `https`, or `http` on a loopback address (for tests and the sandbox).

use std::fmt;

use http::HeaderValue;
use url::{Host, Url};

/// Scheme, host and port of an accounts server or an API.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Url);

/// Why a text is no origin that a token may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Not a URL with a host.
    #[error("must be a URL such as https://www.zohoapis.eu")]
    NotAUrl,
    /// More than scheme, host and port.
    #[error("must be scheme, host and port alone: no user, path, query or fragment")]
    NotAnOrigin,
    /// It would carry secrets in clear text over a network.
    #[error("must begin with https:// (http:// is for loopback addresses such as 127.0.0.1 alone)")]
    NotSecure,
}

impl Origin {
    /// Reads a URL as people write it into a configuration file.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).or(Err(InvalidOrigin::NotAUrl))?;
        let host = url.host().ok_or(InvalidOrigin::NotAUrl)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidOrigin::NotAnOrigin);
        }
        let loopback = match host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(_) => false,
        };
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if loopback => Ok(Self(url)),
            _ => Err(InvalidOrigin::NotSecure),
        }
    }

    /// Whether connections to it are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host without a port, IPv6 addresses in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0
            .host_str()
            .expect("parse refuses URLs without a host")
    }

    /// The port, the scheme's own if none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0
            .port_or_known_default()
            .expect("http and https have default ports")
    }

    /// What the `Host` header of a request to it says (RFC 9112, section 3.2: no default port).
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        let text = match self.0.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        };
        HeaderValue::from_str(&text).expect("a parsed host is visible ASCII")
    }

    /// The URL of a path on it. The path is ours, never a caller's.
    #[must_use]
    pub fn join(&self, path: &'static str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// Whether a URL that somebody else wrote means the same host and port.
    #[must_use]
    pub fn is_same_place_as(&self, text: &str) -> bool {
        Url::parse(text).is_ok_and(|other| other.origin() == self.0.origin())
    }
}

/// Without the trailing slash, as people write it.
impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_people_write_it() {
        let origin = Origin::parse("https://www.zohoapis.eu/").unwrap();

        assert_eq!(origin.to_string(), "https://www.zohoapis.eu");
        assert_eq!(
            (origin.host(), origin.port(), origin.is_tls()),
            ("www.zohoapis.eu", 443, true)
        );
        assert_eq!(origin.host_header(), "www.zohoapis.eu");
    }

    #[test]
    fn another_port_stands_in_the_host_header() {
        assert_eq!(
            Origin::parse("http://127.0.0.1:9090")
                .unwrap()
                .host_header(),
            "127.0.0.1:9090"
        );
        assert_eq!(
            Origin::parse("http://[::1]:9090").unwrap().host_header(),
            "[::1]:9090"
        );
    }

    #[test]
    fn clear_text_is_for_loopback_addresses_alone() {
        for text in [
            "http://www.zohoapis.eu",
            "http://10.0.0.1",
            "http://localhost:80",
            "ftp://127.0.0.1",
        ] {
            assert_eq!(Origin::parse(text), Err(InvalidOrigin::NotSecure), "{text}");
        }
    }

    #[test]
    fn more_than_an_origin_is_refused() {
        for text in [
            "https://a.b/c",
            "https://a.b/?q",
            "https://a.b/#f",
            "https://u@a.b",
            "https://u:p@a.b",
        ] {
            assert_eq!(
                Origin::parse(text),
                Err(InvalidOrigin::NotAnOrigin),
                "{text}"
            );
        }
        for text in ["", "www.zohoapis.eu", "https://", "mailto:a@b"] {
            assert_eq!(Origin::parse(text), Err(InvalidOrigin::NotAUrl), "{text}");
        }
    }

    #[test]
    fn the_same_place_may_be_written_differently() {
        let origin = Origin::parse("https://www.zohoapis.com").unwrap();

        assert!(origin.is_same_place_as("https://www.zohoapis.com/"));
        assert!(origin.is_same_place_as("https://WWW.zohoapis.com:443"));
        assert!(!origin.is_same_place_as("https://api.zoho.eu"));
        assert!(!origin.is_same_place_as("http://www.zohoapis.com"));
        assert!(!origin.is_same_place_as("nonsense"));
    }
}
