//! A token as replicas hand it on.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::answer::Answer;
use super::milliseconds;
use crate::token::access::AccessToken;

/// A token out of the store.
pub(in crate::token) struct Shared {
    pub(in crate::token) version: u64,
    /// Whether Zoho's API has accepted it anywhere.
    pub(in crate::token) accepted: bool,
    pub(in crate::token) authorization: HeaderValue,
    pub(in crate::token) lifetime: Duration,
    pub(in crate::token) expires: Instant,
}

impl Shared {
    /// What is sealed: its life in milliseconds, and its header.
    pub(super) fn text_of(token: &AccessToken, lifetime: Duration) -> Vec<u8> {
        let authorization = token.authorization();
        let lifetime = milliseconds(lifetime).to_be_bytes();
        [&lifetime, authorization.as_bytes()].concat()
    }

    /// What a text says that was sealed for this version, and the answer that it came with. Its end counts from before the
    /// store was asked.
    pub(super) fn parse(text: &[u8], version: u64, answer: &Answer) -> Option<Self> {
        let (lifetime, authorization) = text.split_first_chunk()?;
        let lifetime = Duration::from_millis(u64::from_be_bytes(*lifetime));
        let mut authorization = HeaderValue::from_bytes(authorization).ok()?;
        authorization.set_sensitive(true);
        // A key that does not end was not published by us.
        let life = Duration::from_millis(answer.number(3)?).min(lifetime);
        Some(Self {
            version,
            accepted: answer.bytes(1) == b"1",
            authorization,
            lifetime,
            expires: answer.asked + life,
        })
    }
}
