//! One token request: the refresh-token grant of RFC 6749, section 6, through `oauth2` over `reqwest`.
//!
//! The credentials go into the form body, never into the URL; nothing is followed, stored or retried here. Failures are
//! told apart by what one would do about them, in words of ours: no text of Zoho's, and no secret, is in them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::HeaderValue;
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, RefreshToken, RequestTokenError,
    StandardRevocableToken, StandardTokenIntrospectionResponse, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::answer::{self, Unreadable};
use crate::config::AccountConfig;

/// The path of the token endpoint. Source: <https://www.bigin.com/developer/docs/apis/v2/self-client-refresh-token-usage.html>.
const TOKEN_PATH: &str = "/oauth/v2/token";

/// The most that is read of an answer. A token answer has some 300 bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// The longest token that is believed. Zoho's have 70 characters.
const MAX_TOKEN: usize = 2048;

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

/// Why no token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// DNS, TCP or TLS failed: the accounts server knows nothing of the try.
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
}

/// The credentials of one account and the way to its accounts server.
pub(super) struct Grant {
    client: ZohoClient,
    refresh_token: RefreshToken,
    http: TokenHttp,
}

impl Grant {
    /// The grant of an account, over a client made by [`http_client`].
    pub(super) fn new(account: &AccountConfig, http: reqwest::Client) -> Self {
        let token_url = TokenUrl::from_url(account.accounts.join(TOKEN_PATH));
        let client = Client::new(ClientId::new(account.client_id.clone()))
            .set_client_secret(ClientSecret::new(account.client_secret.expose().to_owned()))
            // Zoho documents the form body; oauth2's own default would be Basic authentication.
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(token_url);
        Self {
            client,
            refresh_token: RefreshToken::new(account.refresh_token.expose().to_owned()),
            http: TokenHttp(http),
        }
    }

    /// Asks for an access token, once.
    pub(super) async fn refresh(&self) -> Result<Granted, Failure> {
        let answer = self
            .client
            .exchange_refresh_token(&self.refresh_token)
            .request_async(&self.http)
            .await;
        granted(&answer.map_err(|error| classify(&error))?)
    }
}

/// The client for every accounts server: nothing that could carry a secret elsewhere.
pub fn http_client(
    tls: &rustls::ClientConfig,
    connect_timeout: Duration,
    timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .timeout(timeout)
        // One request an hour: a kept connection would be stale each time.
        .pool_max_idle_per_host(0)
        .build()
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
#[derive(Debug, Deserialize, Serialize)]
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
struct TokenHttp(reqwest::Client);

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
        let transport = |error: reqwest::Error| TokenHttpError::Transport(error.without_url());
        let request = reqwest::Request::try_from(request).map_err(transport)?;
        let mut answer = self.0.execute(request).await.map_err(transport)?;
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
