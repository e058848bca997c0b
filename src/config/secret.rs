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
        let (inline, files) = (account.text(key), account.texts(&file_key));
        let text = match (inline.is_empty(), files.first()) {
            (false, None) => inline,
            (true, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) => {
                    account.error(&file_key, format!("cannot be read: {error}"));
                    return Self::new("unread");
                }
            },
            (true, None) => {
                account.error(&file_key, format!("is missing (or {key})"));
                return Self::new("missing");
            }
            (false, Some(_)) => {
                account.error(
                    &file_key,
                    format!("and {key} are both given: leave one of them out"),
                );
                return Self::new("ambiguous");
            }
        };
        let text = without_newline(&text);
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            account.error(key, "must be visible ASCII on one line, without spaces");
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
