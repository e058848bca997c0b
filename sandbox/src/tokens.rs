//! Access tokens: issued, evicted, revoked, recognized. The one place that holds their text.

use std::collections::HashMap;

use fastrand::Rng;
use tokio::time::Instant;

/// All tokens ever issued, so that a dead one can be told from one that never lived.
#[derive(Debug)]
pub(crate) struct Tokens {
    issued: Vec<Token>,
    by_text: HashMap<String, usize>,
    dice: Rng,
}

#[derive(Debug)]
struct Token {
    text: String,
    expires: Instant,
    /// Evicted or revoked before its time.
    withdrawn: bool,
}

/// A token as it leaves the accounts server.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) index: usize,
    pub(crate) text: String,
}

/// What a token is worth that somebody presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Live,
    Expired,
    Withdrawn,
    Unknown,
}

impl Tokens {
    pub(crate) fn new(dice: Rng) -> Self {
        Self {
            issued: Vec::new(),
            by_text: HashMap::new(),
            dice,
        }
    }

    /// Issues a token with the given text, or one that looks like Zoho's. Beyond `at_most` live ones the oldest ends,
    /// silently: <https://www.zoho.com/accounts/protocol/oauth/token-limits.html>.
    pub(crate) fn issue(
        &mut self,
        text: Option<String>,
        expires: Instant,
        at_most: usize,
    ) -> Issued {
        let text = text.unwrap_or_else(|| zoho_text(&mut self.dice));
        let index = self.issued.len();
        self.by_text.insert(text.clone(), index);
        self.issued.push(Token {
            text: text.clone(),
            expires,
            withdrawn: false,
        });
        while self.live() > at_most {
            self.evict_oldest();
        }
        Issued { index, text }
    }

    pub(crate) fn evict_oldest(&mut self) {
        let now = Instant::now();
        if let Some(oldest) = self
            .issued
            .iter_mut()
            .find(|token| token.standing(now) == Standing::Live)
        {
            oldest.withdrawn = true;
        }
    }

    pub(crate) fn revoke_all(&mut self) {
        for token in &mut self.issued {
            token.withdrawn = true;
        }
    }

    /// How many would be accepted now.
    pub(crate) fn live(&self) -> usize {
        let now = Instant::now();
        self.issued
            .iter()
            .filter(|token| token.standing(now) == Standing::Live)
            .count()
    }

    pub(crate) fn index_of(&self, text: &str) -> Option<usize> {
        self.by_text.get(text).copied()
    }

    pub(crate) fn standing(&self, index: Option<usize>) -> Standing {
        let token = index.and_then(|index| self.issued.get(index));
        token.map_or(Standing::Unknown, |token| token.standing(Instant::now()))
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.issued.iter().map(|token| token.text.as_str())
    }
}

impl Token {
    fn standing(&self, now: Instant) -> Standing {
        if self.withdrawn {
            Standing::Withdrawn
        } else if now >= self.expires {
            Standing::Expired
        } else {
            Standing::Live
        }
    }
}

/// `1000.`, then twice 32 hexadecimal digits.
fn zoho_text(dice: &mut Rng) -> String {
    format!("1000.{:032x}.{:032x}", dice.u128(..), dice.u128(..))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn standings(tokens: &Tokens) -> Vec<Standing> {
        (0..tokens.issued.len())
            .map(|index| tokens.standing(Some(index)))
            .collect()
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn one_token_too_many_ends_the_oldest() {
        let mut tokens = Tokens::new(Rng::with_seed(1));

        for _ in 0..3 {
            tokens.issue(None, later(), 2);
        }

        assert_eq!(
            standings(&tokens),
            [Standing::Withdrawn, Standing::Live, Standing::Live]
        );
    }

    #[test]
    fn an_expired_token_takes_no_place_from_a_live_one() {
        let mut tokens = Tokens::new(Rng::with_seed(1));

        tokens.issue(None, Instant::now(), 2);
        tokens.issue(None, later(), 2);
        tokens.issue(None, later(), 2);

        assert_eq!(
            standings(&tokens),
            [Standing::Expired, Standing::Live, Standing::Live]
        );
    }

    #[test]
    fn a_token_looks_like_one_of_zoho() {
        let mut tokens = Tokens::new(Rng::with_seed(1));

        let text = tokens.issue(None, later(), 2).text;

        let parts: Vec<&str> = text.split('.').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [4, 32, 32]
        );
    }
}
