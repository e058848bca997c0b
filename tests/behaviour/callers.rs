//! Who may call: optional, and off unless it is configured.

use std::path::PathBuf;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use zoho_sandbox::Sandbox;

use crate::support::{Program, Reply, TestApp, client, config_for, eventually, exchange, reply};

const TOKEN: &str = "first-token-of-callers";
const NEXT: &str = "second-token-of-callers";

const REQUEST: &[u8] = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";

/// A file of tokens. It is removed with the test.
struct TokenFile(PathBuf);

impl TokenFile {
    fn holding(text: &str) -> Self {
        let name = format!("caller-tokens-{:016x}", fastrand::u64(..));
        let file = Self(std::env::temp_dir().join(name));
        file.replace(text);
        file
    }

    fn replace(&self, text: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }

    fn key(&self) -> String {
        format!("server.caller_token_file = \"{}\"", self.0.display())
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn ask(app: &TestApp, authorizations: &[&str]) -> Reply {
    let values = authorizations
        .iter()
        .map(|value| HeaderValue::from_str(value).unwrap());
    let headers: HeaderMap = values.map(|value| (AUTHORIZATION, value)).collect();
    let url = format!("http://{}/bigin/v2/Contacts/1/photo", app.address);
    reply(app.client().delete(url).headers(headers)).await
}

#[tokio::test]
async fn callers_without_a_valid_token_are_refused_and_cost_nothing() {
    let zoho = Sandbox::start().await;
    let file = TokenFile::holding(&format!("{TOKEN}\n"));
    let app = TestApp::with(&zoho, &file.key()).await;
    let valid = format!("Bearer {TOKEN}");
    let longer = format!("{valid}x");
    let shorter = valid.trim_end_matches('s');
    let basic = format!("Basic {TOKEN}");

    for wrong in [
        &[][..],
        &[TOKEN],
        &["Bearer "],
        &[longer.as_str()],
        &[shorter],
        &[basic.as_str()],
        &[valid.as_str(), valid.as_str()],
    ] {
        let refused = ask(&app, wrong).await;

        assert_eq!(refused.status, 401, "{wrong:?}");
        assert_eq!(refused.code(), "CALLER_UNAUTHORIZED");
        assert_eq!(refused.outcome(), "not-sent");
        assert_eq!(refused.json()["details"]["act"], "caller");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        assert_eq!(
            refused.header("proxy-status"),
            "bigin-photo-proxy; error=http_request_denied; details=\"CALLER_UNAUTHORIZED\""
        );
    }
    assert_eq!(zoho.ledger().calls, 0);
    assert_eq!(ask(&app, &[&valid]).await.outcome(), "deleted");
}

#[tokio::test]
async fn tokens_are_rotated_without_a_gap_and_a_file_that_is_wrong_changes_nothing() {
    let zoho = Sandbox::start().await;
    let file = TokenFile::holding(TOKEN);
    let app = TestApp::with(&zoho, &file.key()).await;
    let (old, new) = (format!("Bearer {TOKEN}"), format!("Bearer {NEXT}"));
    assert_eq!(ask(&app, &[&new]).await.status, 401);

    file.replace(&format!("{TOKEN}\n{NEXT}\n"));
    eventually("the new one is valid", async || {
        ask(&app, &[&new]).await.status == 200
    })
    .await;
    assert_eq!(ask(&app, &[&old]).await.status, 200);

    file.replace(NEXT);
    eventually("the old one is not", async || {
        ask(&app, &[&old]).await.status == 401
    })
    .await;

    for wrong in ["", "too short", "two words that are long enough"] {
        file.replace(wrong);
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        assert_eq!(ask(&app, &[&new]).await.status, 200, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_callers_token_is_in_no_line_and_reaches_zoho_never() {
    let zoho = Sandbox::start().await;
    let file = TokenFile::holding(TOKEN);
    let mut program = Program::serve_in(&[("RUST_LOG", "trace")], &config_for(&zoho, &file.key()));
    let (address, admin) = program.addresses();
    let ready = format!("http://{admin}/readyz");
    eventually("ready", async || {
        client().get(&ready).send().await.unwrap().status() == 200
    })
    .await;
    let url = format!("http://{address}/bigin/v2/Contacts/1/photo");
    for token in [TOKEN, NEXT] {
        let answer = reply(client().delete(&url).bearer_auth(token)).await;
        assert!(!answer.body.contains(token), "{}", answer.body);
    }
    let metrics = reply(client().get(format!("http://{admin}/metrics"))).await;
    program.signal("INT");
    let (_, log) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    for token in [TOKEN, NEXT] {
        assert!(!log.contains(token) && !metrics.body.contains(token));
    }
    assert!(log.contains("TRACE"), "everything is logged");
    assert_eq!(zoho.ledger().deletions.len(), 1);
}

#[test]
fn a_token_file_that_cannot_be_used_is_a_configuration_error_that_quotes_nothing() {
    let short = TokenFile::holding("too-short\n");
    let empty = TokenFile::holding("\n");
    for key in [
        short.key(),
        empty.key(),
        "server.caller_token_file = \"/nonexistent\"".to_owned(),
    ] {
        let (code, _, stderr) = Program::run(&["check"], Some(&key));

        assert_eq!(code, 2);
        assert!(stderr.contains("server.caller_token_file: "), "{stderr}");
        assert!(!stderr.contains("too-short"), "{stderr}");
    }
}

#[tokio::test]
async fn connections_from_other_networks_are_closed_at_once_and_counted() {
    let zoho = Sandbox::start().await;
    for threads in [1, 4] {
        let keys = format!(
            "server.threads = {threads}\nserver.allowed_peers = [\"10.0.0.0/8\", \"127.0.0.2\"]"
        );
        let app = TestApp::with(&zoho, &keys).await;

        let stranger = exchange(app.address, REQUEST).await;

        assert!(stranger.closed && stranger.text.is_empty(), "{stranger:?}");
        let kind = r#"kind="peer_not_allowed""#;
        let counted = app.metric("bigin_inbound_errors_total", &[kind]).await;
        assert!((counted - 1.0).abs() < f64::EPSILON);
    }
    assert_eq!(zoho.ledger().calls, 0);
}

#[tokio::test]
async fn connections_from_the_allowed_networks_are_served_by_either_family() {
    let zoho = Sandbox::start().await;
    let keys = "server.allowed_peers = [\"127.0.0.0/8\"]";
    let config = config_for(&zoho, keys);
    for listen in ["127.0.0.1:0", "[::]:0"] {
        let app = TestApp::of_config(&config.replacen("127.0.0.1:0", listen, 1));
        eventually("ready", async || app.readyz().await.status == 200).await;
        let address = ([127, 0, 0, 1], app.address.port()).into();

        assert_eq!(exchange(address, REQUEST).await.status(), 200, "{listen}");
    }
}
