//! A secret file that may change while the program runs.
//!
//! It is read whole at each look, through whatever symbolic links lead to it: Kubernetes changes a mounted secret by swapping
//! one above the file. Invariant: a look tells what is new since the last one, and nothing twice.

use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// A file, and what it held when it was last looked at.
#[derive(Clone)]
pub(super) struct Followed {
    path: PathBuf,
    seen: Seen,
}

type Seen = Result<SecretString, io::ErrorKind>;

impl Followed {
    /// The file at `path`, as it is now.
    pub(super) fn at(path: PathBuf) -> Self {
        let seen = read(&path);
        Self { path, seen }
    }

    /// What it held when it was last looked at, or why that is not known.
    pub(super) fn text(&self) -> Result<&str, String> {
        match &self.seen {
            Ok(text) => Ok(text.expose_secret()),
            Err(problem) => Err(format!("cannot be read: {problem}")),
        }
    }

    /// Looks again, and says whether there is anything new.
    pub(super) async fn look(&mut self) -> bool {
        let path = self.path.clone();
        // Secrets may lie on a network.
        let Ok(seen) = tokio::task::spawn_blocking(move || read(&path)).await else {
            return false;
        };
        let is_same = match (&self.seen, &seen) {
            (Ok(old), Ok(new)) => old.expose_secret() == new.expose_secret(),
            (Err(old), Err(new)) => old == new,
            _ => false,
        };
        self.seen = seen;
        !is_same
    }

    /// Whether this is the same place.
    pub(super) fn is_at_the_place_of(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

fn read(path: &PathBuf) -> Seen {
    std::fs::read_to_string(path)
        .map(SecretString::from)
        .map_err(|error| error.kind())
}
