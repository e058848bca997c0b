//! What one writes from the front pages of axum and reqwest: defaults, no clocks, no log, no metrics, a token that
//! never changes.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::delete;

#[derive(Clone)]
struct App {
    client: reqwest::Client,
    upstream: String,
    token: String,
}

async fn delete_photo(
    State(app): State<App>,
    Path(record_id): Path<String>,
) -> Result<Response, StatusCode> {
    let url = format!("{}/bigin/v2/Contacts/{record_id}/photo", app.upstream);
    let answer = app
        .client
        .delete(&url)
        .header("Authorization", format!("Zoho-oauthtoken {}", app.token))
        .send()
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)?;
    let status = answer.status();
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/json")
        .to_owned();
    let body = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok((status, [(header::CONTENT_TYPE, content_type)], body).into_response())
}

#[tokio::main]
async fn main() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is missing"));
    let mut client = reqwest::Client::builder();
    if let Ok(file) = std::env::var("CA_FILE") {
        let pem = std::fs::read(file).expect("CA_FILE can be read");
        let authority = reqwest::Certificate::from_pem(&pem).expect("CA_FILE is PEM");
        client = client.tls_certs_only([authority]);
    }
    let app = App {
        client: client.build().expect("a client"),
        upstream: variable("UPSTREAM"),
        token: variable("TOKEN"),
    };
    let router = Router::new()
        .route("/bigin/v2/Contacts/{record_id}/photo", delete(delete_photo))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind(variable("LISTEN"))
        .await
        .expect("the address is free");
    axum::serve(listener, router).await.expect("a listener");
}
