//! The codes that a caller can read in an envelope: Zoho's own, and the ones that this proxy adds.
//!
//! One closed list, because codes become metric labels: whatever a server sends, the number of series stays bounded.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A code that a caller can read in an envelope.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it is written in envelopes, logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    // Zoho's, for this endpoint: https://www.bigin.com/developer/docs/apis/v2/delete-image.html
    /// The photo is deleted.
    Success = "SUCCESS",
    /// Not a module, or not one with photos.
    InvalidModule = "INVALID_MODULE",
    /// Not the path of an endpoint.
    InvalidUrlPattern = "INVALID_URL_PATTERN",
    /// The token has not the scope for this module.
    OauthScopeMismatch = "OAUTH_SCOPE_MISMATCH",
    /// The token's user may not delete images.
    NoPermission = "NO_PERMISSION",
    /// A fault inside Zoho (or, with our own status 500, inside this proxy).
    InternalError = "INTERNAL_ERROR",
    /// Not a method of this endpoint.
    InvalidRequestMethod = "INVALID_REQUEST_METHOD",
    /// The token's user may not delete images, said with another status.
    AuthorizationFailed = "AUTHORIZATION_FAILED",
    /// No such record.
    InvalidData = "INVALID_DATA",

    // Zoho's, for every endpoint: https://www.bigin.com/developer/docs/apis/v2/status-codes.html
    /// The access token is expired, revoked, evicted, or of another data center.
    InvalidToken = "INVALID_TOKEN",
    /// The same, in another spelling.
    InvalidOauthToken = "INVALID_OAUTHTOKEN",
    /// The access token was not understood; also seen for dead tokens.
    AuthenticationFailure = "AUTHENTICATION_FAILURE",
    /// Too many calls at once, or the credits of the day are spent.
    TooManyRequests = "TOO_MANY_REQUESTS",

    // Ours.
    /// The request breaks a rule of HTTP, or of this API.
    BadRequest = "BAD_REQUEST",
    /// The caller presents no token that is valid here.
    CallerUnauthorized = "CALLER_UNAUTHORIZED",
    /// No account of that name is configured.
    UnknownAccount = "UNKNOWN_ACCOUNT",
    /// Zoho refuses a fresh access token as well.
    TokenRejected = "TOKEN_REJECTED",
    /// There is no usable access token.
    TokenUnavailable = "TOKEN_UNAVAILABLE",
    /// The organisation's API credits of the day are spent, or what the operator allows of them.
    CreditsExhausted = "CREDITS_EXHAUSTED",
    /// Too many requests wait already.
    Overloaded = "OVERLOADED",
    /// No connection to Zoho could be made.
    UpstreamUnreachable = "UPSTREAM_UNREACHABLE",
    /// The connection to Zoho broke before an answer.
    UpstreamConnectionLost = "UPSTREAM_CONNECTION_LOST",
    /// What Zoho sent is no answer that can be believed.
    UpstreamInvalidResponse = "UPSTREAM_INVALID_RESPONSE",
    /// Zoho did not answer in time.
    UpstreamTimeout = "UPSTREAM_TIMEOUT",

    /// Any other code of Zoho's.
    Other = "other",
}

impl Code {
    /// The code that Zoho wrote, [`Code::Other`] if this list has it not.
    #[must_use]
    pub fn of_zoho(text: &str) -> Self {
        let known = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        known.unwrap_or(Self::Other)
    }
}
