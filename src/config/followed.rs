//! A secret file that may change while the program runs.
//!
//! It is read whole at each look, through whatever symbolic links lead to it: Kubernetes changes a mounted secret by swapping
//! one above the file. Invariants: a look tells what is new since the last one, and nothing twice; it takes a second at most,
//! and a file that cannot be read to its end holds up one thread and nobody else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;

use super::file;

/// How long a look may take. Secrets may lie on a network.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file, and what it held when it was last looked at.
pub(super) struct Followed {
    path: PathBuf,
    seen: Seen,
    /// A reading that has not ended: there is never a second one beside it.
    reading: Option<JoinHandle<Seen>>,
}

type Seen = Result<SecretString, String>;

impl Followed {
    /// The file at `path`, as it is now.
    pub(super) fn at(path: PathBuf) -> Self {
        let seen = read(&path);
        Self {
            path,
            seen,
            reading: None,
        }
    }

    /// What it held when it was last looked at, or why that is not known.
    pub(super) fn text(&self) -> Result<&str, String> {
        let text = self.seen.as_ref().map(SecretString::expose_secret);
        text.map_err(Clone::clone)
    }

    /// Looks again, and says whether there is anything new.
    pub(super) async fn look(&mut self) -> bool {
        let path = self.path.clone();
        let reading = self
            .reading
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || read(&path)));
        let Ok(ended) = tokio::time::timeout(PATIENCE, reading).await else {
            return false;
        };
        self.reading = None;
        let Ok(seen) = ended else {
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

impl Clone for Followed {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            seen: self.seen.clone(),
            reading: None,
        }
    }
}

fn read(path: &Path) -> Seen {
    let text = String::from_utf8(file::read(path)?);
    text.map(SecretString::from)
        .or(Err("cannot be read: it is not text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_cannot_be_read_to_its_end_holds_up_one_thread_and_no_look_for_long() {
        let mut followed = Followed::at(PathBuf::from("/nonexistent"));
        let (ends, end) = std::sync::mpsc::channel();
        let reading = tokio::task::spawn_blocking(move || end.recv().unwrap());
        followed.reading = Some(reading);
        let begun = tokio::time::Instant::now();

        assert!(!followed.look().await);
        assert!(!followed.look().await);
        assert!(begun.elapsed() < 4 * PATIENCE);
        // There was no second one beside it, which would have found no file.
        ends.send(Ok("another".into())).unwrap();
        assert!(followed.look().await);

        assert_eq!(followed.text(), Ok("another"));
    }
}
