//! A credential, from a file or from the configuration itself: exactly one of the two, and never printed.

use secrecy::{ExposeSecret, SecretString};

use super::reader::Section;

/// A credential. It has no `Debug`, no `Display`, no `Serialize`, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The value, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Reads `key` or the first file of `key_file`.
    pub(super) fn read(account: &Section, key: &str) -> Self {
        let file_key = format!("{key}_file");
        // An empty one is there as well: somebody meant to fill it.
        let has_both = account.has(key) && account.has(&file_key);
        let inline = account.has(key).then(|| account.text(key));
        let files = account.texts(&file_key);
        let text = match (inline, files.first()) {
            _ if has_both => {
                account.error(
                    &file_key,
                    format!("and {key} are both given: leave one of them out"),
                );
                return Self::new("ambiguous");
            }
            (Some(inline), _) => inline,
            (None, Some(path)) => return Self::of_file(account, key, path),
            (None, None) => {
                account.error(&file_key, format!("is missing (or {key})"));
                return Self::new("missing");
            }
        };
        Self::checked(account, key, &text)
    }

    /// Reads the file at `path`, which `key_file` names.
    pub(super) fn of_file(section: &Section, key: &str, path: &str) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::checked(section, key, &text),
            Err(error) => {
                section.error(&format!("{key}_file"), format!("cannot be read: {error}"));
                Self::new("unread")
            }
        }
    }

    fn checked(section: &Section, key: &str, text: &str) -> Self {
        let text = without_newline(text);
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            section.error(key, "must be visible ASCII on one line, without spaces");
        }
        Self::new(text)
    }

    fn new(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

/// Files usually end with one.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
