//! The proxy through which Zoho is reached, where a network lets nothing out directly.
//!
//! Its URL can be shown to anyone; its password comes from a file alone. Proxies in the environment are ignored: what
//! carries credentials is said here.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use url::Url;

use super::reader::Section;
use super::secret::Secret;

const PROBLEM: &str = "must be a URL such as http://proxy.example:3128: http, host and port alone";

/// An HTTP proxy that opens tunnels.
#[derive(Clone, Debug)]
pub struct ForwardProxy {
    /// Where it listens.
    pub url: Url,
    /// The value of `Proxy-Authorization`, marked sensitive, if it asks who we are.
    pub authorization: Option<HeaderValue>,
}

impl ForwardProxy {
    /// The proxy at a URL, which does not ask who we are.
    pub fn at(url: &str) -> Result<Self, &'static str> {
        Ok(Self {
            url: parse(url)?,
            authorization: None,
        })
    }
}

/// The proxy that the section names, if it names one.
pub(super) fn read(upstream: &Section) -> Option<ForwardProxy> {
    let text = upstream.text("proxy");
    let authorization = read_authorization(upstream);
    if text.is_empty() {
        if authorization.is_some() {
            upstream.error("proxy", "is missing: proxy_user is of no use without it");
        }
        return None;
    }
    let url = parse(&text).map_err(|problem| upstream.error("proxy", problem));
    Some(ForwardProxy {
        url: url.ok()?,
        authorization,
    })
}

fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).or(Err(PROBLEM))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must hold no user and no password: they belong into proxy_user and proxy_password_file",
        );
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if url.scheme() == "http" && url.has_host() && bare {
        Ok(url)
    } else {
        Err(PROBLEM)
    }
}

/// Basic authentication (RFC 7617), if a user is named.
fn read_authorization(upstream: &Section) -> Option<HeaderValue> {
    let (user, path) = (
        upstream.text("proxy_user"),
        upstream.text("proxy_password_file"),
    );
    match (user.is_empty(), path.is_empty()) {
        (true, true) => return None,
        (true, false) => upstream.error("proxy_user", "is missing: proxy_password_file needs it"),
        (false, true) => upstream.error("proxy_password_file", "is missing: proxy_user needs it"),
        (false, false) => {}
    }
    if user.contains(':') || !user.bytes().all(|byte| byte.is_ascii_graphic()) {
        upstream.error(
            "proxy_user",
            "must be visible ASCII without spaces and colons",
        );
    }
    if path.is_empty() {
        return None;
    }
    let password = Secret::of_file(upstream, "proxy_password_file", &path);
    let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
    let mut authorization =
        HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is visible ASCII");
    authorization.set_sensitive(true);
    Some(authorization)
}
