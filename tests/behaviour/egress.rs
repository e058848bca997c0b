//! A network that lets nothing out but through a proxy of its own: Zoho is reached through it, and not a token is shown
//! to it.

use zoho_sandbox::Sandbox;

use crate::support::{
    ConnectProxy, Manners, Program, TestApp, assert_unreachable, config_for, eventually,
    tls_sandbox, with_api,
};

/// A host that only a proxy could find.
const API: &str = "https://api.invalid";

#[tokio::test]
async fn both_hosts_are_reached_through_tunnels_that_show_the_proxy_their_names_alone() {
    let (zoho, authority) = tls_sandbox().await;
    let proxy = ConnectProxy::start(Manners::Tunnel).await;
    let keys = format!("{}\nupstream.ca_file = {authority:?}", proxy.key());
    let app = TestApp::with(&zoho, &keys).await;

    for id in 1..=3 {
        assert_eq!(app.delete_photo("Contacts", id).await.outcome(), "deleted");
    }

    let asked = proxy.asked();
    assert_eq!(
        asked.len(),
        2,
        "one for tokens, one kept for calls: {asked:?}"
    );
    assert_eq!(zoho.ledger().connections, 2, "and nothing beside them");
    let hosts = [zoho.api_url(), zoho.accounts_url()].map(|url| url.replace("https://", ""));
    let heads = hosts.map(|host| format!("connect {host} http/1.1\r\nhost: {host}\r\n\r\n"));
    for head in asked {
        assert!(heads.contains(&head.to_ascii_lowercase()), "{head}");
    }
    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn a_certificate_is_verified_inside_the_tunnel() {
    let zoho = Sandbox::start().await;
    let (api, authority) = tls_sandbox().await;
    let proxy = ConnectProxy::start(Manners::Tunnel).await;
    let config = with_api(&zoho, &proxy.key(), &api.api_url());

    assert_unreachable(&config, &api, "tls_certificate_error").await;

    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn what_is_not_encrypted_stays_on_this_host() {
    let zoho = Sandbox::start().await;
    let proxy = ConnectProxy::start(Manners::Tunnel).await;
    let app = TestApp::with(&zoho, &proxy.key()).await;

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    assert_eq!(proxy.asked().len(), 0);
}

#[tokio::test]
async fn the_proxy_is_told_the_user_and_the_password_of_the_file_for_both_hosts() {
    let (zoho, authority) = tls_sandbox().await;
    let proxy = ConnectProxy::start(Manners::Tunnel).await;
    let password = std::env::temp_dir().join(format!("password-{:016x}", fastrand::u64(..)));
    std::fs::write(&password, "open:sesame\n").unwrap();
    let keys = format!(
        "{}\nupstream.proxy_user = \"Aladdin\"\nupstream.proxy_password_file = {password:?}\n\
         upstream.ca_file = {authority:?}",
        proxy.key()
    );
    let app = TestApp::with(&zoho, &keys).await;

    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");

    let asked = proxy.asked();
    assert_eq!(asked.len(), 2);
    for head in asked {
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        let (_, told) = headers
            .find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"))
            .unwrap();
        assert_eq!(told, "Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==");
    }
    std::fs::remove_file(authority).unwrap();
    std::fs::remove_file(password).unwrap();
}

#[tokio::test]
async fn a_proxy_that_does_not_let_calls_through_is_told_as_such_and_nothing_was_sent() {
    let zoho = Sandbox::start().await;
    for (said, error) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            "proxy_configuration_error",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 900000\r\n\r\nno",
            "proxy_configuration_error",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "destination_unavailable",
        ),
        (
            "HTTP/1.0 503 Service Unavailable\r\n\r\n<html>",
            "destination_unavailable",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n",
            "http_protocol_error",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "http_protocol_error",
        ),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "http_protocol_error"),
        (
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "http_protocol_error",
        ),
        ("HTTP/1.1 200 O", "connection_terminated"),
        ("", "connection_terminated"),
    ] {
        let proxy = ConnectProxy::start(Manners::Say(said)).await;
        assert_unreachable(&with_api(&zoho, &proxy.key(), API), &zoho, error).await;
        assert!(proxy.asked().len() > 1, "{said}");
    }
}

