//! Zoho refuses the token in use: one renewal a token at most, and the caller is told what it can act on.

use zoho_sandbox::ApiFault;

use super::row::{Expected, Request, envelope};
use super::scene::Scene;

fn rejected() -> Expected {
    let error = "proxy_configuration_error";
    let rejected = Expected::ours(502, "TOKEN_REJECTED", "refused", error).act("operator");
    rejected.retry_after(1..=5).calls(1)
}

fn refusal(code: &str) -> ApiFault {
    envelope(401, code, "invalid oauth token")
}

#[tokio::test]
async fn a_token_that_is_revoked_early_is_renewed_once_and_the_deletion_done() {
    let scene = Scene::new().await;
    let before = scene.zoho.ledger().token_requests;
    scene.zoho.revoke_tokens();

    scene
        .expect(&Request::photo(), &Expected::deleted().calls(2))
        .await;

    assert_eq!(scene.zoho.ledger().token_requests - before, 1);
}

#[tokio::test]
async fn a_token_that_is_evicted_is_renewed_once_and_the_deletion_done() {
    let scene = Scene::new().await;
    let before = scene.zoho.ledger().token_requests;
    scene.zoho.evict_oldest_token();

    scene
        .expect(&Request::photo(), &Expected::deleted().calls(2))
        .await;

    assert_eq!(scene.zoho.ledger().token_requests - before, 1);
}

#[tokio::test]
async fn each_code_for_a_refused_token_is_understood() {
    for code in [
        "INVALID_TOKEN",
        "INVALID_OAUTHTOKEN",
        "AUTHENTICATION_FAILURE",
    ] {
        let scene = Scene::new().await;
        let before = scene.zoho.ledger().token_requests;

        scene
            .once([refusal(code)], &Expected::deleted().calls(2))
            .await;

        assert_eq!(scene.zoho.ledger().token_requests - before, 1, "{code}");
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_is_token_rejected_and_costs_no_renewal() {
    let scene = Scene::new().await;
    // The first token was accepted, so one renewal is due. The next one never is.
    let first = rejected().calls(2);
    scene.always(refusal("INVALID_TOKEN"), &first).await;
    let before = scene.zoho.ledger().token_requests;

    for _ in 0..5 {
        scene.always(refusal("INVALID_TOKEN"), &rejected()).await;
    }

    assert_eq!(scene.zoho.ledger().token_requests, before);
}

#[tokio::test]
async fn when_zoho_refuses_tokens_no_more_everything_goes_on() {
    let scene = Scene::new().await;
    scene
        .always(refusal("INVALID_TOKEN"), &rejected().calls(2))
        .await;

    scene.expect(&Request::photo(), &Expected::deleted()).await;
}

#[tokio::test]
async fn a_scope_that_is_missing_for_one_module_passes_and_costs_no_renewal() {
    let scene = Scene::new().await;
    let contacts = "ZohoBigin.modules.contacts.DELETE".to_owned();
    scene
        .zoho
        .change(|settings| settings.scopes = vec![contacts]);
    let before = scene.zoho.ledger().token_requests;

    let refused = Expected::zoho(401, "OAUTH_SCOPE_MISMATCH", "refused").act("zoho-admin");
    scene.expect(&Request::of("Products"), &refused).await;
    scene.expect(&Request::photo(), &Expected::deleted()).await;

    assert_eq!(scene.zoho.ledger().token_requests, before);
}

#[tokio::test]
async fn any_other_401_passes_and_costs_no_renewal() {
    let scene = Scene::new().await;
    let before = scene.zoho.ledger().token_requests;
    let refused = Expected::zoho(401, "IP_NOT_ALLOWED", "refused").act("caller");
    let refused = refused.counted_as("other");

    scene
        .once(
            [envelope(401, "IP_NOT_ALLOWED", "not from there")],
            &refused,
        )
        .await;

    assert_eq!(scene.zoho.ledger().token_requests, before);
}
