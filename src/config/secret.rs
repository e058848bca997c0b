//! A credential, from files or from the configuration itself: exactly one of the two, and never printed.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::followed::Followed;
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

    /// The secret that a text holds, which files usually end with a newline.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must be visible ASCII on one line, without spaces");
        }
        Ok(Self(SecretString::from(text)))
    }

    /// Reads the file at `path`, which `key` names, once.
    pub(super) fn of_file(section: &Section, key: &str, path: &str) -> Self {
        let place = Place::of_file(path);
        place.usable.unwrap_or_else(|| {
            section.error(key, place.problem.unwrap_or_default());
            Self(SecretString::from("unread"))
        })
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

/// A credential in the places where it may stand: the configuration itself, or one file or several, which are followed.
#[derive(Clone)]
pub struct Secrets {
    key: &'static str,
    places: Vec<Place>,
}

/// One place, and the latest secret in it that could be used.
#[derive(Clone)]
struct Place {
    file: Option<Followed>,
    usable: Option<Secret>,
    problem: Option<String>,
}

/// What a look has shown in one place.
pub struct News<'a> {
    /// Which place, from 1.
    pub position: usize,
    /// The secret that is new there, or why none can be used. What could be used before still stands for the place.
    pub found: Result<&'a Secret, &'a str>,
}

impl Secrets {
    /// Reads `key`, or the files of `key_file`, of which at least one must be usable.
    pub(super) fn read(account: &Section, key: &'static str) -> Self {
        let file_key = format!("{key}_file");
        // An empty one is there as well: somebody meant to fill it.
        let has_both = account.has(key) && account.has(&file_key);
        let inline = account.has(key).then(|| account.text(key));
        let files = account.texts(&file_key);
        let places = if has_both {
            account.error(
                &file_key,
                format!("and {key} are both given: leave one of them out"),
            );
            Vec::new()
        } else if let Some(inline) = inline {
            let secret = Secret::parse(&inline);
            secret.map_or_else(
                |problem| {
                    account.error(key, problem);
                    Vec::new()
                },
                |secret| vec![Place::of_configuration(secret)],
            )
        } else if files.is_empty() {
            account.error(&file_key, format!("is missing (or {key})"));
            Vec::new()
        } else {
            let places: Vec<_> = files.iter().map(|path| Place::of_file(path)).collect();
            if places.iter().all(|place| place.usable.is_none()) {
                let problem = places.first().and_then(|place| place.problem.as_deref());
                account.error(&file_key, problem.unwrap_or_default());
            }
            places
        };
        Self { key, places }
    }

    /// The key in the configuration.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The secrets that can be used, each with its position from 1, in the order in which they are tried.
    pub fn usable(&self) -> impl Iterator<Item = (usize, &Secret)> {
        let numbered = (1..).zip(&self.places);
        numbered.filter_map(|(position, place)| Some((position, place.usable.as_ref()?)))
    }

    /// Looks at every file again, and tells what is new.
    pub async fn look(&mut self) -> Vec<News<'_>> {
        let mut news = Vec::new();
        for (position, place) in (1..).zip(&mut self.places) {
            if place.look().await {
                let found = match (&place.problem, &place.usable) {
                    (None, Some(secret)) => Ok(secret),
                    (problem, _) => Err(problem.as_deref().unwrap_or_default()),
                };
                news.push(News { position, found });
            }
        }
        news
    }

    /// The files that cannot be used for now, where others can.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let numbered = (1..).zip(&self.places);
        numbered.filter_map(|(position, place)| {
            let problem = place.problem.as_ref()?;
            Some(format!(
                "{}_file: the file at position {position} {problem}",
                self.key
            ))
        })
    }

    /// Whether both always hold the same: they are the same files, or the same text in the configuration.
    #[must_use]
    pub fn stand_with(&self, other: &Self) -> bool {
        let mut pairs = self.places.iter().zip(&other.places);
        self.places.len() == other.places.len()
            && pairs.all(|(one, other)| match (&one.file, &other.file) {
                (Some(one), Some(other)) => one.is_at_the_place_of(other),
                (None, None) => one.usable == other.usable,
                _ => false,
            })
    }
}

impl Place {
    fn of_configuration(secret: Secret) -> Self {
        Self {
            file: None,
            usable: Some(secret),
            problem: None,
        }
    }

    fn of_file(path: &str) -> Self {
        let mut place = Self {
            file: Some(Followed::at(PathBuf::from(path))),
            usable: None,
            problem: None,
        };
        place.take();
        place
    }

    async fn look(&mut self) -> bool {
        let is_new = match &mut self.file {
            Some(file) => file.look().await,
            None => false,
        };
        if is_new {
            self.take();
        }
        is_new
    }

    /// Takes what the file holds, if it can be used.
    fn take(&mut self) {
        let text = self.file.as_ref().map(Followed::text);
        let secret = text.map(|text| Secret::parse(text?).map_err(str::to_owned));
        match secret {
            Some(Ok(secret)) => {
                self.usable = Some(secret);
                self.problem = None;
            }
            Some(Err(problem)) => self.problem = Some(problem),
            None => {}
        }
    }
}
