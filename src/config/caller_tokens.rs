//! The tokens that callers must present, from a file that may change while the program runs.
//!
//! Invariants: a token is never printed, and a file that cannot be used never replaces one that could.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Mutex;

use super::followed::Followed;
use super::reader::Section;

/// How often to look whether the file has changed: whoever rotates a token waits as long before using it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is shorter can be guessed.
const SHORTEST: usize = 16;

/// The tokens that are valid now. Cheap to clone; clones change together.
#[derive(Clone)]
pub struct CallerTokens(Arc<Inner>);

struct Inner {
    /// Its one user is whoever follows it.
    file: Mutex<Followed>,
    tokens: ArcSwap<Tokens>,
}

type Tokens = Vec<SecretString>;

impl fmt::Debug for CallerTokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CallerTokens")
    }
}

impl CallerTokens {
    /// The tokens in the file that `key` names, if it names one.
    pub(super) fn read(section: &Section, key: &str) -> Option<Self> {
        let path = PathBuf::from(section.text(key));
        if path.as_os_str().is_empty() {
            return None;
        }
        let file = Followed::at(path);
        let tokens = file
            .text()
            .and_then(|text| parse(text).map_err(str::to_owned));
        let tokens = tokens.unwrap_or_else(|problem| {
            section.error(key, problem);
            Tokens::new()
        });
        Some(Self(Arc::new(Inner {
            file: Mutex::new(file),
            tokens: ArcSwap::from_pointee(tokens),
        })))
    }

    /// Whether this is one of them. Takes the same time for all of one length.
    #[must_use]
    pub fn contain(&self, given: &[u8]) -> bool {
        let tokens = self.0.tokens.load();
        let found = tokens.iter().fold(Choice::from(0), |found, token| {
            found | token.expose_secret().as_bytes().ct_eq(given)
        });
        found.into()
    }

    /// Follows the file for ever.
    pub async fn follow(&self) {
        let mut file = self.0.file.lock().await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !file.look().await {
                continue;
            }
            let tokens = file
                .text()
                .and_then(|text| parse(text).map_err(str::to_owned));
            match tokens {
                Ok(tokens) => {
                    tracing::info!(tokens = tokens.len(), "the tokens of callers have changed");
                    self.0.tokens.store(Arc::new(tokens));
                }
                Err(problem) => {
                    tracing::error!(
                        problem,
                        "server.caller_token_file: the old tokens stay valid"
                    );
                }
            }
        }
    }
}

/// One token a line.
fn parse(text: &str) -> Result<Tokens, &'static str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let tokens: Tokens = lines.map(SecretString::from).collect();
    let is_token = |token: &SecretString| {
        let token = token.expose_secret();
        token.len() >= SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if tokens.is_empty() {
        Err("holds no token")
    } else if tokens.iter().all(is_token) {
        Ok(tokens)
    } else {
        Err("must hold one token a line, each of at least 16 visible ASCII characters")
    }
}
