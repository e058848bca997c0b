//! Where one page of the repository leads to another, there is one, with that heading; and each alert has its section.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The files below a folder whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The pages that people read.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages = files(&root.join("docs"), ".md");
    pages.extend(files(&root.join("deploy"), ".md"));
    pages.extend(["README.md", "CHANGELOG.md", "sandbox/README.md"].map(|page| root.join(page)));
    pages
}

/// What a page says outside of blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    text.split("```").step_by(2).collect()
}

/// The targets of a page's links, without those to the world outside.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.contains("://"))
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Path) -> Vec<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
        words
            .chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// Whether a link of a page leads somewhere.
fn is_sound(page: &Path, link: &str) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(path)
    };
    target.exists() && (anchor.is_empty() || anchors(&target).iter().any(|it| it == anchor))
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        for link in links(&prose(&page)) {
            assert!(is_sound(&page, link), "{}: {link}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_alert_has_its_section() {
    let operations = anchors(&Path::new(ROOT).join("docs/operations.md"));
    for file in files(&Path::new(ROOT).join("deploy/monitoring"), ".yaml") {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let alert = line.trim().strip_prefix("- alert: ");
            let alert = alert.map(str::to_lowercase);
            let runbook = line
                .split_once("operations.md#")
                .map(|(_, anchor)| anchor.to_owned());
            for anchor in alert.into_iter().chain(runbook) {
                assert!(operations.contains(&anchor), "{}: {anchor}", file.display());
            }
        }
    }
}
