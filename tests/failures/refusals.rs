//! Zoho's own answers: its documented refusals and faults pass as they are, and the outcome says what they mean.

use serde_json::json;
use zoho_sandbox::{ApiFault, ApiFaultKind};

use super::row::{Expected, Request, envelope};
use super::scene::Scene;

/// The table on <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>, with who must act.
const DOCUMENTED: [(u16, &str, &str, &str); 8] = [
    (
        400,
        "INVALID_MODULE",
        "The module name given seems to be invalid",
        "caller",
    ),
    (
        400,
        "INVALID_MODULE",
        "The given module is not supported in API",
        "caller",
    ),
    (
        404,
        "INVALID_URL_PATTERN",
        "Please check if the URL trying to access is a correct one",
        "caller",
    ),
    (401, "OAUTH_SCOPE_MISMATCH", "Unauthorized", "zoho-admin"),
    (
        403,
        "NO_PERMISSION",
        "Permission denied to delete images",
        "zoho-admin",
    ),
    (
        400,
        "INVALID_REQUEST_METHOD",
        "The http request method type is not a valid one",
        "caller",
    ),
    (
        400,
        "AUTHORIZATION_FAILED",
        "User does not have sufficient privilege to delete images",
        "zoho-admin",
    ),
    (
        400,
        "INVALID_DATA",
        "the id given seems to be invalid",
        "caller",
    ),
];

/// What Zoho says when too many calls are under way.
const CROWDED: &str = "You have reached the concurrency limit";

/// What Zoho says when the credits of the day are spent.
const SPENT: &str = "You have exceeded the maximum number of API calls in 24 hours";

#[tokio::test]
async fn every_documented_refusal_passes_and_is_refused() {
    let scene = Scene::new().await;
    for (status, code, message, act) in DOCUMENTED {
        scene
            .zoho
            .on_delete(zoho_sandbox::When::Next(1), envelope(status, code, message));
        let refused = Expected::zoho(status, code, "refused").act(act);

        let reply = scene.expect(&Request::photo(), &refused).await;

        let zohos = json!({ "code": code, "details": {}, "message": message, "status": "error" });
        assert_eq!(reply.json(), zohos);
    }
    assert_eq!(
        scene.zoho.ledger().token_requests,
        1,
        "none is the token's fault"
    );
}

#[tokio::test]
async fn a_code_that_nobody_knows_passes_and_is_refused() {
    let scene = Scene::new().await;
    let refused = Expected::zoho(409, "RECORD_LOCKED", "refused").act("caller");
    let refused = refused.counted_as("other");

    scene
        .once(
            [envelope(409, "RECORD_LOCKED", "the record is locked")],
            &refused,
        )
        .await;
}

#[tokio::test]
async fn a_500_envelope_passes_unknown_and_is_not_tried_again() {
    let scene = Scene::new().await;
    let fault = envelope(500, "INTERNAL_ERROR", "Internal Server Error");

    let unknown = Expected::zoho(500, "INTERNAL_ERROR", "unknown");
    scene.always(fault, &unknown).await;
}

#[tokio::test]
async fn a_503_envelope_passes_unknown_after_one_more_try() {
    let scene = Scene::new().await;
    for status in [502, 503, 504] {
        let fault = envelope(status, "INTERNAL_ERROR", "Service unavailable");

        let unknown = Expected::zoho(status, "INTERNAL_ERROR", "unknown").calls(2);
        scene.always(fault, &unknown).await;
    }
}

#[tokio::test]
async fn too_many_calls_at_once_pass_refused_after_one_more_try() {
    let scene = Scene::new().await;
    let fault = || envelope(429, "TOO_MANY_REQUESTS", CROWDED);

    scene.once([fault()], &Expected::deleted().calls(2)).await;
    let refused = Expected::zoho(429, "TOO_MANY_REQUESTS", "refused").calls(2);
    scene.always(fault(), &refused).await;
}

#[tokio::test]
async fn a_429_that_says_neither_counts_as_too_many_calls_at_once() {
    let scene = Scene::new().await;
    let fault = envelope(429, "TOO_MANY_REQUESTS", "slow down");

    let refused = Expected::zoho(429, "TOO_MANY_REQUESTS", "refused").calls(2);
    scene.always(fault, &refused).await;
}

#[tokio::test]
async fn a_429_with_a_number_as_its_code_is_understood() {
    let scene = Scene::new().await;
    let fault = ApiFault::before(ApiFaultKind::Answer {
        status: 429,
        code: json!(429),
        message: CROWDED.to_owned(),
    });

    let refused = Expected::zoho(429, "429", "refused").calls(2);
    let refused = refused.counted_as("TOO_MANY_REQUESTS");
    scene.always(fault, &refused).await;
}

#[tokio::test]
async fn spent_credits_pass_once_and_are_answered_here_from_then_on() {
    let scene = Scene::new().await;
    let refused = Expected::zoho(429, "TOO_MANY_REQUESTS", "refused");
    scene
        .once([envelope(429, "TOO_MANY_REQUESTS", SPENT)], &refused)
        .await;

    let spent = Expected::ours(429, "CREDITS_EXHAUSTED", "not-sent", "http_request_denied");
    let spent = spent.act("zoho-admin").retry_after(55..=60);
    for _ in 0..10 {
        scene.expect(&Request::photo(), &spent).await;
    }
}

#[tokio::test]
async fn a_retry_after_of_zohos_passes_and_tells_when_credits_are_looked_for() {
    let scene = Scene::new().await;
    let body =
        json!({ "code": "TOO_MANY_REQUESTS", "details": {}, "message": SPENT, "status": "error" });
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 7\r\n\
         X-API-CREDITS-REMAINING: 0\r\nSet-Cookie: a=b\r\nServer: ZGS\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let fault = ApiFault::before(ApiFaultKind::Raw { text });
    scene.zoho.on_delete(zoho_sandbox::When::Next(1), fault);
    let refused = Expected::zoho(429, "TOO_MANY_REQUESTS", "refused").retry_after(7..=7);

    let reply = scene.expect(&Request::photo(), &refused).await;

    assert_eq!(reply.body, body);
    assert_eq!(reply.header("x-api-credits-remaining"), "0");
    assert_eq!(
        (reply.header("set-cookie"), reply.header("server")),
        ("", "")
    );
    let spent = Expected::ours(429, "CREDITS_EXHAUSTED", "not-sent", "http_request_denied");
    let spent = spent.act("zoho-admin").retry_after(5..=7);
    scene.expect(&Request::photo(), &spent).await;
}
