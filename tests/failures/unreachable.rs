//! No connection to Zoho's API: nothing was sent, and the caller is told why.

use std::path::PathBuf;

use zoho_sandbox::Sandbox;

use super::row::{Expected, Request};
use super::scene::Scene;
use crate::support::{TestApp, tls_sandbox, tls_sandbox_with, with_api};

/// A proxy whose tokens come from one place and whose calls go to `api_url`; both calls of a deletion fail with `error`.
async fn expect_unreachable(keys: &str, api_url: &str, error: &str) {
    let zoho = Sandbox::start().await;
    let app = TestApp::of_config(&with_api(&zoho, keys, api_url));
    app.ready().await;
    let scene = Scene { zoho, app };

    let unreachable = Expected::ours(502, "UPSTREAM_UNREACHABLE", "not-sent", error);
    scene
        .expect(&Request::photo(), &unreachable.vain_calls(2))
        .await;
}

/// The certificate of `api_url` is not good enough, though its authority is trusted.
async fn expect_untrusted(authority: PathBuf, api_url: &str) {
    let keys = format!("upstream.ca_file = \"{}\"", authority.display());
    expect_unreachable(&keys, api_url, "tls_certificate_error").await;
    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn an_api_that_refuses_connections_is_unreachable() {
    let api = Sandbox::start().await;
    api.stop().await;

    expect_unreachable("", &api.api_url(), "connection_refused").await;
}

#[tokio::test]
async fn an_api_whose_name_does_not_resolve_is_unreachable() {
    expect_unreachable("", "https://api.invalid", "dns_error").await;
}

#[tokio::test]
async fn an_api_that_stalls_in_the_handshake_is_unreachable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());

    let keys = "upstream.connect_timeout = \"100ms\"";
    expect_unreachable(keys, &url, "connection_timeout").await;
}

#[tokio::test]
async fn an_api_that_speaks_no_tls_is_unreachable() {
    let api = Sandbox::start().await;

    let url = api.api_url().replace("http://", "https://");
    expect_unreachable("", &url, "tls_protocol_error").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let (api, authority) = tls_sandbox().await;

    expect_unreachable("", &api.api_url(), "tls_certificate_error").await;

    std::fs::remove_file(authority).unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let (api, authority) = tls_sandbox().await;

    expect_untrusted(authority, &format!("https://{}", api.address())).await;
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_trusted() {
    let (api, authority) = tls_sandbox_with(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    })
    .await;

    expect_untrusted(authority, &api.api_url()).await;
}
