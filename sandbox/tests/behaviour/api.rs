//! The API on a good day: what it does, and what it refuses in which order.

use zoho_sandbox::{MissingPhoto, Module, Sandbox};

use crate::client::{Answer, ask, delete_photo, request, token};

const SUCCESS: &str =
    r#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

async fn delete(zoho: &Sandbox, target: &str) -> Answer {
    let token = token(zoho).await;
    ask(zoho, &request("DELETE", target, &token)).await
}

#[tokio::test]
async fn a_photo_is_deleted_with_zohos_very_words() {
    let zoho = Sandbox::start().await;

    let answer = delete(&zoho, "/bigin/v2/Accounts/2034020000000489033/photo").await;

    assert_eq!((answer.status, answer.body.as_str()), (200, SUCCESS));
    let deletions = zoho.ledger().deletions;
    assert_eq!(deletions.len(), 1);
    assert_eq!(
        (deletions[0].module, deletions[0].id),
        (Module::Accounts, 2_034_020_000_000_489_033)
    );
    assert_eq!((deletions[0].token, deletions[0].had_photo), (0, true));
}

#[tokio::test]
async fn every_answer_sets_session_cookies() {
    let zoho = Sandbox::start().await;

    let answer = delete(&zoho, "/bigin/v2/Contacts/1/photo").await;
    let refusal = delete(&zoho, "/").await;

    for cookie in ["JSESSIONID=", "crmcsr=", "_zcsr_tmp="] {
        assert!(answer.head.contains(&format!("Set-Cookie: {cookie}")));
        assert!(refusal.head.contains(&format!("Set-Cookie: {cookie}")));
    }
    assert_eq!(answer.header("Server"), Some("ZGS"));
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.unknown_records = vec![404];
        settings.scopes = vec!["ZohoBigin.modules.contacts.DELETE".to_owned()];
    });
    let token = token(&zoho).await;
    for (method, target, status, code) in [
        ("DELETE", "/bigin/v2/Contacts", 404, "INVALID_URL_PATTERN"),
        (
            "DELETE",
            "/bigin/v1/Contacts/1/photo",
            404,
            "INVALID_URL_PATTERN",
        ),
        (
            "GET",
            "/bigin/v2/Contacts/1/photo",
            400,
            "INVALID_REQUEST_METHOD",
        ),
        (
            "DELETE",
            "/bigin/v2/Companies/1/photo",
            400,
            "INVALID_MODULE",
        ),
        (
            "DELETE",
            "/bigin/v2/contacts/1/photo",
            400,
            "INVALID_MODULE",
        ),
        (
            "DELETE",
            "/bigin/v2/Products/1/photo",
            401,
            "OAUTH_SCOPE_MISMATCH",
        ),
        (
            "DELETE",
            "/bigin/v2/Contacts/404/photo",
            400,
            "INVALID_DATA",
        ),
        ("DELETE", "/bigin/v2/Contacts/01/photo", 400, "INVALID_DATA"),
        ("DELETE", "/bigin/v2/Contacts/x/photo", 400, "INVALID_DATA"),
        (
            "DELETE",
            "/bigin/v2/Contacts/12345678901234567890/photo",
            400,
            "INVALID_DATA",
        ),
    ] {
        let answer = ask(&zoho, &request(method, target, &token)).await;
        assert_eq!(
            (answer.status, answer.text("code").as_str()),
            (status, code),
            "{method} {target}"
        );
        assert_eq!(answer.text("status"), "error");
    }
    assert!(zoho.ledger().deletions.is_empty());
}

#[tokio::test]
async fn a_user_without_permission_is_refused() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.no_permission = true);

    let answer = delete(&zoho, "/bigin/v2/Contacts/1/photo").await;

    assert_eq!(
        (answer.status, answer.text("code")),
        (403, "NO_PERMISSION".to_owned())
    );
}

#[tokio::test]
async fn a_header_that_is_not_zohos_scheme_fails_authentication() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    let proper = delete_photo(&token, 1);
    let bearer = proper.replace("Zoho-oauthtoken", "Bearer");
    let none = proper.replace("Authorization", "X-Other");

    for request in [bearer, none, delete_photo("", 1)] {
        let answer = ask(&zoho, &request).await;
        assert_eq!(
            (answer.status, answer.text("code")),
            (401, "AUTHENTICATION_FAILURE".to_owned())
        );
    }
}

#[tokio::test]
async fn a_made_up_token_is_refused_before_anything_else_is_looked_at() {
    let zoho = Sandbox::start().await;

    let answer = ask(&zoho, &request("GET", "/nowhere", "1000.made.up")).await;

    assert_eq!(
        (answer.status, answer.text("code")),
        (401, "INVALID_TOKEN".to_owned())
    );
    assert_eq!(
        (zoho.ledger().refused_for_token, zoho.ledger().credits_used),
        (1, 0)
    );
}

#[tokio::test]
async fn the_wider_scopes_are_enough() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;

    for scope in ["ZohoBigin.modules.ALL", "ZohoBigin.modules.contacts.ALL"] {
        zoho.change(|settings| settings.scopes = vec![scope.to_owned()]);
        assert_eq!(
            ask(&zoho, &delete_photo(&token, 1)).await.status,
            200,
            "{scope}"
        );
    }
}

#[tokio::test]
async fn a_second_deletion_succeeds_again_or_is_refused_as_the_settings_want() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    ask(&zoho, &delete_photo(&token, 1)).await;

    let again = ask(&zoho, &delete_photo(&token, 1)).await;
    zoho.change(|settings| settings.missing_photo = MissingPhoto::InvalidData);
    let refused = ask(&zoho, &delete_photo(&token, 1)).await;

    assert_eq!(
        (again.status, refused.text("code")),
        (200, "INVALID_DATA".to_owned())
    );
    let had_photo: Vec<bool> = zoho
        .ledger()
        .deletions
        .iter()
        .map(|deletion| deletion.had_photo)
        .collect();
    assert_eq!(had_photo, [true, false]);
}

#[tokio::test]
async fn without_photo_in_the_path_the_whole_record_is_deleted() {
    let zoho = Sandbox::start().await;

    let answer = delete(&zoho, "/bigin/v2/Contacts/7").await;

    assert_eq!(answer.status, 200);
    let ledger = zoho.ledger();
    assert_eq!(
        (ledger.deletions.len(), ledger.records_deleted.len()),
        (0, 1)
    );
    assert_eq!(ledger.records_deleted[0].id, 7);
}

#[tokio::test]
async fn a_target_that_a_careless_server_takes_for_a_record_deletes_the_record() {
    let zoho = Sandbox::start().await;
    let disguises = [
        "/bigin/v2/Contacts/1%3f/photo",
        "/bigin/v2/Contacts/2/photo/..",
        "/bigin/v2/Contacts?ids=3,4",
    ];

    for target in disguises {
        delete(&zoho, target).await;
    }

    let deleted: Vec<u64> = zoho
        .ledger()
        .records_deleted
        .iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(deleted, [1, 2, 3, 4]);
}
