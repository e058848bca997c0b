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

use super::reader::Section;

/// How often to look whether the file has changed: whoever rotates a token waits as long before using it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is shorter can be guessed.
const SHORTEST: usize = 16;

/// The tokens that are valid now. Cheap to clone; clones change together.
#[derive(Clone)]
pub struct CallerTokens(Arc<Inner>);

struct Inner {
    path: PathBuf,
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
        let tokens = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot be read: {error}"))
            .and_then(|text| parse(&text).map_err(str::to_owned));
        let tokens = tokens.unwrap_or_else(|problem| {
            section.error(key, problem);
            Tokens::new()
        });
        let tokens = ArcSwap::from_pointee(tokens);
        Some(Self(Arc::new(Inner { path, tokens })))
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
        let mut usable = true;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let path = self.0.path.clone();
            // Secrets may lie on a network.
            let read = tokio::task::spawn_blocking(|| std::fs::read_to_string(path)).await;
            let parsed = match read {
                Ok(Ok(text)) => parse(&text),
                _ => Err("cannot be read"),
            };
            let was_usable = std::mem::replace(&mut usable, parsed.is_ok());
            match parsed {
                Ok(tokens) => self.replace(tokens),
                Err(problem) if was_usable => {
                    tracing::error!(
                        problem,
                        "server.caller_token_file: the old tokens stay valid"
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn replace(&self, tokens: Tokens) {
        let old = self.0.tokens.load();
        let mut pairs = old.iter().zip(&tokens);
        let same = old.len() == tokens.len()
            && pairs.all(|(old, new)| old.expose_secret() == new.expose_secret());
        if !same {
            tracing::info!(tokens = tokens.len(), "the tokens of callers have changed");
            self.0.tokens.store(Arc::new(tokens));
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
