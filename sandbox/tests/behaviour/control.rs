//! The control interface: the same over HTTP.

use serde_json::{Value, json};
use zoho_sandbox::{ApiFault, ApiFaultKind, Ledger, Sandbox, Settings, TokenFault, When};

use crate::client::{Answer, ask, delete_photo, request, sent, token, token_request, with_body};

async fn steer(zoho: &Sandbox, method: &str, path: &str, body: &Value) -> Answer {
    let target = format!("/__sandbox{path}");
    ask(
        zoho,
        &with_body(method, &target, "application/json", &body.to_string()),
    )
    .await
}

#[tokio::test]
async fn the_ledger_is_the_one_of_the_library() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;
    ask(&zoho, &delete_photo(&token, 1)).await;

    let answer = ask(&zoho, &request("GET", "/__sandbox/ledger", "")).await;

    let told: Ledger = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(told, zoho.ledger());
    assert_eq!((told.calls, told.requests_seen), (1, 1));
}

#[tokio::test]
async fn a_patch_changes_the_given_settings_and_no_others() {
    let zoho = Sandbox::start().await;

    let answer = steer(
        &zoho,
        "PATCH",
        "/settings",
        &json!({ "concurrency": 5, "missing_photo": "invalid_data" }),
    )
    .await;

    assert_eq!(answer.status, 200);
    let expected = Settings {
        concurrency: 5,
        missing_photo: zoho_sandbox::MissingPhoto::InvalidData,
        ..Settings::default()
    };
    assert_eq!(zoho.settings(), expected);
    let told = ask(&zoho, &request("GET", "/__sandbox/settings", "")).await;
    assert_eq!(
        serde_json::from_str::<Settings>(&told.body).unwrap(),
        expected
    );
}

#[tokio::test]
async fn faults_are_queued_and_forgotten() {
    let zoho = Sandbox::start().await;
    let throttled =
        json!({ "when": { "next": 1 }, "fault": { "kind": "throttled", "status": 400 } });
    let html = json!({ "when": "always", "fault": { "kind": "html", "status": 502, "carried_out": true } });
    steer(&zoho, "POST", "/faults/token", &throttled).await;
    steer(&zoho, "POST", "/faults/delete", &html).await;

    let refused = ask(&zoho, &token_request()).await;
    let token = token(&zoho).await;
    let faulty = ask(&zoho, &delete_photo(&token, 1)).await;
    let forgotten = ask(&zoho, &request("DELETE", "/__sandbox/faults", "")).await;
    let normal = ask(&zoho, &delete_photo(&token, 2)).await;

    assert_eq!(
        (
            refused.status,
            faulty.status,
            forgotten.status,
            normal.status
        ),
        (400, 502, 204, 200)
    );
    assert_eq!(zoho.ledger().deletions.len(), 2);
}

