//! What is believed of an answer to a token request, to the byte, and by which name its end is counted.

use zoho_sandbox::{Sandbox, TokenFault, When};

use crate::support::{TestApp, config_for, eventually};

/// The longest token, and the largest answer, that are believed.
const MAX_TOKEN: usize = 2048;
const MAX_ANSWER: usize = 16 * 1024;

/// What one end of a token request is counted by.
const RESULTS: [&str; 5] = ["ok", "unreached", "failed", "refused", "throttled"];

/// By which of these names the first token request of a proxy is counted.
async fn result_of_the_first(app: &TestApp) -> &'static str {
    let requests = async |result: &str| {
        let label = format!("result=\"{result}\"");
        app.metric("bigin_token_requests_total", &[&label]).await
    };
    eventually("a token request is over", async || {
        app.metric("bigin_token_requests_total", &[]).await > 0.5
    })
    .await;
    for result in RESULTS {
        if requests(result).await > 0.5 {
            return result;
        }
    }
    panic!("it is counted by another name")
}

/// The same, of an accounts server that answers so.
async fn result_after(fault: TokenFault) -> &'static str {
    let zoho = Sandbox::start().await;
    zoho.on_token(When::Always, fault);
    result_of_the_first(&TestApp::without_token(&zoho, "")).await
}

#[tokio::test]
async fn a_token_and_an_answer_are_believed_up_to_their_largest_sizes() {
    for (size, result) in [(MAX_TOKEN, "ok"), (MAX_TOKEN + 1, "failed")] {
        let value = "x".repeat(size);
        let fault = TokenFault::Token { value };
        assert_eq!(result_after(fault).await, result, "{size}");
    }
    for (size, result) in [(MAX_ANSWER, "ok"), (MAX_ANSWER + 1, "failed")] {
        let body = format!("{:size$}", r#"{"access_token":"1000.x"}"#);
        let fault = TokenFault::Body {
            status: 200,
            content_type: "application/json".to_owned(),
            body,
        };
        assert_eq!(result_after(fault).await, result, "{size}");
    }
}

#[tokio::test]
async fn each_end_of_a_token_request_is_counted_by_its_name() {
    let refused = TokenFault::Error {
        status: 400,
        error: "invalid_code".to_owned(),
    };
    for (fault, result) in [
        (refused, "refused"),
        (TokenFault::Throttled { status: 400 }, "throttled"),
        (TokenFault::Html { status: 503 }, "failed"),
        (TokenFault::Reset, "failed"),
    ] {
        assert_eq!(result_after(fault).await, result);
    }
}

#[tokio::test]
async fn an_accounts_server_to_which_no_connection_comes_about_in_time_was_not_reached() {
    let zoho = Sandbox::start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let config = config_for(&zoho, "upstream.connect_timeout = \"100ms\"");
    let config = config.replacen(&zoho.accounts_url(), &url, 1);
    let app = TestApp::of_config(&config);

    assert_eq!(result_of_the_first(&app).await, "unreached");

    let reply = app.delete_photo("Contacts", 1).await;
    let message = reply.json()["message"].to_string();
    assert!(message.contains("no connection in time"), "{message}");
}
