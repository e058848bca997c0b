//! One token request: the refresh-token grant of RFC 6749, section 6, through `oauth2` over `reqwest`.
//!
//! The credentials go into the form body, never into the URL; nothing is followed, stored or retried here. Failures are
//! told apart by what one would do about them, in words of ours: no text of Zoho's, and no secret, is in them.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId, ClientSecret, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, RefreshToken, RequestTokenError,
    StandardRevocableToken, StandardTokenIntrospectionResponse, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::answer::{self, Unreadable};
use super::credentials::Pair;
use crate::config::{ForwardProxy, Secret, UpstreamConfig};
use crate::zoho::Origin;

/// The path of the token endpoint. Source: <https://www.bigin.com/developer/docs/apis/v2/self-client-refresh-token-usage.html>.
const TOKEN_PATH: &str = "/oauth/v2/token";

/// The most that is read of an answer. A token answer has some 300 bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// The longest token that is believed. Zoho's have 70 characters.
const MAX_TOKEN: usize = 2048;

/// Those of the refusals below that are about the client and not about the refresh token.
const OF_THE_CLIENT: [&str; 3] = [
    "invalid_client",
    "invalid_client_secret",
    "unauthorized_client",
];

/// What Zoho answers to credentials that only people can mend.
/// Source: <https://help.zoho.com/portal/en/community/topic/kaizen-4-troubleshooting-oauth2-0>.
const REFUSALS: [&str; 7] = [
    "invalid_client",
    "invalid_client_secret",
    "invalid_code",
    "invalid_grant",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// A token that was issued.
pub(super) struct Granted {
    /// The value of the `Authorization` header, marked sensitive.
    pub(super) authorization: HeaderValue,
    /// How long it lives, from before the request.
    pub(super) lifetime: Duration,
    /// The API host that Zoho names with it. Not to be trusted as an address.
    pub(super) api_domain: Option<String>,
}

/// What a grant code brought.
pub(super) struct Brought {
    pub(super) refresh_token: Option<String>,
    /// Divided by spaces.
    pub(super) scopes: Option<String>,
}

/// Why no token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// DNS, TCP, the proxy on the way or TLS failed: the accounts server knows nothing of the try.
    #[error("the accounts server could not be reached: {0}")]
    Unreached(&'static str),
    /// It may be gone at the next try.
    #[error("the accounts server failed: {0}")]
    Transient(&'static str),
    /// The credentials are wrong or revoked.
    #[error("the accounts server refuses the credentials: {0}")]
    Refused(&'static str),
    /// Too many token requests. Zoho may say how long to wait.
    #[error("the accounts server throttles token requests")]
    Throttled(Option<Duration>),
}

impl Failure {
    /// One word, for metrics and traces.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreached(_) => "unreached",
            Self::Transient(_) => "failed",
            Self::Refused(_) => "refused",
            Self::Throttled(_) => "throttled",
        }
    }

    /// Whether it is the client, with its secret, that is refused. Otherwise it is the refresh token.
    #[must_use]
    pub fn is_about_the_client(&self) -> bool {
        matches!(self, Self::Refused(refusal) if OF_THE_CLIENT.contains(refusal))
    }

    /// The same for other replicas: what kind it is, and which refusal.
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Refused(refusal) => format!("refused {refusal}"),
            other => other.as_str().to_owned(),
        }
    }

    /// What another replica wrote with [`Self::to_text`].
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        const ELSEWHERE: &str = "another replica's token request failed";
        let text = std::str::from_utf8(text).ok()?;
        let refusal = text.strip_prefix("refused ");
        match text {
            "unreached" => Some(Self::Unreached(ELSEWHERE)),
            "failed" => Some(Self::Transient(ELSEWHERE)),
            "throttled" => Some(Self::Throttled(None)),
            _ => REFUSALS
                .into_iter()
                .find(|known| Some(*known) == refusal)
                .map(Self::Refused),
        }
    }
}

/// The OAuth client of one account and the way to its accounts server.
pub(super) struct Grant {
    client: ZohoClient,
    http: TokenHttp,
}

impl Grant {
    /// The grant of a client at an accounts server, over an HTTP client made here.
    pub(super) fn new(accounts: &Origin, client_id: &str, http: reqwest::Client) -> Self {
        let token_url = TokenUrl::from_url(accounts.join(TOKEN_PATH));
        let client = Client::new(ClientId::new(client_id.to_owned()))
            // Zoho documents the form body; oauth2's own default would be Basic authentication.
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(token_url);
        Self {
            client,
            http: TokenHttp {
                client: http,
                latest_status: AtomicU16::default(),
            },
        }
    }

