//! Why there is no connection to an API.

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The host name has no address.
    #[error("its host name cannot be resolved")]
    Dns,
    /// Nobody listens there.
    #[error("it refuses connections")]
    Refused,
    /// The network knows no way.
    #[error("there is no route to it")]
    Unroutable,
    /// DNS, TCP, tunnel and TLS took too long together.
    #[error("no connection in time")]
    TimedOut,
    /// Its certificate is not to be trusted.
    #[error("its certificate is not valid")]
    Certificate,
    /// It ended the TLS handshake.
    #[error("it ended the TLS handshake")]
    TlsAlert,
    /// TLS failed otherwise.
    #[error("the TLS handshake failed")]
    Tls,
    /// The connection ended as soon as it was there.
    #[error("it closed the connection at once")]
    Closed,
    /// The proxy on the way wants other credentials, or does not let us go there.
    #[error("the proxy on the way refuses")]
    ProxyRefused,
    /// The proxy on the way finds no way, or is in trouble itself.
    #[error("the proxy on the way cannot reach it")]
    ProxyFailed,
    /// What the proxy on the way says is no answer to CONNECT.
    #[error("the proxy on the way does not answer as one")]
    ProxyInvalid,
    /// Anything else.
    #[error("the connection failed")]
    Failed,
}
