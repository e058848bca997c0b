//! The token endpoint on a good day.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use zoho_sandbox::{ApiDomain, Sandbox, Settings, TokenResult};

use crate::client::{
    Client, ask, delete_photo, post, request, token, token_request, token_request_with,
};

#[tokio::test]
async fn right_credentials_in_a_form_buy_a_token() {
    let zoho = Sandbox::start().await;

    let answer = ask(&zoho, &token_request()).await;

    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/json;charset=UTF-8")
    );
    let expected = json!({
        "access_token": answer.text("access_token"),
        "api_domain": zoho.api_url(),
        "token_type": "Bearer",
        "expires_in": 3600,
    });
    assert_eq!(answer.json(), expected);
    assert!(!zoho.ledger().token_log[0].used_query);
}

#[tokio::test]
async fn parameters_in_the_url_are_taken_and_noted() {
    let zoho = Sandbox::start().await;
    let query = "grant_type=refresh_token&client_id=1000.SANDBOX\
                 &client_secret=sandbox-client-secret&refresh_token=1000.sandbox-refresh-token";

    let answer = ask(
        &zoho,
        &post(&format!("/oauth/v2/token?{query}"), "text/plain", ""),
    )
    .await;

    assert!(answer.text("access_token").starts_with("1000."));
    assert!(zoho.ledger().token_log[0].used_query);
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_status_200() {
    let zoho = Sandbox::start().await;

    let wrong_secret = ask(
        &zoho,
        &token_request_with("wrong", "1000.sandbox-refresh-token"),
    )
    .await;
    let wrong_grant = ask(&zoho, &token_request_with("sandbox-client-secret", "wrong")).await;

    assert_eq!(
        (wrong_secret.status, wrong_secret.json()),
        (200, json!({ "error": "invalid_client" }))
    );
    assert_eq!(
        (wrong_grant.status, wrong_grant.json()),
        (200, json!({ "error": "invalid_code" }))
    );
    assert_eq!(
        zoho.ledger().token_log[1].result,
        TokenResult::Refused("invalid_code".to_owned())
    );
    assert_eq!(zoho.ledger().tokens_issued, 0);
}

#[tokio::test]
async fn a_grant_code_buys_the_refresh_token_once() {
    let zoho = Sandbox::start().await;
    let with_code = |code| {
        let form = format!(
            "grant_type=authorization_code&client_id=1000.SANDBOX&client_secret=sandbox-client-secret&code={code}"
        );
        post(
            "/oauth/v2/token",
            "application/x-www-form-urlencoded",
            &form,
        )
    };

    let wrong = ask(&zoho, &with_code("1000.another")).await;
    let right = ask(&zoho, &with_code("1000.sandbox-grant-code")).await;
    let again = ask(&zoho, &with_code("1000.sandbox-grant-code")).await;

    assert_eq!(wrong.text("error"), "invalid_code");
    assert_eq!(right.text("refresh_token"), "1000.sandbox-refresh-token");
    let deleted = ask(&zoho, &delete_photo(&right.text("access_token"), 1)).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(again.text("error"), "invalid_code");
}

#[tokio::test]
async fn a_new_client_secret_ends_the_old_one() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.client_secret = "another".to_owned());

    let old = ask(&zoho, &token_request()).await;
    let new = ask(
        &zoho,
        &token_request_with("another", "1000.sandbox-refresh-token"),
    )
    .await;

    assert_eq!(old.text("error"), "invalid_client");
    assert!(!new.text("access_token").is_empty());
}

#[tokio::test]
async fn an_earlier_token_stays_valid_beside_a_new_one() {
    let zoho = Sandbox::start().await;
    let earlier = token(&zoho).await;
    let later = token(&zoho).await;

    assert_ne!(earlier, later);
    assert_eq!(ask(&zoho, &delete_photo(&earlier, 1)).await.status, 200);
    assert_eq!(ask(&zoho, &delete_photo(&later, 2)).await.status, 200);
}

#[tokio::test]
async fn a_token_ends_with_its_lifetime() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.token_lifetime_seconds = 0.05);
    let answer = ask(&zoho, &token_request()).await;

    sleep(Duration::from_millis(80)).await;
    let refusal = ask(&zoho, &delete_photo(&answer.text("access_token"), 1)).await;

    assert_eq!(
        (
            answer.json()["expires_in"].as_u64(),
            answer.json()["expires_in_sec"].as_u64()
        ),
        (Some(50), Some(0))
    );
    assert_eq!(
        (refusal.status, refusal.text("code")),
        (401, "INVALID_TOKEN".to_owned())
    );
    assert_eq!(zoho.ledger().expired_token_uses, 1);
    assert_eq!(zoho.ledger().live_tokens, 0);
}

#[tokio::test]
async fn the_scopes_and_the_api_domain_are_told_as_the_settings_want() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.scopes = vec!["ZohoBigin.modules.ALL".to_owned()];
        settings.scope_in_answer = true;
        settings.api_domain = ApiDomain::Url("https://www.zohoapis.eu/".to_owned());
    });
    let told = ask(&zoho, &token_request()).await.json();
    zoho.change(|settings| settings.api_domain = ApiDomain::LeftOut);
    let silent = ask(&zoho, &token_request()).await.json();

    assert_eq!(told["scope"], "ZohoBigin.modules.ALL");
    assert_eq!(told["api_domain"], "https://www.zohoapis.eu/");
    assert_eq!(silent.get("api_domain"), None);
}

#[tokio::test]
async fn a_get_is_no_token_request() {
    let zoho = Sandbox::start().await;

    let answer = ask(&zoho, &request("GET", "/oauth/v2/token", "")).await;

    assert_eq!(answer.text("error"), "invalid_request");
}

#[tokio::test]
async fn with_a_port_of_its_own_the_accounts_server_is_not_on_the_other() {
    let settings = Settings {
        separate_accounts_port: true,
        ..Settings::default()
    };
    let zoho = Sandbox::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings)
        .await
        .unwrap();
    let mut accounts = Client::connect(zoho.accounts_address()).await;
    accounts.send(&token_request()).await;
    let issued = accounts.answer().await;
    accounts
        .send(&delete_photo(&issued.text("access_token"), 1))
        .await;

    assert_ne!(zoho.accounts_url(), zoho.api_url());
    assert_eq!(issued.json()["api_domain"], zoho.api_url());
    assert_eq!(accounts.answer().await.status, 404);
    assert_eq!(
        ask(&zoho, &token_request()).await.text("code"),
        "AUTHENTICATION_FAILURE"
    );
}
