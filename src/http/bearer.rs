//! What a caller presents to be let in: RFC 6750, section 2.1. It goes no further than here.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The one bearer token of a request; none if there is another credential, or more than one.
pub(super) fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return None;
    };
    let (scheme, token) = only.as_bytes().split_first_chunk::<7>()?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Option<Vec<u8>> {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        let headers: HeaderMap = values.map(|value| (AUTHORIZATION, value)).collect();
        token(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn the_scheme_is_known_in_any_case() {
        for given in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(of(&[given]).as_deref(), Some(&b"abc"[..]), "{given}");
        }
    }

    #[test]
    fn other_credentials_and_several_are_none() {
        for given in [
            &[][..],
            &["abc"],
            &["Bearer"],
            &["Basic abc"],
            &["Bearerabc"],
        ] {
            assert_eq!(of(given), None, "{given:?}");
        }
        assert_eq!(of(&["Bearer abc", "Bearer abc"]), None);
    }
}
