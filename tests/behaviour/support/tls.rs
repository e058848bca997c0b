//! A sandbox behind TLS, under a certificate authority of its own.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zoho_sandbox::{Sandbox, Settings};

/// A certificate authority of our own, in a file, and a sandbox for `localhost` under it.
pub(crate) async fn tls_sandbox() -> (Sandbox, PathBuf) {
    tls_sandbox_with(|_| {}).await
}

/// The same with a certificate that is as `spoil` leaves it.
pub(crate) async fn tls_sandbox_with(
    spoil: impl FnOnce(&mut CertificateParams),
) -> (Sandbox, PathBuf) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    spoil(&mut params);
    let certificate = params.signed_by(&key, &authority).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let address = ([127, 0, 0, 1], 0).into();
    let zoho = Sandbox::bind_tls(address, Settings::default(), Arc::new(tls))
        .await
        .unwrap();

    let path = std::env::temp_dir().join(format!("authority-{:016x}.pem", fastrand::u64(..)));
    std::fs::write(&path, authority.pem()).unwrap();
    (zoho, path)
}
