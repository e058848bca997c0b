//! The three layers of a configuration, merged: built-in defaults, the file, the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::{Table, Value};

use super::ConfigErrors;
use super::reader::Section;

/// The defaults, which are also their documentation.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What every variable of ours begins with.
const PREFIX: &str = "BIGIN_PHOTO_PROXY__";

/// Keys whose values are never shown.
const SECRETS: [&str; 2] = ["client_secret", "refresh_token"];

/// The environment variables, taken once at start; of what is not Unicode the name alone.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Option<String>>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the environment"
    )]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of one variable.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref()
    }

    /// The same without the variables that set accounts, or which one is the default.
    #[must_use]
    pub fn without_accounts(mut self) -> Self {
        self.0.retain(|name, _| {
            let key = name.strip_prefix(PREFIX).unwrap_or_default();
            let section = key.split("__").next().unwrap_or_default();
            !["accounts", "default_account"]
                .iter()
                .any(|of_accounts| section.eq_ignore_ascii_case(of_accounts))
        });
        self
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        let read = |(name, value): (OsString, OsString)| {
            (
                name.to_string_lossy().into_owned(),
                value.into_string().ok(),
            )
        };
        Self(variables.map(read).collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let variables = variables.into_iter();
        variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
}

/// The merged keys, not yet checked.
pub(super) struct Layers {
    table: Table,
    /// What is wrong with variables, each with its name.
    errors: Vec<String>,
}

impl Layers {
    /// Puts the file over the defaults, and the environment over both. Fails if the file is not TOML: nobody knows then
    /// what it wanted to say, and only the variables are still checked.
    pub(super) fn merge(text: &str, environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut layers = Self {
            table: DEFAULTS
                .parse()
                .expect("config/default.toml is TOML: a test reads it"),
            errors: Vec::new(),
        };
        let file = text.parse().map_err(|error| syntax_error(text, &error));
        let unreadable = file.map(|file| put_over(&mut layers.table, file)).err();
        layers.put_environment_over(environment);
        match unreadable {
            None => Ok(layers),
            Some(error) => {
                layers.errors.insert(0, error);
                Err(ConfigErrors(layers.errors))
            }
        }
    }

    fn put_environment_over(&mut self, environment: &Environment) {
        for (name, value) in &environment.0 {
            let Some(key) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let set = match value {
                Some(value) => set(&mut self.table, key, value),
                None => Err("is not Unicode".to_owned()),
            };
            if let Err(problem) = set {
                self.errors.push(format!("{name}: {problem}"));
            }
        }
    }

    /// All keys, to be read; what is wrong so far is said with the rest.
    pub(super) fn root(&self) -> Section {
        Section::root(self.table.clone(), self.errors.clone())
    }

    /// Puts a value over the key at the end of `path`, whose sections are there.
    pub(super) fn put(&mut self, path: &[&str], value: &str) {
        let Some((key, sections)) = path.split_last() else {
            return;
        };
        let section = sections.iter().try_fold(&mut self.table, |table, name| {
            table.get_mut(*name)?.as_table_mut()
        });
        if let Some(section) = section {
            section.insert((*key).to_owned(), value.into());
        }
    }

    /// The keys as TOML, without the secrets.
    pub(super) fn render(mut self) -> String {
        let accounts = self.table.get_mut("accounts").and_then(Value::as_table_mut);
        for (_, account) in accounts.into_iter().flatten() {
            for secret in SECRETS {
                if let Some(value) = account.get_mut(secret) {
                    *value = "(not shown)".into();
                }
            }
        }
        toml::to_string(&self.table).expect("a table that was parsed can be written")
    }
}

fn put_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => put_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// Sets the key that the rest of a variable's name says. The value takes the type that is there already.
fn set(table: &mut Table, name: &str, value: &str) -> Result<(), String> {
    let lower = name.to_ascii_lowercase();
    let path: Vec<&str> = lower.split("__").collect();
    let (key, sections) = path.split_last().ok_or("names no key")?;
    let mut table = table;
    for (depth, section) in sections.iter().enumerate() {
        let in_accounts = depth == 1 && sections.first() == Some(&"accounts");
        let section = if in_accounts {
            section.replace('_', "-")
        } else {
            (*section).to_owned()
        };
        let entry = table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        table = entry
            .as_table_mut()
            .ok_or("names a key inside a value that is no section")?;
    }
    let value = match table.get(*key) {
        Some(Value::Integer(_)) => Value::Integer(value.parse().or(Err("must be a whole number"))?),
        Some(Value::Table(_)) => return Err("names a section, not a key".to_owned()),
        _ => Value::String(value.to_owned()),
    };
    table.insert((*key).to_owned(), value);
    Ok(())
}

/// Where a file is not TOML. The parser's own message quotes the line, which may hold a secret.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let offset = error.span().map_or(0, |span| span.start);
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    format!("line {line}: is not valid TOML")
}
