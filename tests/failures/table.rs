//! `docs/failures.md` says which row is proven by which test. It names every test of this folder, and no test that is not
//! there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of each test in a folder's files, behind the name of its file, or of the folder.
fn tests_in(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
        let module = match file.file_stem().unwrap().to_str().unwrap() {
            "mod" => folder.rsplit('/').next().unwrap(),
            name => name,
        };
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (attribute, function) in lines.iter().zip(lines.iter().skip(1)) {
            let name = ["async fn ", "fn "]
                .iter()
                .find_map(|start| function.strip_prefix(start));
            if attribute.starts_with("#[")
                && attribute.contains("test")
                && let Some((name, _)) = name.and_then(|name| name.split_once('('))
            {
                found.insert(format!("{module}::{name}"));
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}

/// Every test that the page names: `` `file::a_sentence` ``.
fn tests_in_the_page() -> BTreeSet<String> {
    let page = include_str!("../../docs/failures.md");
    let quoted = page.split('`').skip(1).step_by(2);
    let names = quoted.filter(|text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
        text.contains("::") && text.bytes().all(plain)
    });
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn every_row_names_a_test_that_exists() {
    let folders = [
        "tests/failures",
        "tests/smuggling",
        "tests/behaviour",
        "tests/fleet",
        "src/upstream",
    ];
    let tests: BTreeSet<_> = folders.into_iter().flat_map(tests_in).collect();

    let missing: Vec<_> = tests_in_the_page().difference(&tests).cloned().collect();

    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_test_of_a_row_is_named_by_the_page() {
    let mut tests = tests_in("tests/failures");
    tests.retain(|name| !name.starts_with("table::"));
    assert!(tests.len() > 70, "{}", tests.len());

    let missing: Vec<_> = tests.difference(&tests_in_the_page()).cloned().collect();

    assert!(missing.is_empty(), "{missing:#?}");
}
