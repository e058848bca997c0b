//! The corpora that fuzzing has left: what must hold for any bytes holds for these. See `fuzz/src/lib.rs`.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails where it stands"
)]

#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;

use std::path::Path;

use fuzz::{PROPERTIES, Property};

fn replay(name: &str) {
    let (_, property): (_, Property) = PROPERTIES.into_iter().find(|(it, _)| *it == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!files.is_empty());
    for file in files {
        // Shown if the next line fails.
        println!("{}", file.path().display());
        property(&std::fs::read(file.path()).unwrap());
    }
}

#[test]
fn paths() {
    replay("target");
}

#[test]
fn envelopes() {
    replay("envelope");
}

#[test]
fn configurations() {
    replay("config");
}

#[test]
fn token_answers() {
    replay("token_answer");
}

#[test]
fn answers_of_the_store() {
    replay("store_answer");
}

#[test]
fn bytes_of_zohos_side() {
    replay("upstream_bytes");
}

#[test]
fn bytes_of_callers() {
    replay("caller_bytes");
}
