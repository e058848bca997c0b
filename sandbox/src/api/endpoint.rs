//! What a request target asks for.
//!
//! Targets are read as the most careless server would read them: decoded until nothing is left to decode, cut at
//! encoded question marks, `\` taken for `/`, dots resolved, path parameters and empty segments dropped. How Zoho reads
//! odd targets is not documented. A client that lets `…/Contacts/1%3f/photo` through shall find a deleted record here,
//! not a harmless 404.

use percent_encoding::percent_decode_str;

/// Decoding more often than this is a target nobody sends.
const MOST_DECODINGS: usize = 4;

/// An endpoint of the API that deletes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/bigin/v2/{module}/{id}/photo`
    Photo { module: String, id: String },
    /// `/bigin/v2/{module}/{id}`: <https://www.bigin.com/developer/docs/apis/v2/delete-records.html>
    Record { module: String, id: String },
    /// `/bigin/v2/{module}?ids=…`: the same page.
    Records { module: String, ids: Vec<String> },
}

impl Endpoint {
    /// `None` if Zoho has no such path.
    pub(crate) fn of(target: &str) -> Option<Self> {
        let target = decode(target);
        let target = without_origin(&target);
        let (path, query) = target.split_once(['?', '#']).unwrap_or((target, ""));
        match *segments(path).as_slice() {
            ["bigin", "v2", module, id, "photo"] => Some(Self::Photo {
                module: module.to_owned(),
                id: id.to_owned(),
            }),
            ["bigin", "v2", module, id] => Some(Self::Record {
                module: module.to_owned(),
                id: id.to_owned(),
            }),
            ["bigin", "v2", module] => Some(Self::Records {
                module: module.to_owned(),
                ids: ids(query)?,
            }),
            _ => None,
        }
    }

    pub(crate) fn module(&self) -> &str {
        match self {
            Self::Photo { module, .. }
            | Self::Record { module, .. }
            | Self::Records { module, .. } => module,
        }
    }

    pub(crate) fn ids(&self) -> &[String] {
        match self {
            Self::Photo { id, .. } | Self::Record { id, .. } => std::slice::from_ref(id),
            Self::Records { ids, .. } => ids,
        }
    }
}

fn decode(target: &str) -> String {
    let mut target = target.to_owned();
    for _ in 0..MOST_DECODINGS {
        target = percent_decode_str(&target).decode_utf8_lossy().into_owned();
    }
    target
}

/// The form of a target that is meant for proxies, and that every server has to accept: RFC 9112, section 3.2.2.
fn without_origin(target: &str) -> &str {
    let behind_scheme = target
        .strip_prefix("http://")
        .or_else(|| target.strip_prefix("https://"));
    behind_scheme.map_or(target, |rest| {
        rest.split_once('/').map_or("", |(_, path)| path)
    })
}

fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split(['/', '\\']) {
        let (segment, _parameters) = segment.split_once(';').unwrap_or((segment, ""));
        match segment.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control()) {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments
}

fn ids(query: &str) -> Option<Vec<String>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, ids) = pairs.find(|(name, _)| name == "ids")?;
    Some(ids.split(',').map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo() -> Endpoint {
        Endpoint::Photo {
            module: "Contacts".to_owned(),
            id: "1".to_owned(),
        }
    }

    fn record() -> Endpoint {
        Endpoint::Record {
            module: "Contacts".to_owned(),
            id: "1".to_owned(),
        }
    }

    #[test]
    fn the_three_endpoints_are_told_apart() {
        let records = Endpoint::Records {
            module: "Contacts".to_owned(),
            ids: vec!["1".to_owned(), "2".to_owned()],
        };

        assert_eq!(Endpoint::of("/bigin/v2/Contacts/1/photo"), Some(photo()));
        assert_eq!(Endpoint::of("/bigin/v2/Contacts/1"), Some(record()));
        assert_eq!(Endpoint::of("/bigin/v2/Contacts?ids=1,2"), Some(records));
    }

    #[test]
    fn a_photo_target_in_disguise_is_read_as_the_record_behind_it() {
        for target in [
            "/bigin/v2/Contacts/1%3f/photo",
            "/bigin/v2/Contacts/1%23/photo",
            "/bigin/v2/Contacts/1%253f/photo",
            "/bigin/v2/Contacts/1/photo/..",
            "/bigin/v2/Contacts/1/%2e%2e/1/photo%2f%2e%2e",
            "/bigin/v2/Contacts/1\\photo\\..",
            "/bigin/v2/Contacts/1/;/photo/../",
            "//bigin//v2//Contacts//1",
            "/bigin/v2/Contacts/1/",
            "/bigin/v2/Contacts/1%00/",
            "http://www.zohoapis.com/bigin/v2/Contacts/1",
        ] {
            assert_eq!(Endpoint::of(target), Some(record()), "{target}");
        }
    }

    #[test]
    fn any_other_path_is_none() {
        for target in [
            "/",
            "*",
            "/bigin/v2",
            "/bigin/v2/Contacts",
            "/bigin/v1/Contacts/1/photo",
            "/bigin/v2/Contacts/1/photo/2",
        ] {
            assert_eq!(Endpoint::of(target), None, "{target}");
        }
    }
}
