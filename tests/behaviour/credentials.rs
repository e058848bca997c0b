//! Credentials that change: nobody restarts anything, and nobody who calls notices.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use zoho_sandbox::{Sandbox, TokenFault, TokenResult, When};

use crate::support::{Mounted, Program, TestApp, eventually};

/// A clock that runs 100 times as fast: files are looked at every 100 ms, and 300 s are 3 s.
const FAST: &str = "token.budget_window = \"6s\"\ntoken.budget = 1000";

/// The same with the waits of Zoho's own clock divided by 10 alone: a refusal is waited out for 30 s, longer than a test
/// waits for anything.
const SLOW_TO_FORGIVE: &str = "token.budget_window = \"60s\"\ntoken.budget = 8";

const SECRET: &str = "sandbox-client-secret";
const TOKEN: &str = "1000.sandbox-refresh-token";

async fn zoho() -> Sandbox {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.tokens_per_window = 100_000);
    zoho
}

fn mounted(secret: &str, token: &str) -> Mounted {
    Mounted::with(&files(secret, token))
}

fn files<'a>(secret: &'a str, token: &'a str) -> [(&'a str, &'a str); 2] {
    [("secret", secret), ("token", token)]
}

fn config(zoho: &Sandbox, mounted: &Mounted, keys: &str) -> String {
    mounted.config(zoho, keys, &["secret"], &["token"])
}

async fn ready(config: &str) -> TestApp {
    let app = TestApp::of_config(config);
    app.ready().await;
    app
}

async fn assert_deletes(app: &TestApp) {
    let reply = app.delete_photo("Contacts", 1).await;
    assert_eq!(reply.outcome(), "deleted", "{}", reply.body);
}

/// Ends the token in use: one that Zoho has accepted, for only such a one is renewed when it is refused.
async fn revoke(zoho: &Sandbox, app: &TestApp) {
    assert_deletes(app).await;
    zoho.revoke_tokens();
}

/// How often a credential could not be used.
async fn failures(app: &TestApp, labels: &[&str]) -> f64 {
    app.metric("bigin_credential_failures_total", labels).await
}

async fn until_failures(app: &TestApp, count: f64, labels: &[&str]) {
    eventually("a credential is told as failed", async || {
        (failures(app, labels).await - count).abs() < 0.5
    })
    .await;
}

async fn until_token_requests(zoho: &Sandbox, count: u64) {
    eventually("a token request", async || {
        zoho.ledger().token_requests == count
    })
    .await;
}

#[tokio::test]
async fn a_changed_secret_and_token_prove_themselves_with_one_token_request() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let app = ready(&config(&zoho, &mounted, FAST)).await;

    zoho.change(|settings| {
        settings.client_secret = "next-secret".to_owned();
        settings.refresh_token = "1000.next".to_owned();
    });
    mounted.swap(&files("next-secret\n", "1000.next\n"));
    until_token_requests(&zoho, 2).await;
    revoke(&zoho, &app).await;
    assert_deletes(&app).await;

    let results: Vec<_> = zoho
        .ledger()
        .token_log
        .into_iter()
        .map(|it| it.result)
        .collect();
    assert!(results.iter().all(|result| *result == TokenResult::Issued));
    assert_eq!(results.len(), 3, "{results:?}");
}

