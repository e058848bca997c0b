//! Start, stop, TLS, connections, and the seed.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use zoho_sandbox::rustls::pki_types::{PrivateKeyDer, ServerName};
use zoho_sandbox::rustls::{ClientConfig, RootCertStore, ServerConfig};
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, Settings, TokenFault, When};

use crate::client::{Client, ask, delete_photo, sent, token, token_request};

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn only_loopback_addresses_are_bound() {
    let error = Sandbox::bind(SocketAddr::from(([0, 0, 0, 0], 0)), Settings::default())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_stopped_sandbox_ends_its_connections_and_refuses_new_ones() {
    let zoho = Sandbox::start().await;
    let mut client = Client::connect(zoho.address()).await;
    client.send(&token_request()).await;
    client.answer().await;

    timeout(Duration::from_secs(5), zoho.stop()).await.unwrap();

    assert!(client.rest().await.0.is_empty());
    assert_eq!(
        TcpStream::connect(zoho.address()).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    assert_eq!(zoho.ledger().tokens_issued, 1);
}

#[tokio::test]
async fn a_stopped_sandbox_leaves_its_address_to_the_next() {
    let first = Sandbox::start().await;
    timeout(Duration::from_secs(5), first.stop()).await.unwrap();

    let second = Sandbox::bind(first.address(), Settings::default())
        .await
        .unwrap();

    assert!(!token(&second).await.is_empty());
}

#[tokio::test]
async fn the_last_handle_takes_the_sandbox_with_it() {
    let zoho = Sandbox::start().await;
    let (other, address) = (zoho.clone(), zoho.address());

    drop(zoho);
    assert!(!token(&other).await.is_empty());
    drop(other);

    sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.idle_timeout_ms = Some(200));
    let mut client = Client::connect(zoho.address()).await;
    client.send(&token_request()).await;
    client.answer().await;

    assert_eq!(client.rest().await, (Vec::new(), true));
}

#[tokio::test]
async fn a_client_that_says_close_gets_it() {
    let zoho = Sandbox::start().await;
    let request = token_request().replace("Host:", "Connection: close\r\nHost:");

    let (bytes, in_order) = sent(&zoho, &request).await.rest().await;

    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && in_order);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tokens_and_the_same_luck() {
    let (first, second) = (course_of_events(7).await, course_of_events(7).await);

    assert_eq!(first, second);
    assert_ne!(first, course_of_events(8).await);
}

/// The token and the luck of a number of calls, on a new sandbox. The token requests in between must not matter.
async fn course_of_events(seed: u64) -> (String, Vec<u16>) {
    let zoho = Sandbox::bind(
        any_port(),
        Settings {
            seed,
            ..Settings::default()
        },
    )
    .await
    .expect("a free port");
    zoho.on_delete(
        When::Share(0.5),
        ApiFault::before(ApiFaultKind::Html { status: 502 }),
    );
    zoho.on_token(When::Share(0.5), TokenFault::Slow { milliseconds: 0 });
    let token = token(&zoho).await;
    let mut statuses = Vec::new();
    for id in 1..=64 {
        statuses.push(ask(&zoho, &delete_photo(&token, id)).await.status);
    }
    (token, statuses)
}

#[tokio::test]
async fn a_reset_begins_anew_with_the_settings_as_they_are() {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| settings.tokens_per_window = 1);
    let before = token(&zoho).await;
    zoho.on_token(When::Always, TokenFault::EmptyObject);

    zoho.reset();

    assert_eq!(zoho.ledger().token_requests, 0);
    assert_eq!(ask(&zoho, &delete_photo(&before, 1)).await.status, 401);
    assert_eq!(token(&zoho).await, before);
    assert_eq!(ask(&zoho, &token_request()).await.status, 400);
}

#[tokio::test]
async fn over_tls_it_is_the_same_sandbox_on_localhost() {
    let (server, client) = tls();
    let zoho = Sandbox::bind_tls(any_port(), Settings::default(), server)
        .await
        .unwrap();
    let stream = TcpStream::connect(zoho.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(client)
        .connect(name, stream)
        .await
        .unwrap();
    let request = token_request().replace("Host:", "Connection: close\r\nHost:");

    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();

    assert!(zoho.api_url().starts_with("https://localhost:"));
    assert!(answer.contains(&format!(r#""api_domain":"{}""#, zoho.api_url())));
}

#[tokio::test]
async fn over_tls_a_reset_is_a_reset() {
    let (server, client) = tls();
    let zoho = Sandbox::bind_tls(any_port(), Settings::default(), server)
        .await
        .unwrap();
    zoho.on_token(When::Next(1), TokenFault::Reset);
    let stream = TcpStream::connect(zoho.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(client)
        .connect(name, stream)
        .await
        .unwrap();

    stream.write_all(token_request().as_bytes()).await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// A server with a certificate of its own making for `localhost`, and a client that trusts it.
fn tls() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .expect("a certificate can be made");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .expect("the key is one that rustls reads");
    let certificate = made.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate.clone())
        .expect("the certificate is one that rustls reads");
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (
        Arc::new(server.expect("the key fits the certificate")),
        Arc::new(client),
    )
}
