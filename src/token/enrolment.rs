//! The one exchange that brings a refresh token: the authorization-code grant of RFC 6749, section 4.1.3, as self clients
//! use it. Source: <https://www.bigin.com/developer/docs/apis/v2/self-client-get-access-token.html>.

use super::grant::{Failure, Grant};
use crate::config::Secret;
use crate::zoho::Origin;

/// What a grant code is worth.
pub struct Enrolled {
    /// The refresh token.
    pub refresh_token: Secret,
    /// The scopes that it has, if Zoho tells, divided by spaces.
    pub scopes: Option<String>,
}

/// Exchanges a grant code, once.
pub async fn enroll(
    accounts: &Origin,
    client_id: &str,
    client_secret: &Secret,
    code: &Secret,
    http: reqwest::Client,
) -> Result<Enrolled, Failure> {
    let grant = Grant::new(accounts, client_id, http);
    let brought = grant.exchange(client_secret, code).await?;
    let refresh_token = brought
        .refresh_token
        .and_then(|token| Secret::parse(&token).ok())
        .ok_or(Failure::Transient("its answer holds no refresh token"))?;
    Ok(Enrolled {
        refresh_token,
        scopes: brought.scopes,
    })
}