#[tokio::test]
async fn a_wrong_secret_is_tried_once_and_told_by_its_key_while_the_old_one_serves_on() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let app = ready(&config(&zoho, &mounted, FAST)).await;

    mounted.swap(&files("wrong-secret", TOKEN));
    let labels = [
        "key=\"client_secret\"",
        "position=\"1\"",
        "problem=\"refused\"",
    ];
    until_failures(&app, 1.0, &labels).await;
    for _ in 0..3 {
        revoke(&zoho, &app).await;
        assert_deletes(&app).await;
    }

    assert_eq!(zoho.ledger().token_requests, 1 + 1 + 3);
    assert!((failures(&app, &[]).await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_torn_or_missing_file_is_told_and_costs_no_token_request() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let app = ready(&config(&zoho, &mounted, FAST)).await;
    let labels = ["key=\"refresh_token\"", "problem=\"unusable\""];

    mounted.swap(&files(SECRET, ""));
    until_failures(&app, 1.0, &labels).await;
    mounted.swap(&files(SECRET, "1000.half of it\nand"));
    until_failures(&app, 2.0, &labels).await;
    mounted.swap(&[("secret", SECRET)]);
    until_failures(&app, 3.0, &labels).await;
    assert_eq!(zoho.ledger().token_requests, 1);
    revoke(&zoho, &app).await;
    assert_deletes(&app).await;

    mounted.swap(&files(SECRET, TOKEN));
    revoke(&zoho, &app).await;
    assert_deletes(&app).await;
}

#[tokio::test]
async fn after_a_permanent_refusal_a_changed_file_is_tried_at_once() {
    let zoho = zoho().await;
    let mounted = mounted("wrong-secret", TOKEN);
    let app = TestApp::of_config(&config(&zoho, &mounted, SLOW_TO_FORGIVE));
    until_token_requests(&zoho, 1).await;
    eventually("it is known", async || {
        app.delete_photo("Contacts", 1)
            .await
            .headers
            .contains_key("retry-after")
    })
    .await;

    mounted.swap(&files(SECRET, TOKEN));
    app.ready().await;

    assert_deletes(&app).await;
    assert_eq!(zoho.ledger().token_requests, 2);
}

#[tokio::test]
async fn of_several_files_the_next_is_tried_when_one_is_refused_and_the_dead_one_is_named() {
    let zoho = zoho().await;
    let mounted = Mounted::with(&[
        ("dead-secret", "dead"),
        ("secret", SECRET),
        ("dead-token", "1000.dead"),
        ("token", TOKEN),
    ]);
    let secrets = ["dead-secret", "secret"];
    let tokens = ["dead-token", "token"];
    let app = ready(&mounted.config(&zoho, SLOW_TO_FORGIVE, &secrets, &tokens)).await;

    assert_deletes(&app).await;
    assert_eq!(zoho.ledger().token_requests, 3, "one for each dead one");
    for key in ["key=\"client_secret\"", "key=\"refresh_token\""] {
        let dead = failures(&app, &[key, "position=\"1\""]).await;
        let other = failures(&app, &[key, "position=\"2\""]).await;
        assert_eq!((dead, other), (1.0, 0.0), "{key}");
    }
    // Dead is dead: the next renewal goes straight to the one that works.
    revoke(&zoho, &app).await;
    assert_deletes(&app).await;
    assert_eq!(zoho.ledger().token_requests, 4);
}

#[tokio::test]
async fn a_token_that_dies_gives_way_to_the_second_one_without_a_callers_error() {
    let zoho = zoho().await;
    let mounted = Mounted::with(&[("secret", SECRET), ("one", TOKEN), ("two", "1000.second")]);
    let app = ready(&mounted.config(&zoho, SLOW_TO_FORGIVE, &["secret"], &["one", "two"])).await;

    zoho.change(|settings| settings.refresh_token = "1000.second".to_owned());
    revoke(&zoho, &app).await;
    assert_deletes(&app).await;

    let labels = ["key=\"refresh_token\"", "position=\"1\""];
    assert!((failures(&app, &labels).await - 1.0).abs() < 0.5);
    assert_eq!(zoho.ledger().token_requests, 3);
}

#[tokio::test]
async fn a_second_file_may_be_missing_until_it_is_needed() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let secrets = ["secret", "next"];
    let app = ready(&mounted.config(&zoho, FAST, &secrets, &["token"])).await;

    zoho.change(|settings| settings.client_secret = "next-secret".to_owned());
    std::fs::write(mounted.path("next"), "next-secret").unwrap();
    revoke(&zoho, &app).await;
    assert_deletes(&app).await;

    let dead = ["key=\"client_secret\"", "position=\"1\""];
    assert!((failures(&app, &dead).await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn the_budget_holds_over_all_credentials_that_are_tried() {
    let zoho = zoho().await;
    let names = ["one", "two", "three", "four"];
    let mounted = Mounted::with(&names.map(|name| (name, name)));
    let keys = "token.budget = 3\ntoken.budget_window = \"60s\"";
    let app = TestApp::of_config(&mounted.config(&zoho, keys, &names, &["one"]));

    until_token_requests(&zoho, 3).await;
    for _ in 0..3 {
        mounted.swap(&names.map(|name| (name, "other")));
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        assert_eq!(
            app.delete_photo("Contacts", 1).await.code(),
            "TOKEN_UNAVAILABLE"
        );
    }

    assert_eq!(zoho.ledger().token_requests, 3);
}

#[tokio::test]
async fn a_new_secret_that_cannot_be_tried_does_not_keep_the_old_one_from_renewing() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let app = ready(&config(&zoho, &mounted, SLOW_TO_FORGIVE)).await;

    zoho.on_token(When::Next(1), TokenFault::Html { status: 503 });
    mounted.swap(&files("wrong-secret", TOKEN));
    until_token_requests(&zoho, 2).await;
    revoke(&zoho, &app).await;
    eventually("the old one has renewed", async || {
        app.delete_photo("Contacts", 1).await.outcome() == "deleted"
    })
    .await;

    assert_eq!(zoho.ledger().token_requests, 3);
    assert!(failures(&app, &[]).await < 0.5, "it is still to be tried");

    // Whoever mends it in the meantime does not wait for the next try of what is gone.
    zoho.change(|settings| settings.client_secret = "next-secret".to_owned());
    mounted.swap(&files("next-secret", TOKEN));
    until_token_requests(&zoho, 4).await;
    assert_eq!(zoho.ledger().tokens_issued, 3);
}

#[tokio::test]
async fn fifty_rotations_ten_of_them_wrong_cost_no_caller_an_error() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let app = ready(&config(&zoho, &mounted, FAST)).await;
    let over = AtomicBool::new(false);

    let calling = async {
        let mut calls = 0;
        while !over.load(Ordering::Relaxed) {
            assert_deletes(&app).await;
            calls += 1;
        }
        calls
    };
    let rotating = async {
        for rotation in 1..=50 {
            let before = zoho.ledger();
            let secret = format!("secret-{rotation}");
            if rotation % 5 != 0 {
                zoho.change(|settings| settings.client_secret.clone_from(&secret));
            }
            mounted.swap(&files(&secret, TOKEN));
            until_token_requests(&zoho, before.token_requests + 1).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(calling, rotating);

    let ledger = zoho.ledger();
    assert_eq!(ledger.tokens_issued, 1 + 40);
    assert_eq!(ledger.token_requests, 1 + 50, "one for each");
    assert!(calls > 100, "{calls}");
}

/// The next log line with this message. Reading it blocks, and the sandbox must go on meanwhile.
async fn line(mut program: Program, message: &'static str) -> (Program, Value) {
    let reading = move || {
        let line = program.line(message);
        (program, line)
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

#[tokio::test]
async fn the_log_tells_of_changes_by_key_and_position_and_never_by_value() {
    let zoho = zoho().await;
    let mounted = mounted(SECRET, TOKEN);
    let program = Program::serve(&config(&zoho, &mounted, FAST));
    let (program, _) = line(program, "access token renewed").await;

    mounted.swap(&files("a-wrong-secret", TOKEN));
    let message = "a credential is refused: another one serves, or is tried at once";
    let (program, refused) = line(program, message).await;
    mounted.swap(&files("a torn secret", TOKEN));
    let message = "a credential file cannot be used: what it held before serves on";
    let (program, torn) = line(program, message).await;
    zoho.change(|settings| settings.client_secret = "the-next-secret".to_owned());
    mounted.swap(&files("the-next-secret", TOKEN));
    let message = "changed credentials have proved themselves and are in use from now on";
    let (program, changed) = line(program, message).await;
    program.signal("INT");
    let (_, rest) = program.end();

    for line in [&refused, &torn] {
        assert_eq!(line["key"], "client_secret", "{line}");
        assert_eq!(line["position"], 1, "{line}");
        assert_eq!(line["account"], "main", "{line}");
    }
    let told = format!("{refused}{torn}{changed}{rest}");
    for secret in ["wrong-secret", "torn", "the-next-secret", SECRET, TOKEN] {
        assert!(!told.contains(secret), "{told}");
    }
}