#[tokio::test]
async fn of_a_proxys_answer_no_more_is_read_than_a_head_has() {
    let zoho = Sandbox::start().await;
    let endless = "X: y\r\n".repeat(100_000);
    let said = format!("HTTP/1.1 200 OK\r\n{endless}\r\n").leak();
    let proxy = ConnectProxy::start(Manners::Say(said)).await;

    assert_unreachable(
        &with_api(&zoho, &proxy.key(), API),
        &zoho,
        "http_protocol_error",
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_given_up_in_time() {
    let zoho = Sandbox::start().await;
    let proxy = ConnectProxy::start(Manners::Silence).await;
    let keys = format!("{}\nupstream.connect_timeout = \"200ms\"", proxy.key());

    assert_unreachable(&with_api(&zoho, &keys, API), &zoho, "connection_timeout").await;
}

#[tokio::test]
async fn a_proxy_that_is_down_is_told_as_such() {
    let zoho = Sandbox::start().await;
    let keys = format!("upstream.proxy = \"http://{}\"", nobody().await);

    assert_unreachable(&with_api(&zoho, &keys, API), &zoho, "connection_refused").await;
}

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_proxy_that_refuses_is_the_operators_to_mend() {
    let zoho = Sandbox::start().await;
    let proxy = ConnectProxy::start(Manners::Say("HTTP/1.1 407 No\r\n\r\n")).await;
    let app = TestApp::of_config(&with_api(&zoho, &proxy.key(), API));
    eventually("ready", async || app.readyz().await.status == 200).await;

    let reply = app.delete_photo("Contacts", 1).await;

    assert_eq!(reply.json()["details"]["act"], "operator");
}

#[tokio::test]
async fn a_token_request_that_the_proxy_stopped_costs_no_budget() {
    let zoho = Sandbox::start().await;
    let down = format!("upstream.proxy = \"http://{}\"", nobody().await);
    let mut ways = vec![down];
    for manners in [
        Manners::Say("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        Manners::Say("HTTP/1.1 502 Bad Gateway\r\n\r\n"),
        Manners::Say("HTTP/1.1 200 O"),
        Manners::Say("SSH-2.0-OpenSSH_9.2p1\r\n"),
        Manners::Silence,
    ] {
        ways.push(ConnectProxy::start(manners).await.key());
    }
    for way in ways {
        // A clock that runs 100 times as fast as Zoho's.
        let keys =
            format!("{way}\ntoken.budget_window = \"6s\"\nupstream.connect_timeout = \"20ms\"");
        let config = config_for(&zoho, &keys);
        let config = config.replacen(&zoho.accounts_url(), "https://accounts.invalid", 1);
        let app = TestApp::of_config(&config);

        let tries = async || {
            app.metric("bigin_token_requests_total", &[r#"result="unreached""#])
                .await
        };
        eventually("more tries than the budget has", async || {
            tries().await >= 10.0
        })
        .await;

        let left = app.metric("bigin_token_budget_remaining", &[]).await;
        assert!(left >= 7.0, "{way}: {left}");
    }
}

#[tokio::test]
async fn proxies_in_the_environment_are_ignored() {
    let (zoho, authority) = tls_sandbox().await;
    let nobody = format!("http://{}", nobody().await);
    let names = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let variables = names.map(|name| (name, nobody.as_str()));
    let config = config_for(&zoho, &format!("upstream.ca_file = {authority:?}"));
    let mut program = Program::serve_in(&variables, &config);

    tokio::task::spawn_blocking(move || program.line("access token renewed"))
        .await
        .unwrap();
    assert_eq!(zoho.ledger().token_requests, 1);
    std::fs::remove_file(authority).unwrap();
}
