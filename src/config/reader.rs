//! Takes keys out of a table, one typed value at a time, and collects what is wrong instead of stopping at the first.
//!
//! A wrong key yields a stand-in of its type, so that reading goes on; [`Section::finish`] then refuses the whole. Keys
//! that nobody took are unknown, and errors too.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use toml::{Table, Value};

use super::ConfigErrors;

/// A table of keys that are still to be read.
pub(super) struct Section {
    path: String,
    keys: RefCell<Table>,
    errors: Rc<RefCell<Vec<String>>>,
}

impl Section {
    /// The outermost table, and what is known to be wrong.
    pub(super) fn root(table: Table, errors: Vec<String>) -> Self {
        Self {
            path: String::new(),
            keys: RefCell::new(table),
            errors: Rc::new(RefCell::new(errors)),
        }
    }

    /// A table inside this one, empty if there is none.
    pub(super) fn section(&self, name: &str) -> Self {
        let table = match self.take(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.error(name, "must be a section");
                Table::new()
            }
        };
        Self {
            path: self.path_of(name) + ".",
            keys: RefCell::new(table),
            errors: Rc::clone(&self.errors),
        }
    }

    /// The names of the keys that are left.
    pub(super) fn names(&self) -> Vec<String> {
        self.keys.borrow().keys().cloned().collect()
    }

    /// Whether a key is there and not read yet, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.borrow().contains_key(key)
    }

    /// A text; empty if the key is missing.
    pub(super) fn text(&self, key: &str) -> String {
        match self.take(key) {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(_) => {
                self.error(key, "must be a text in quotes");
                String::new()
            }
        }
    }

    /// A text, or a list of texts; empty if the key is missing.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let items = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(item) => vec![item],
        };
        let texts: Option<Vec<_>> = items
            .into_iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect();
        texts.unwrap_or_else(|| {
            self.error(key, "must be a text in quotes, or a list of them");
            Vec::new()
        })
    }

    /// A whole number.
    pub(super) fn number(&self, key: &str, allowed: RangeInclusive<usize>) -> usize {
        let number = self
            .take(key)
            .and_then(|value| usize::try_from(value.as_integer()?).ok());
        number
            .filter(|number| allowed.contains(number))
            .unwrap_or_else(|| {
                self.error(
                    key,
                    format!(
                        "must be a whole number from {} to {}",
                        allowed.start(),
                        allowed.end()
                    ),
                );
                *allowed.start()
            })
    }

    /// A whole number that has no default. A variable brings it as text, for there is no number that it is put over.
    pub(super) fn optional_number(
        &self,
        key: &str,
        allowed: RangeInclusive<usize>,
    ) -> Option<usize> {
        let mut keys = self.keys.borrow_mut();
        let value = keys.get_mut(key)?;
        if let Some(number) = value.as_str().and_then(|text| text.parse::<i64>().ok()) {
            *value = number.into();
        }
        drop(keys);
        Some(self.number(key, allowed))
    }

    /// A duration such as `15s`.
    pub(super) fn duration(&self, key: &str, allowed: RangeInclusive<Duration>) -> Duration {
        let duration = self
            .take(key)
            .and_then(|value| humantime::parse_duration(value.as_str()?).ok());
        duration
            .filter(|duration| allowed.contains(duration))
            .unwrap_or_else(|| {
                let [least, most] =
                    [*allowed.start(), *allowed.end()].map(humantime::format_duration);
                self.error(
                    key,
                    format!("must be a duration from {least} to {most}, such as \"15s\""),
                );
                *allowed.start()
            })
    }

    /// Anything that is written as a text, with what it must be. The stand-in is `T`'s default.
    pub(super) fn parsed<T: FromStr + StandIn>(&self, key: &str, what: &str) -> T {
        self.take(key)
            .and_then(|value| value.as_str()?.parse().ok())
            .unwrap_or_else(|| {
                self.error(key, what);
                T::stand_in()
            })
    }

    /// Notes that a key is wrong.
    pub(super) fn error(&self, key: &str, problem: impl Display) {
        self.errors
            .borrow_mut()
            .push(format!("{}: {problem}", self.path_of(key)));
    }

    /// Notes that an environment variable is wrong which is no key of ours.
    pub(super) fn error_of_variable(&self, name: &str, problem: impl Display) {
        self.errors.borrow_mut().push(format!("{name}: {problem}"));
    }

    /// Whether everything was right, for the root.
    pub(super) fn finish(self) -> Result<(), ConfigErrors> {
        let errors = Rc::clone(&self.errors);
        drop(self);
        let mut errors = errors.take();
        errors.sort_by(|one, other| key_of(one).cmp(key_of(other)));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(errors))
        }
    }

    fn take(&self, key: &str) -> Option<Value> {
        self.keys.borrow_mut().remove(key)
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }
}

/// The key that an error begins with.
fn key_of(error: &str) -> &str {
    error.split(": ").next().unwrap_or(error)
}

/// What was not taken is unknown.
impl Drop for Section {
    fn drop(&mut self) {
        for key in self.names() {
            self.error(
                &key,
                "is not a key of this configuration (config/default.toml lists them all)",
            );
        }
    }
}

/// A value that stands for one that could not be read.
pub(super) trait StandIn {
    fn stand_in() -> Self;
}

impl StandIn for std::net::SocketAddr {
    fn stand_in() -> Self {
        Self::from(([127, 0, 0, 1], 0))
    }
}
