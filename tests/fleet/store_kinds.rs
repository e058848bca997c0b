//! What the store may be: one Redis, with or without TLS, user, password and database.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::fleet::{Replica, config, ready, zoho_with};
use crate::redis_server::Redis;
use crate::sick_stores::goes_on_alone;
use crate::support::eventually;

/// A Redis that speaks TLS alone, its files, and the keys of a configuration that trusts it. The folder is removed with it.
struct TlsRedis {
    redis: Redis,
    folder: PathBuf,
    ca: String,
}

impl TlsRedis {
    async fn start() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let folder = std::env::temp_dir().join(format!("fleet-tls-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let ca = file("ca.pem", &authority.pem());
        file("password", "a-password\n");
        let arguments = format!(
            "--tls-auth-clients no --tls-ca-cert-file {ca} --tls-cert-file {} --tls-key-file {} \
             --user proxy on >a-password ~fleet:* +@all --user default off",
            file("certificate.pem", &certificate.pem()),
            file("key.pem", &key.serialize_pem()),
        );
        let redis = Redis::with(&arguments.split(' ').collect::<Vec<_>>()).await;
        Self { redis, folder, ca }
    }

    fn keys(&self) -> String {
        format!(
            "token_store.url = \"rediss://localhost:{}/3\"\ntoken_store.user = \"proxy\"\n\
             token_store.password_file = \"{}\"\ntoken_store.key_prefix = \"fleet\"",
            self.redis.port,
            self.folder.join("password").display(),
        )
    }

    fn keys_with_authority(&self) -> String {
        format!("{}\ntoken_store.ca_file = {:?}", self.keys(), self.ca)
    }
}

impl Drop for TlsRedis {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_user_password_and_database() {
    let (redis, zoho) = (TlsRedis::start().await, zoho_with(|_| {}).await);
    let config = config(&zoho, &redis.keys_with_authority());

    let replicas = ready(1, &config).await;
    eventually("the store answers", async || {
        replicas[0].metric("bigin_token_store_up", &[]).await == 1.0
    })
    .await;
    let more = ready(3, &config).await;

    assert_eq!(more[0].delete(1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let redis = TlsRedis::start().await;
    goes_on_alone(&redis.keys(), "TLS fails").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_renewed_and_what_the_store_answered_is_in_the_metrics() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let replicas = ready(3, &config(&zoho, &redis.keys())).await;

    let sum = async |name: &str, labels: &[&str]| {
        let mut sum = 0.0;
        for replica in &replicas {
            sum += Replica::metric(replica, name, labels).await;
        }
        sum
    };

    assert_eq!(
        sum("bigin_token_requests_total", &["result=\"ok\""]).await,
        1.0
    );
    assert_eq!(sum("bigin_token_adopted_total", &[]).await, 2.0);
    let commands = "bigin_token_store_commands_total";
    assert!(sum(commands, &["command=\"take\"", "result=\"ok\""]).await >= 3.0);
    assert_eq!(sum(commands, &["command=\"publish\""]).await, 1.0);
    let tampered = sum("bigin_token_store_tampered_total", &[]).await;
    assert_eq!(tampered, 0.0);
}
