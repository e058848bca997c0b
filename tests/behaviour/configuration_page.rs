//! `docs/configuration.md`: every key, as `config/default.toml` explains it, with what the program takes for it. The page is
//! written by `WRITE_DOCS=1 cargo nextest run configuration_page`, and otherwise checked.

use std::fmt::Write;

use bigin_photo_proxy::config::{self, Environment};

const DEFAULTS: &str = include_str!("../../config/default.toml");

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

/// What every configuration needs.
const ACCOUNT: &str = "[accounts.main]
data_center = \"eu\"
client_id = \"1000.ID\"
client_secret = \"secret\"
refresh_token = \"1000.token\"
";

const HEAD: &str =
    "<!-- Written by a test out of config/default.toml: tests/behaviour/configuration_page.rs -->
# Configuration

";

/// Where the comments of the file explain an account, whose keys have no defaults.
const FIRST_ACCOUNT: &str = "[accounts.main]";

/// The page, in the order of the file.
fn page() -> String {
    let mut page = HEAD.to_owned();
    let (mut comment, mut section) = (String::new(), String::new());
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment += text.strip_prefix(' ').unwrap_or(text);
            comment.push('\n');
            continue;
        }
        let comment = std::mem::take(&mut comment);
        if let Some((key, default)) = line.split_once(" = ") {
            let facts = [format!("default `{default}`")];
            page += &entry(&format!("{section}{key}"), &comment, &facts);
        } else if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            section = format!("{name}.");
            write!(page, "## [{name}]\n\n{comment}\n").unwrap();
        } else if !comment.is_empty() {
            writeln!(page, "{comment}").unwrap();
        }
    }
    page + accounts(&comment).trim_end() + "\n"
}

/// The section of accounts, out of the comment that ends the file: an explanation, then keys with examples.
fn accounts(comment: &str) -> String {
    let (explanation, keys) = comment.split_once(FIRST_ACCOUNT).unwrap();
    let mut page = format!("## [accounts.…]\n\n{explanation}");
    let mut key = "";
    let mut text = String::new();
    let mut example = Vec::new();
    for line in keys.trim_start().lines() {
        let (written, said) = line.split_once('#').unwrap_or((line, ""));
        if let Some((name, value)) = written.trim().split_once(" = ") {
            page += &flushed(key, &text, &example);
            (key, text) = (name, String::new());
            example = vec![format!("such as `{value}`")];
        }
        text += said.trim();
        text.push('\n');
    }
    page + &flushed(key, &text, &example)
}

fn flushed(key: &str, text: &str, example: &[String]) -> String {
    if key.is_empty() {
        return String::new();
    }
    entry(&format!("accounts.main.{key}"), text, example)
}

fn entry(key: &str, comment: &str, facts: &[String]) -> String {
    let variable = format!(
        "BIGIN_PHOTO_PROXY__{}",
        key.replace('.', "__").to_uppercase()
    );
    let facts = facts.join("; ");
    let allowed = allowed(key);
    format!("### {key}\n\n{comment}\n{facts}; {allowed}; `{variable}`\n\n")
}

/// What the program says a value must be, when it is given two that are wrong.
fn allowed(key: &str) -> String {
    let complaints = ["false", "\"\\u0001\""].into_iter().flat_map(|value| {
        let (account, name) = key.rsplit_once('.').unwrap_or(("", key));
        let config = if account == "accounts.main" {
            let others = ACCOUNT
                .lines()
                .filter(|line| !line.starts_with(&format!("{name} ")));
            others.collect::<Vec<_>>().join("\n") + &format!("\n{name} = {value}\n")
        } else {
            format!("{key} = {value}\n{ACCOUNT}")
        };
        let errors = config::parse(&config, &Environment::default()).map_err(|errors| errors.0);
        errors.err().unwrap_or_default()
    });
    let prefix = format!("{key}: must be ");
    let told: Vec<_> = complaints
        .filter_map(|error| Some(error.strip_prefix(&prefix)?.to_owned()))
        .collect();
    // Of several complaints the one that says more than the type.
    let precise = told.iter().find(|it| !it.starts_with("a text in quotes"));
    precise
        .or(told.first())
        .expect("some value is wrong")
        .clone()
}

#[test]
fn configuration_page() {
    let page = page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap();
    assert!(written == page, "docs/configuration.md is not up to date");
}