    /// The status of the answer to the latest request, if one came.
    pub(super) fn latest_status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.http.latest_status.load(Ordering::Relaxed)).ok()
    }

    /// Asks for an access token, once.
    pub(super) async fn refresh(&self, pair: &Pair) -> Result<Granted, Failure> {
        let client_secret = ClientSecret::new(pair.client_secret.expose().to_owned());
        let refresh_token = RefreshToken::new(pair.refresh_token.expose().to_owned());
        let client = self.client.clone().set_client_secret(client_secret);
        let answer = client
            .exchange_refresh_token(&refresh_token)
            .request_async(&self.http)
            .await;
        granted(&answer.map_err(|error| classify(&error))?)
    }

    /// Exchanges a grant code, once.
    pub(super) async fn exchange(
        &self,
        client_secret: &Secret,
        code: &Secret,
    ) -> Result<Brought, Failure> {
        let client_secret = ClientSecret::new(client_secret.expose().to_owned());
        let client = self.client.clone().set_client_secret(client_secret);
        let answer = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .request_async(&self.http)
            .await
            .map_err(|error| classify(&error))?;
        let scopes = answer.scopes().map(|scopes| {
            let texts: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            texts.join(" ")
        });
        Ok(Brought {
            refresh_token: answer.refresh_token().map(|token| token.secret().clone()),
            scopes,
        })
    }
}

/// The client for every accounts server: nothing that could carry a secret elsewhere.
pub fn http_client(
    tls: &rustls::ClientConfig,
    upstream: &UpstreamConfig,
    timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    let client = careful_client(tls, upstream.proxy.as_ref(), timeout)?;
    client.connect_timeout(upstream.connect_timeout).build()
}

/// The same for whoever has no configuration: no limit of its own for connecting.
pub fn http_client_through(
    tls: &rustls::ClientConfig,
    proxy: Option<&ForwardProxy>,
    timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    careful_client(tls, proxy, timeout)?.build()
}

fn careful_client(
    tls: &rustls::ClientConfig,
    proxy: Option<&ForwardProxy>,
    timeout: Duration,
) -> reqwest::Result<reqwest::ClientBuilder> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Those of the environment.
        .no_proxy()
        .retry(reqwest::retry::never())
        .timeout(timeout)
        // One request an hour: a kept connection would be stale each time.
        .pool_max_idle_per_host(0);
    Ok(match proxy {
        None => client,
        Some(proxy) => client.proxy(way_through(proxy)?),
    })
}

/// Encrypted connections alone go through the proxy: others stay on this host.
fn way_through(proxy: &ForwardProxy) -> reqwest::Result<reqwest::Proxy> {
    let way = reqwest::Proxy::https(proxy.url.clone())?;
    Ok(match &proxy.authorization {
        None => way,
        Some(authorization) => way.custom_http_auth(authorization.clone()),
    })
}

fn granted(answer: &ZohoTokenResponse) -> Result<Granted, Failure> {
    let token = answer.access_token().secret();
    if token.is_empty()
        || token.len() > MAX_TOKEN
        || !token.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Failure::Transient(
            "the token that was issued cannot stand in a header",
        ));
    }
    let value = HeaderValue::try_from(format!("Zoho-oauthtoken {token}"));
    let mut authorization = value.or(Err(Failure::Transient(
        "the token that was issued cannot stand in a header",
    )))?;
    authorization.set_sensitive(true);
    let lifetime = answer
        .expires_in()
        .unwrap_or(Duration::from_secs(answer::LONGEST_LIFE));
    Ok(Granted {
        authorization,
        lifetime,
        api_domain: answer.extra_fields().api_domain.clone(),
    })
}

/// Never formats the error: `RequestTokenError::Parse` holds the body, and the body may hold a token.
fn classify(error: &RequestTokenError<TokenHttpError, BasicErrorResponse>) -> Failure {
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let code = answer.error().as_ref();
            match REFUSALS.into_iter().find(|refusal| *refusal == code) {
                Some(refusal) => Failure::Refused(refusal),
                None => Failure::Transient("it answered with an error that may pass"),
            }
        }
        RequestTokenError::Request(error) => error.failure(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Failure::Transient("its answer cannot be read")
        }
    }
}

/// The field that Zoho adds to RFC 6749's answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct ZohoFields {
    api_domain: Option<String>,
}

impl ExtraTokenFields for ZohoFields {}

type ZohoTokenResponse = StandardTokenResponse<ZohoFields, BasicTokenType>;

/// Only the token endpoint is set: a call of any other one does not compile.
type ZohoClient = Client<
    BasicErrorResponse,
    ZohoTokenResponse,
    StandardTokenIntrospectionResponse<ZohoFields, BasicTokenType>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// `reqwest` for `oauth2`. An own type, because both traits and types of the two crates are foreign here.
