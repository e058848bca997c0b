//! What names and seals an account's entries in the shared store: everything is derived from its credentials.
//!
//! Whoever has other credentials gets other names and another key, so a changed account never meets an old token.

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use secrecy::zeroize::Zeroizing;

use super::credentials::Pair;
use crate::zoho::Origin;

/// A key that nobody finds who has not the credentials, and that says nothing about them.
pub(super) struct Fingerprint(Prk);

impl Fingerprint {
    /// The one place where credentials become names and keys.
    pub(super) fn of(
        client_id: &str,
        client_secret: &str,
        refresh_token: &str,
        accounts: &Origin,
    ) -> Self {
        let accounts = accounts.to_string();
        let mut credentials = Zeroizing::new(Vec::with_capacity(1024));
        for part in [client_id, client_secret, refresh_token, &accounts] {
            // With its length, so that no two lists of parts look the same.
            credentials.extend_from_slice(&part.len().to_be_bytes());
            credentials.extend_from_slice(part.as_bytes());
        }
        Self(Salt::new(HKDF_SHA256, b"bigin-photo-proxy token store 1").extract(&credentials))
    }

    /// Of all that an access token comes from.
    pub(super) fn of_token(client_id: &str, pair: &Pair, accounts: &Origin) -> Self {
        let (secret, token) = (pair.client_secret.expose(), pair.refresh_token.expose());
        Self::of(client_id, secret, token, accounts)
    }

    /// Of what Zoho counts token requests by: it outlives a change of the client's secret.
    pub(super) fn of_budget(pair: &Pair, accounts: &Origin) -> Self {
        Self::of("", "", pair.refresh_token.expose(), accounts)
    }

    /// 32 hexadecimal digits for the name of a key in the store.
    pub(super) fn name(&self) -> String {
        let mut name = [0; 16];
        self.derive(b"name", Length(name.len()), &mut name);
        format!("{:032x}", u128::from_be_bytes(name))
    }

    /// The key that entries are sealed with. AES-256-GCM, because it is ring's, which is here already; its short nonces may
    /// be random, because a key seals few entries: a token an hour, and failures.
    pub(super) fn sealing_key(&self) -> LessSafeKey {
        let mut key = Zeroizing::new([0; 32]);
        self.derive(b"seal", Length(key.len()), key.as_mut());
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("it has 32 bytes"))
    }

    fn derive(&self, purpose: &[u8], length: Length, into: &mut [u8]) {
        self.0
            .expand(&[purpose], length)
            .and_then(|derived| derived.fill(into))
            .expect("HKDF gives up to 8 KiB");
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_credential_and_the_accounts_host_change_name_and_nothing_else_does() {
        let accounts = |url| Origin::parse(url).unwrap();
        let (eu, us) = (
            accounts("https://accounts.zoho.eu"),
            accounts("https://accounts.zoho.com"),
        );
        let name = |id, secret, token, at| Fingerprint::of(id, secret, token, at).name();
        let names = [
            name("id", "secret", "token", &eu),
            name("id2", "secret", "token", &eu),
            name("id", "secret2", "token", &eu),
            name("id", "secret", "token2", &eu),
            name("id", "secret", "token", &us),
            // The same bytes, differently divided.
            name("idsecret", "", "token", &eu),
        ];

        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert_eq!(names[0], name("id", "secret", "token", &eu));
        assert_eq!(names[0].len(), 32);
    }
}
