//! Tells the program which commit it is built from, if that is known: `GIT_SHA` and `BUILD_DATE` from the environment (a
//! container build has no repository), else git itself.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script's configuration is the environment"
)]

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=GIT_SHA");
    println!("cargo::rerun-if-env-changed=BUILD_DATE");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    let commit = given("GIT_SHA")
        .or_else(git_commit)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=COMMIT={commit}");
    let built = given("BUILD_DATE").map_or_else(String::new, |date| format!(", built {date}"));
    println!(
        "cargo::rustc-env=VERSION={} (commit {commit}{built})",
        env!("CARGO_PKG_VERSION")
    );
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn git_commit() -> Option<String> {
    let git = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(git.stdout).ok()?;
    git.status.success().then(|| commit.trim().to_owned())
}
