//! What lies in the store is sealed: whoever reads it learns no token, whoever writes it can make none.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use ring::rand::{SecureRandom, SystemRandom};

/// Seals and opens the entries of one account.
pub(super) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
    /// The account and its data center.
    place: String,
}

impl Seal {
    pub(super) fn new(key: LessSafeKey, place: String) -> Self {
        let random = SystemRandom::new();
        Self { key, random, place }
    }

    /// Nonce, then text and tag. It opens under the same key of the store and the same version alone. `None` if the system
    /// has no random numbers.
    pub(super) fn seal(&self, name: &str, version: u64, text: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut sealed = text.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                self.bound_to(name, version),
                &mut sealed,
            )
            .ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// The text, if it is ours and in its place.
    pub(super) fn open(&self, name: &str, version: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self
            .key
            .open_in_place(nonce, self.bound_to(name, version), &mut text)
            .ok()?
            .len();
        text.truncate(opened);
        Some(text)
    }

    fn bound_to(&self, name: &str, version: u64) -> Aad<String> {
        Aad::from(format!("{name}\n{}\n{version}", self.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::fingerprint::Fingerprint;
    use crate::zoho::Origin;

    fn seal(secret: &str, place: &str) -> Seal {
        let accounts = Origin::parse("https://accounts.zoho.eu").unwrap();
        let key = Fingerprint::of("id", secret, "token", &accounts).sealing_key();
        Seal::new(key, place.to_owned())
    }

    #[test]
    fn an_entry_opens_in_its_own_place_alone() {
        let ours = seal("secret", "main eu");
        let sealed = ours.seal("key", 7, b"text").unwrap();

        assert_eq!(ours.open("key", 7, &sealed).unwrap(), b"text");
        assert!(ours.open("another key", 7, &sealed).is_none());
        assert!(ours.open("key", 8, &sealed).is_none());
        assert!(seal("secret", "main us").open("key", 7, &sealed).is_none());
        assert!(
            seal("another secret", "main eu")
                .open("key", 7, &sealed)
                .is_none()
        );
    }

    #[test]
    fn no_changed_or_shortened_entry_opens() {
        let ours = seal("secret", "main eu");
        let sealed = ours.seal("key", 7, b"text").unwrap();

        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ours.open("key", 7, &changed).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(ours.open("key", 7, &sealed[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        let ours = seal("secret", "main eu");

        assert_ne!(ours.seal("key", 7, b"text"), ours.seal("key", 7, b"text"));
    }
}
