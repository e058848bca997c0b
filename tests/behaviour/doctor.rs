//! The doctor looks at everything an account needs, says who must act, and changes nothing.

use std::time::{Duration, SystemTime};

use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};
use zoho_sandbox::{ApiDomain, Sandbox};

use crate::accounts::two_accounts;
use crate::support::{ConnectProxy, Manners, Program, config_for, tls_sandbox, with_api};

/// Exit code and lines. What is examined goes on meanwhile.
async fn doctor(config: &str) -> (i32, Vec<String>) {
    let config = config.to_owned();
    let run = move || Program::run(&["doctor"], Some(&config));
    let (code, stdout, stderr) = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(stderr, "");
    (code, stdout.lines().map(str::to_owned).collect())
}

/// The line that begins so.
fn line<'a>(lines: &'a [String], begin: &str) -> &'a str {
    let found = lines.iter().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("{begin}: {lines:#?}"))
}

#[tokio::test]
async fn all_that_is_well_is_said_with_one_token_request_and_no_deletion() {
    let zoho = Sandbox::start().await;

    let (code, lines) = doctor(&config_for(&zoho, "")).await;

    assert_eq!(code, 0, "{lines:#?}");
    line(&lines, &format!("ok    main: API {}: ", zoho.api_url()));
    let accounts_server = format!("ok    main: accounts server {}: ", zoho.accounts_url());
    line(&lines, &accounts_server);
    line(&lines, "ok    main: token request: brought a token");
    line(&lines, "ok    main: api_domain: ");
    let ledger = zoho.ledger();
    assert_eq!((ledger.token_requests, ledger.credits_used), (1, 0));
    assert!(ledger.deletions.is_empty() && ledger.records_deleted.is_empty());
}

#[tokio::test]
async fn a_token_that_accounts_share_is_asked_for_once() {
    let zoho = Sandbox::start().await;
    let config = two_accounts(&zoho, &zoho, "default_account = \"main\"");

    let (code, lines) = doctor(&config).await;

    assert_eq!(code, 0, "{lines:#?}");
    line(
        &lines,
        "ok    north-1: token request: not made, its token is that of main",
    );
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn credentials_that_are_refused_tell_who_must_act_and_no_secret() {
    let zoho = Sandbox::start().await;
    let config = config_for(&zoho, "");
    zoho.change(|settings| settings.refresh_token = "another".to_owned());
    let (code, lines) = doctor(&config).await;
    let refused = line(&lines, "FAIL  main: token request: ");
    assert_eq!(code, 1);
    assert!(
        refused.contains("The operator must act: `enroll` again"),
        "{refused}"
    );

    zoho.change(|settings| settings.client_secret = "another".to_owned());
    let (code, lines) = doctor(&config).await;
    let refused = line(&lines, "FAIL  main: token request: ");
    assert_eq!(code, 1);
    assert!(
        refused.contains("client_id, client_secret and data_center"),
        "{refused}"
    );
    for secret in ["sandbox-client-secret", "1000.sandbox-refresh-token"] {
        assert!(!lines.concat().contains(secret), "{lines:#?}");
    }
}

#[tokio::test]
async fn another_api_than_the_configured_one_is_a_failure() {
    let zoho = Sandbox::start().await;
    let foreign = "https://www.zohoapis.eu".to_owned();
    zoho.change(|settings| settings.api_domain = ApiDomain::Url(foreign));

    let (code, lines) = doctor(&config_for(&zoho, "")).await;

    assert_eq!(code, 1);
    assert!(line(&lines, "FAIL  main: api_domain: ").contains("is data_center right?"));
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_told_apart_from_the_other_and_asked_for_nothing() {
    let zoho = Sandbox::start().await;
    let (code, lines) = doctor(&with_api(&zoho, "", "http://127.0.0.1:1")).await;
    assert_eq!(code, 1);
    let api = line(
        &lines,
        "FAIL  main: API http://127.0.0.1:1: it refuses connections",
    );
    assert!(api.contains("The operator must act"), "{api}");
    line(&lines, "ok    main: accounts server ");

    let config = config_for(&zoho, "");
    zoho.stop().await;
    let (code, lines) = doctor(&config).await;
    assert_eq!(code, 1);
    line(&lines, "FAIL  main: accounts server ");
    line(&lines, "FAIL  main: token request: not made");
}

#[tokio::test]
async fn tls_is_examined_through_the_proxy_on_the_way() {
    let (zoho, authority) = tls_sandbox().await;
    let proxy = ConnectProxy::start(Manners::Tunnel).await;
    let (code, lines) = doctor(&config_for(&zoho, &proxy.key())).await;
    assert_eq!(code, 1);
    for host in ["API", "accounts server"] {
        let untrusted = line(&lines, &format!("FAIL  main: {host} "));
        assert!(untrusted.contains("upstream.ca_file"), "{untrusted}");
    }
    assert_eq!(zoho.ledger().token_requests, 0);

    let keys = format!("{}\nupstream.ca_file = {authority:?}", proxy.key());
    let (code, lines) = doctor(&config_for(&zoho, &keys)).await;
    assert_eq!(code, 0, "{lines:#?}");
    for host in ["API", "accounts server"] {
        let works = line(&lines, &format!("ok    main: {host} "));
        assert!(works.contains("DNS, TCP and TLS work"), "{works}");
    }
    assert_eq!(proxy.asked().len(), 2 + 4, "nothing goes another way");
    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn a_clock_that_is_far_from_zohos_is_a_warning_in_seconds() {
    let zoho = Sandbox::start().await;
    for (ago, begin) in [
        (0, "ok    main: clock: as Zoho's"),
        (3_600, "warn  main: clock: 36"),
    ] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(404);
        let date = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(ago));
        let dated = Mock::given(method("HEAD")).respond_with(answer.insert_header("date", date));
        dated.mount(&server).await;
        let config = config_for(&zoho, "").replace(
            &format!("accounts_url = {:?}", zoho.accounts_url()),
            &format!("accounts_url = {:?}", server.uri()),
        );

        let (_, lines) = doctor(&config).await;

        line(&lines, begin);
    }
}

#[test]
fn a_wrong_configuration_exits_2() {
    let (code, _, stderr) = Program::run(&["doctor"], Some("[accounts.main]\n"));

    assert_eq!(code, 2);
    assert!(stderr.contains("accounts.main.client_id"), "{stderr}");
}