struct TokenHttp {
    client: reqwest::Client,
    /// Zoho's own, which `oauth2` does not show; 0 if no answer came. There is one request at a time.
    latest_status: AtomicU16,
}

#[derive(Debug, thiserror::Error)]
enum TokenHttpError {
    #[error("the exchange with the accounts server broke")]
    Transport(#[source] reqwest::Error),
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the answer cannot be passed on")]
    Http(#[from] http::Error),
}

impl TokenHttpError {
    fn failure(&self) -> Failure {
        match self {
            Self::Transport(error) if error.is_connect() && error.is_timeout() => {
                Failure::Unreached("no connection in time")
            }
            Self::Transport(error) if error.is_connect() => Failure::Unreached("no connection"),
            Self::Transport(error) if error.is_timeout() => Failure::Transient("no answer in time"),
            Self::Transport(_) => Failure::Transient("the connection broke"),
            Self::Unreadable(Unreadable::Throttled(retry_after)) => {
                Failure::Throttled(*retry_after)
            }
            Self::Unreadable(Unreadable::Dead) => {
                Failure::Transient("the token that was issued has no life left")
            }
            Self::TooLarge | Self::Unreadable(Unreadable::Nothing) | Self::Http(_) => {
                Failure::Transient("its answer holds neither a token nor an error")
            }
        }
    }
}

impl<'c> AsyncHttpClient<'c> for TokenHttp {
    type Error = TokenHttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}

impl TokenHttp {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, TokenHttpError> {
        self.latest_status.store(0, Ordering::Relaxed);
        let transport = |error: reqwest::Error| TokenHttpError::Transport(error.without_url());
        let request = reqwest::Request::try_from(request).map_err(transport)?;
        let mut answer = self.client.execute(request).await.map_err(transport)?;
        let status = answer.status().as_u16();
        self.latest_status.store(status, Ordering::Relaxed);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(TokenHttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let (status, value) = answer::normalise(answer.status(), answer.headers(), &body)?;
        // No Content-Type: oauth2 takes a missing one for JSON.
        Ok(http::Response::builder()
            .status(status)
            .body(value.to_string().into_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::config::{self, Environment, Secret};

    const THROTTLED: &str =
        "You have made too many requests continuously. Please try again after some time.";

    /// Asks a server that gives one answer.
    async fn ask(answer: ResponseTemplate) -> (Result<Granted, Failure>, MockServer) {
        let server = MockServer::start().await;
        let token_endpoint = Mock::given(method("POST")).and(path(TOKEN_PATH));
        token_endpoint.respond_with(answer).mount(&server).await;
        (grant_at(&server.uri()).refresh(&pair()).await, server)
    }

    fn pair() -> Pair {
        let secret = |text| Secret::parse(text).unwrap_or_else(|it| panic!("{it}"));
        Pair {
            client_secret: secret("s&=%"),
            refresh_token: secret("1000.r"),
        }
    }

    fn grant_at(accounts_url: &str) -> Grant {
        let text = format!(
            "[accounts.main]\nclient_id = \"1000.ID\"\nclient_secret = \"s&=%\"\n\
             refresh_token = \"1000.r\"\naccounts_url = {accounts_url:?}\n\
             api_url = \"https://www.zohoapis.eu\"\n\
             [upstream]\nconnect_timeout = \"500ms\"\n"
        );
        let config =
            config::parse(&text, &Environment::default()).unwrap_or_else(|it| panic!("{it}"));
        let tls = crate::upstream::tls_config(&rustls::RootCertStore::empty(), false).unwrap();
        let patience = Duration::from_millis(500);
        Grant::new(
            &config.accounts[0].accounts,
            "1000.ID",
            http_client(&tls, &config.upstream, patience).unwrap(),
        )
    }

    fn json_answer(status: u16, body: &Value) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_json(body)
    }

    async fn failure_of(answer: ResponseTemplate) -> Failure {
        match ask(answer).await.0 {
            Ok(_) => panic!("a token was granted"),
            Err(failure) => failure,
        }
    }

    #[tokio::test]
    async fn the_request_is_a_form_in_the_body_with_four_parameters_and_no_basic_authentication() {
        let (_, server) = ask(ResponseTemplate::new(200)).await;
        let request = server.received_requests().await.unwrap().remove(0);

        assert_eq!(request.url.query(), None);
        assert!(!request.headers.contains_key("authorization"));
        assert!(!request.headers.contains_key("cookie"));
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(&request.body)
            .into_owned()
            .collect();
        let expected = [
            ("client_id", "1000.ID"),
            ("client_secret", "s&=%"),
            ("grant_type", "refresh_token"),
            ("refresh_token", "1000.r"),
        ];
        assert_eq!(
            form,
            expected
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into()
        );
    }

    #[tokio::test]
    async fn a_token_becomes_a_sensitive_header_with_zohos_scheme() {
        let body = json!({
            "access_token": "1000.a.b", "api_domain": "https://www.zohoapis.eu",
            "token_type": "Bearer", "expires_in": 1800, "scope": "ZohoBigin.modules.contacts.DELETE",
        });
        let granted = ask(json_answer(200, &body))
            .await
            .0
            .unwrap_or_else(|it| panic!("{it}"));

        assert_eq!(granted.authorization, "Zoho-oauthtoken 1000.a.b");
        assert!(granted.authorization.is_sensitive());
        assert_eq!(granted.lifetime, Duration::from_mins(30));
        assert_eq!(
            granted.api_domain.as_deref(),
            Some("https://www.zohoapis.eu")
        );
    }

    #[tokio::test]
    async fn only_a_token_is_needed_whatever_the_status_and_the_content_type() {
        let body = br#"{"access_token":"1000.a.b"}"#.to_vec();
        let answer = ResponseTemplate::new(201).set_body_raw(body, "text/html");

        let granted = ask(answer).await.0.unwrap_or_else(|it| panic!("{it}"));

        assert_eq!(
            (granted.lifetime, granted.api_domain),
            (Duration::from_hours(1), None)
        );
    }

    #[tokio::test]
    async fn credentials_that_only_people_can_mend_are_refused_with_any_status() {
        for code in REFUSALS {
            for status in [200, 400, 401, 500] {
                let failure = failure_of(json_answer(status, &json!({ "error": code }))).await;
                assert_eq!(failure, Failure::Refused(code), "{status}");
            }
        }
    }

    #[tokio::test]
    async fn throttling_is_told_by_its_words_with_400_and_with_200() {
        let body = json!({ "error": "Access Denied", "error_description": THROTTLED, "status": "failure" });
        for status in [200, 400] {
            assert_eq!(
                failure_of(json_answer(status, &body)).await,
                Failure::Throttled(None)
            );
        }
        let answer = ResponseTemplate::new(429).insert_header("retry-after", "7");
        assert_eq!(
            failure_of(answer).await,
            Failure::Throttled(Some(Duration::from_secs(7)))
        );
    }

    #[tokio::test]
    async fn everything_else_may_pass() {
        let page = |status| ResponseTemplate::new(status).set_body_raw("<html>", "text/html");
        for answer in [
            json_answer(200, &json!({ "error": "general_error" })),
            json_answer(200, &json!({ "error": "Access Denied" })),
            json_answer(200, &json!({})),
            json_answer(200, &json!([])),
            page(200),
            page(502),
            ResponseTemplate::new(200),
            ResponseTemplate::new(503),
            ResponseTemplate::new(200).set_body_string(r#"{"access_token":"1000"#),
            json_answer(200, &json!({ "access_token": "a", "expires_in": 0 })),
            json_answer(200, &json!({ "access_token": "a b" })),
            json_answer(200, &json!({ "access_token": "a\r\nx: y" })),
            json_answer(200, &json!({ "access_token": "" })),
            json_answer(200, &json!({ "access_token": "x".repeat(MAX_TOKEN + 1) })),
            ResponseTemplate::new(200).set_body_string(" ".repeat(MAX_ANSWER + 1)),
        ] {
            assert!(matches!(failure_of(answer).await, Failure::Transient(_)));
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed_with_the_credentials() {
        let elsewhere = MockServer::start().await;
        for status in [301, 302, 303, 307, 308] {
            let answer = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
            assert!(
                matches!(failure_of(answer).await, Failure::Transient(_)),
                "{status}"
            );
        }
        assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_in_time_may_have_issued_a_token() {
        let answer = ResponseTemplate::new(200).set_delay(Duration::from_secs(5));

        assert_eq!(
            failure_of(answer).await,
            Failure::Transient("no answer in time")
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_was_not_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);

        let failure = grant_at(&url).refresh(&pair()).await.err().unwrap();

        assert_eq!(failure, Failure::Unreached("no connection"));
    }

    #[tokio::test]
    async fn no_failure_tells_a_secret() {
        let body = json!({ "access_token": "1000.secret with space", "expires_in": "odd" });
        let failure = failure_of(json_answer(200, &body)).await;

        for secret in ["1000.secret", "s&=%", "1000.r"] {
            assert!(!format!("{failure:?} {failure}").contains(secret));
        }
    }
}
