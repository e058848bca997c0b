//! Finds any eight bytes of a secret in any text, in the ways in which bytes are usually written.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// How many bytes of a secret in a row are too many.
const WINDOW: usize = 8;

/// So many characters of base64 hold seven bytes whole, and most of an eighth.
const BASE64_WINDOW: usize = 10;

type Spell = fn(&u8) -> String;

/// The ways to write bytes one by one, and what stands between them.
const SPELLINGS: [(Spell, &str); 7] = [
    (|byte| char::from(*byte).to_string(), ""),
    (|byte| format!("{byte:02x}"), ""),
    (|byte| format!("{byte:02X}"), ""),
    (|byte| format!("%{byte:02x}"), ""),
    (|byte| format!("%{byte:02X}"), ""),
    (u8::to_string, ","),
    (u8::to_string, ", "),
];

/// Knows every window of some secrets.
pub(crate) struct Canary(AhoCorasick);

impl Canary {
    pub(crate) fn of(secrets: &[&str]) -> Self {
        let windows: Vec<_> = secrets.iter().flat_map(|secret| windows(secret)).collect();
        Self(AhoCorasick::new(windows).unwrap())
    }

    /// The first window in a text, with what stands around it.
    pub(crate) fn found_in(&self, text: &[u8]) -> Option<String> {
        let found = self.0.find(text)?;
        let around = found.start().saturating_sub(80)..(found.end() + 80).min(text.len());
        Some(String::from_utf8_lossy(&text[around]).into_owned())
    }
}

/// All spellings of a secret as a whole.
pub(crate) fn spelt(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let plain = SPELLINGS.iter().map(|(spell, between)| {
        let spelt: Vec<_> = bytes.iter().map(spell).collect();
        spelt.join(between)
    });
    plain.chain(base64s(secret)).collect()
}

fn windows(secret: &str) -> Vec<String> {
    assert!(secret.len() >= WINDOW + 2, "too short to be looked for");
    let plain = secret.as_bytes().windows(WINDOW).flat_map(|window| {
        SPELLINGS.iter().map(|(spell, between)| {
            let spelt: Vec<_> = window.iter().map(spell).collect();
            spelt.join(between)
        })
    });
    let base64 = base64s(secret).into_iter().flat_map(|text| {
        let windows: Vec<_> = text
            .as_bytes()
            .windows(BASE64_WINDOW)
            .map(|window| String::from_utf8(window.to_vec()).unwrap())
            .collect();
        windows
    });
    plain.chain(base64).collect()
}

/// Base64 has three spellings, by the place of the first byte; and the last group depends on what follows.
fn base64s(secret: &str) -> Vec<String> {
    let from = |start: usize| {
        let bytes = &secret.as_bytes()[start..];
        STANDARD_NO_PAD.encode(&bytes[..bytes.len() / 3 * 3])
    };
    (0..3).map(from).collect()
}

#[test]
fn a_secret_is_found_in_every_spelling_wherever_it_begins() {
    let secret = "4f8a0c1e55aa7d3b9e";
    let canary = Canary::of(&[secret]);
    for text in spelt(secret) {
        for before in ["", "x", "xy"] {
            let text = format!("{before}{text} and more");
            assert!(canary.found_in(text.as_bytes()).is_some(), "{text}");
        }
    }
    for start in 0..3 {
        let text = format!("{}{secret}", "~".repeat(start));
        let text = STANDARD_NO_PAD.encode(text);
        assert!(canary.found_in(text.as_bytes()).is_some(), "{text}");
    }
    for part in secret.as_bytes().windows(WINDOW - 1) {
        assert_eq!(canary.found_in(part), None);
    }
}
