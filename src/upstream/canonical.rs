//! The one request that is ever sent to Zoho's API.
//!
//! It is rebuilt from parsed parts; nothing of a caller's is in it: no header, no query, no body, no trace context. Before
//! it is handed on it is checked once more, by other means than those that built it.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri, Version};
use http_body_util::Empty;
use hyper::body::Bytes;

use crate::target::Target;
use crate::token::AccessToken;
use crate::zoho::Origin;

/// What the program calls itself to Zoho.
const NAME: &str = concat!("bigin-photo-proxy/", env!("CARGO_PKG_VERSION"));

/// The headers of the request, all of them, in their order.
const HEADERS: [HeaderName; 5] = [HOST, AUTHORIZATION, ACCEPT, ACCEPT_ENCODING, USER_AGENT];

/// Builds requests for one API.
pub(super) struct Canonical {
    /// All headers, the authorization without its value.
    headers: HeaderMap,
}

impl Canonical {
    pub(super) fn new(api: &Origin) -> Self {
        let values = [
            api.host_header(),
            HeaderValue::from_static(""),
            HeaderValue::from_static("application/json"),
            HeaderValue::from_static("identity"),
            HeaderValue::from_static(NAME),
        ];
        Self {
            headers: HEADERS.into_iter().zip(values).collect(),
        }
    }

    /// The request, or nothing if it is not the canonical one: a broken assertion of ours.
    pub(super) fn request(
        &self,
        target: &Target,
        token: &AccessToken,
    ) -> Option<Request<Empty<Bytes>>> {
        let mut headers = self.headers.clone();
        headers.insert(AUTHORIZATION, token.authorization());

        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = Uri::from(target.path());
        *request.headers_mut() = headers;
        is_canonical(&request).then_some(request)
    }
}

fn is_canonical<B>(request: &Request<B>) -> bool {
    let head = request.method() == Method::DELETE && request.version() == Version::HTTP_11;
    let uri = request.uri();
    let target = uri.scheme().is_none()
        && uri.authority().is_none()
        && uri.path_and_query().is_some_and(deletes_a_photo);
    let headers = request.headers();
    let only_ours = headers.len() == HEADERS.len() && headers.keys().eq(&HEADERS);
    head && target
        && only_ours
        && headers
            .get(AUTHORIZATION)
            .is_some_and(HeaderValue::is_sensitive)
}

/// `/bigin/v2/{Contacts|Accounts|Products}/{[1-9][0-9]{0,18}}/photo`, byte for byte.
fn deletes_a_photo(path: &PathAndQuery) -> bool {
    let Some(rest) = path.as_str().as_bytes().strip_prefix(b"/bigin/v2/") else {
        return false;
    };
    let modules: [&[u8]; 3] = [b"Contacts/", b"Accounts/", b"Products/"];
    let Some(rest) = modules.iter().find_map(|module| rest.strip_prefix(*module)) else {
        return false;
    };
    let Some(id) = rest.strip_suffix(b"/photo") else {
        return false;
    };
    matches!(id, [b'1'..=b'9', ..]) && id.len() <= 19 && id.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &'static str) -> Request<()> {
        let mut authorization = HeaderValue::from_static("Zoho-oauthtoken x");
        authorization.set_sensitive(true);
        Request::delete(path)
            .header(HOST, "www.zohoapis.eu")
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, NAME)
            .body(())
            .unwrap()
    }

    #[test]
    fn the_deletion_of_a_photo_is_canonical() {
        for path in [
            "/bigin/v2/Contacts/1/photo",
            "/bigin/v2/Accounts/9999999999999999999/photo",
            "/bigin/v2/Products/20/photo",
        ] {
            assert!(is_canonical(&request(path)), "{path}");
        }
    }

    #[test]
    fn no_other_path_is_canonical() {
        for path in [
            "/bigin/v2/Contacts/1",
            "/bigin/v2/Contacts/1/",
            "/bigin/v2/Contacts/1/photo/",
            "/bigin/v2/Contacts/1/photo?x",
            "/bigin/v2/Contacts/1?/photo",
            "/bigin/v2/Contacts/1%2fphoto",
            "/bigin/v2/Contacts//photo",
            "/bigin/v2/Contacts/01/photo",
            "/bigin/v2/Contacts/1/2/photo",
            "/bigin/v2/Contacts/10000000000000000000000/photo",
            "/bigin/v2/Deals/1/photo",
            "/bigin/v1/Contacts/1/photo",
            "/x/bigin/v2/Contacts/1/photo",
            "https://www.zohoapis.eu/bigin/v2/Contacts/1/photo",
        ] {
            assert!(!is_canonical(&request(path)), "{path}");
        }
    }

    #[test]
    fn no_other_head_is_canonical() {
        let path = "/bigin/v2/Contacts/1/photo";
        let spoilt: [fn(&mut Request<()>); 6] = [
            |request| *request.method_mut() = Method::GET,
            |request| *request.version_mut() = Version::HTTP_10,
            |request| {
                drop(
                    request
                        .headers_mut()
                        .insert("cookie", HeaderValue::from_static("a=b")),
                );
            },
            |request| drop(request.headers_mut().remove(HOST)),
            |request| {
                request
                    .headers_mut()
                    .append(ACCEPT, HeaderValue::from_static("text/html"));
            },
            |request| {
                drop(
                    request
                        .headers_mut()
                        .insert(AUTHORIZATION, HeaderValue::from_static("shown")),
                );
            },
        ];
        for spoil in spoilt {
            let mut request = request(path);
            spoil(&mut request);
            assert!(!is_canonical(&request), "{request:?}");
        }
    }
}
