//! The status page: what it shows, and what it must not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

use crate::support::{TestApp, eventually};

#[tokio::test]
async fn the_status_page_shows_accounts_traffic_and_what_went_wrong_with_who_must_act() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    app.delete_photo("Contacts", 2_034_020_000_000_489_033)
        .await;
    app.delete_photo("Products", 2).await;
    let mismatch = ApiFaultKind::Answer {
        status: 401,
        code: "OAUTH_SCOPE_MISMATCH".into(),
        message: "invalid oauth scope".to_owned(),
    };
    zoho.on_delete(When::Next(1), ApiFault::before(mismatch));
    app.delete_photo("Contacts", 2_034_020_000_000_489_033)
        .await;

    let page = app.admin("/").await;

    assert!(page.header("content-type").starts_with("text/html"));
    for part in [
        "<h2>main</h2>",
        "all is well",
        "<dt>Token lives</dt><dd>59 min</dd>",
        "<dt>Token requests left</dt><dd>7</dd>",
        "aria-label=\"2 deleted, 1 not\"",
        "<td class=\"code\">OAUTH_SCOPE_MISMATCH</td><td>1 ×</td>",
        "the Zoho administrator",
        bigin_photo_proxy::VERSION,
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let settings = zoho.settings();
    for secret in [
        "2034020000000489033",
        &settings.client_secret,
        &settings.refresh_token,
        "{{",
    ] {
        assert!(!page.body.contains(secret), "{secret}: {}", page.body);
    }
}

#[tokio::test]
async fn the_status_page_needs_nothing_but_itself_and_lets_nothing_else_in() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;

    let page = app.admin("/").await;

    let style = page.body.split("<style>").nth(1).unwrap();
    let style = style.split("</style>").next().unwrap();
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        policy.contains(&format!("style-src 'sha256-{hash}'")),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for outside in [
        "<script", "<link", "src=", "style=", "url(", "@import", "://",
    ] {
        assert!(!page.body.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn the_status_page_says_that_the_operator_must_act_when_credentials_are_refused() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    app.delete_photo("Contacts", 1).await;
    let error = "invalid_code".to_owned();
    zoho.on_token(When::Always, TokenFault::Error { status: 200, error });
    zoho.revoke_tokens();
    app.delete_photo("Contacts", 2).await;

    eventually("it says so", async || {
        let page = app.admin("/").await.body;
        page.contains("main: no token") && page.contains("The operator must act")
    })
    .await;
}