#[tokio::test]
async fn tokens_are_revoked_and_everything_is_reset() {
    let zoho = Sandbox::start().await;
    let token = token(&zoho).await;

    ask(&zoho, &request("POST", "/__sandbox/revoke", "")).await;
    let refused = ask(&zoho, &delete_photo(&token, 1)).await;
    ask(&zoho, &request("POST", "/__sandbox/reset", "")).await;

    assert_eq!(refused.status, 401);
    assert_eq!((zoho.ledger().calls, zoho.ledger().tokens_issued), (0, 0));
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_reason_and_changes_nothing() {
    let zoho = Sandbox::start().await;
    for (method, path, body, reason) in [
        (
            "PATCH",
            "/settings",
            json!({ "concurrency": 5, "concurency": 5 }),
            "concurency",
        ),
        (
            "PATCH",
            "/settings",
            json!({ "concurrency": "five" }),
            "five",
        ),
        ("PATCH", "/settings", json!([1]), "map"),
        (
            "POST",
            "/faults/token",
            json!({ "when": "sometimes", "fault": { "kind": "reset" } }),
            "sometimes",
        ),
        (
            "POST",
            "/faults/token",
            json!({ "when": "always", "fault": { "kind": "resett" } }),
            "resett",
        ),
        (
            "POST",
            "/faults/delete",
            json!({ "when": "always", "fault": { "kind": "reset", "carriedout": true } }),
            "carriedout",
        ),
        (
            "POST",
            "/faults/delete",
            json!({ "when": "always", "fault": { "kind": "cut" } }),
            "bytes",
        ),
        (
            "POST",
            "/faults/delete",
            json!({ "fault": { "kind": "reset" } }),
            "when",
        ),
    ] {
        let answer = steer(&zoho, method, path, &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            answer.text("error").contains(reason),
            "{body}: {}",
            answer.body
        );
    }
    assert_eq!(zoho.settings(), Settings::default());
    assert!(!token(&zoho).await.is_empty());
}

#[tokio::test]
async fn a_status_that_no_answer_can_have_is_refused() {
    let zoho = Sandbox::start().await;
    for status in [-1, 0, 99, 100, 199, 600, 999, 9999, 65_536 + 200] {
        for (path, fault) in [
            ("token", json!({ "kind": "error", "error": "x" })),
            ("token", json!({ "kind": "throttled" })),
            ("token", json!({ "kind": "html" })),
            (
                "token",
                json!({ "kind": "body", "content_type": "", "body": "" }),
            ),
            (
                "delete",
                json!({ "kind": "answer", "code": "X", "message": "" }),
            ),
            ("delete", json!({ "kind": "html" })),
            (
                "delete",
                json!({ "kind": "body", "content_type": "", "body": "" }),
            ),
            ("delete", json!({ "kind": "redirect", "location": "/" })),
        ] {
            let mut fault = fault;
            fault["status"] = json!(status);
            let order = json!({ "when": "always", "fault": fault });
            let answer = steer(&zoho, "POST", &format!("/faults/{path}"), &order).await;

            assert_eq!(answer.status, 400, "{order}");
            assert_eq!(
                answer.text("error"),
                format!("status must be a number from 200 to 599, not {status}"),
                "{order}"
            );
        }
    }
    for status in [200, 599] {
        let order = json!({ "when": "always", "fault": { "kind": "html", "status": status } });
        assert_eq!(
            steer(&zoho, "POST", "/faults/token", &order).await.status,
            204
        );
    }
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_the_way_to_the_known_ones() {
    let zoho = Sandbox::start().await;

    let lost = ask(&zoho, &request("GET", "/__sandbox/nothing", "")).await;
    let guide = ask(&zoho, &request("GET", "/__sandbox/", "")).await;

    assert_eq!(lost.status, 404);
    assert!(lost.text("error").contains("/__sandbox/"));
    assert!(
        guide
            .body
            .contains(&format!("curl {}/__sandbox/ledger", zoho.api_url()))
    );
    assert_eq!(zoho.ledger().calls, 0);
}

#[tokio::test]
async fn every_command_of_the_guide_is_understood() {
    let zoho = Sandbox::start().await;
    let guide = ask(&zoho, &request("GET", "/__sandbox/", "")).await.body;

    for command in guide
        .lines()
        .filter_map(|line| line.trim().strip_prefix("curl "))
    {
        let data = command.split('\'').nth(1).unwrap_or_default();
        let default = if data.is_empty() { "GET" } else { "POST" };
        let method = command
            .strip_prefix("-X ")
            .map_or(default, |rest| rest.split(' ').next().unwrap());
        let url = command
            .split(' ')
            .find(|word| word.starts_with("http"))
            .unwrap();
        let target = url.strip_prefix(&zoho.api_url()).unwrap();
        let answer = ask(
            &zoho,
            &with_body(method, target, "application/x-www-form-urlencoded", data),
        )
        .await;
        assert!(
            [200, 204].contains(&answer.status),
            "{command}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_fault_is_the_same_in_rust_and_in_json() {
    let fault = ApiFault::after(ApiFaultKind::Cut { bytes: 40 });
    let json = json!({ "kind": "cut", "bytes": 40, "carried_out": true });
    assert_eq!(serde_json::to_value(&fault).unwrap(), json);
    assert_eq!(serde_json::from_value::<ApiFault>(json).unwrap(), fault);

    let fault = TokenFault::LostAfterIssue;
    assert_eq!(
        serde_json::to_value(&fault).unwrap(),
        json!({ "kind": "lost_after_issue" })
    );
    assert_eq!(
        serde_json::to_value(When::Share(0.5)).unwrap(),
        json!({ "share": 0.5 })
    );
}

#[tokio::test]
async fn steering_works_while_calls_hang() {
    let zoho = Sandbox::start().await;
    zoho.on_delete(When::Always, ApiFault::before(ApiFaultKind::Hang));
    let _hanging = sent(&zoho, &delete_photo("none", 1)).await;

    let answer = ask(&zoho, &request("DELETE", "/__sandbox/faults", "")).await;

    assert_eq!(answer.status, 204);
}
