//! The page about the log, against what the program writes and against its source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{Program, client, config_for, eventually};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn page() -> String {
    fs::read_to_string(Path::new(ROOT).join("docs/logs.md")).unwrap()
}

#[tokio::test]
async fn the_page_about_the_log_lists_every_field_of_a_requests_line_and_no_other() {
    let zoho = Sandbox::start().await;
    // A collector that nobody is: spans are made all the same.
    let keys = "telemetry.otlp_endpoint = \"http://127.0.0.1:9\"\nserver.drain_delay = \"0s\"
upstream.max_in_flight = 1";
    let mut program = Program::serve(&config_for(&zoho, keys));
    let (address, _) = program.addresses();
    let url = format!("http://{address}/bigin/v2/Contacts/2034020000000489033/photo");
    let delete = || client().delete(&url).send();
    eventually("it deletes", async || {
        delete().await.is_ok_and(|it| it.status() == 200)
    })
    .await;
    zoho.on_delete(When::Next(2), ApiFault::before(ApiFaultKind::Close));
    delete().await.unwrap();
    // One at a time: the second and the third wait, and share a call.
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 500 }),
    );
    let (_, _, _) = tokio::join!(delete(), delete(), delete());
    program.signal("TERM");
    let (_, log) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let written: BTreeSet<String> = lines
        .filter(|line| line["message"] == "request")
        .flat_map(|line| line.as_object().unwrap().clone())
        .map(|(field, _)| field)
        .collect();
    let page = page();
    let listed = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed = listed.map(|(field, _)| field.to_owned());
    let every_line = ["timestamp", "level", "target", "message"].map(String::from);
    let listed: BTreeSet<_> = listed
        .filter(|it| !it.contains(' ') && it != "panicked")
        .collect();
    assert_eq!(written, listed.into_iter().chain(every_line).collect());
}

#[test]
fn the_page_about_the_log_lists_every_message_that_somebody_must_look_at() {
    let mut messages = BTreeSet::new();
    sources(&Path::new(ROOT).join("src"), &mut |source| {
        for call in source.split("error!(").skip(1) {
            let call = call.split(");").next().unwrap();
            let literals = call.split('"').skip(1).step_by(2);
            messages.extend(literals.last().map(str::to_owned));
        }
    });
    let page = page();

    let missing: Vec<_> = messages
        .iter()
        .filter(|message| !page.contains(&format!("`{message}`")))
        .collect();

    assert!(messages.len() > 8, "{messages:?}");
    assert!(missing.is_empty(), "{missing:?}");
}

fn sources(folder: &Path, read: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, read);
        } else {
            read(&fs::read_to_string(&path).unwrap());
        }
    }
}
