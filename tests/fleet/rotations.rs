//! Credentials that change, in all replicas at about the same time: one of them tries, the others learn what came of it.

use std::time::Duration;

use crate::fleet::{Replica, ready, zoho_with};
use crate::load::Load;
use crate::redis_server::Redis;
use crate::support::{Mounted, eventually};

const REPLICAS: usize = 4;

/// The sum of a metric over all replicas.
async fn sum(replicas: &[Replica], name: &str, label: &[&str]) -> f64 {
    let of_all = replicas.iter().map(|replica| replica.metric(name, label));
    futures_util::future::join_all(of_all).await.iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_rotations_ten_of_them_wrong_cost_a_token_request_each_and_no_caller_an_error() {
    let redis = Redis::start().await;
    let zoho = zoho_with(|settings| {
        settings.tokens_per_window = 1000;
        settings.live_tokens = 1000;
    })
    .await;
    let mut secret = zoho.settings().client_secret;
    let token = zoho.settings().refresh_token;
    let files = Mounted::with(&[("secret", &secret), ("token", &token)]);
    // Files are read every 0.1 s then.
    let keys = format!(
        "server.drain_delay = \"0s\"\ntoken.budget = 1000\ntoken.budget_window = \"6s\"\n{}",
        redis.keys()
    );
    let config = files.config(&zoho, &keys, &["secret"], &["token"]);
    let replicas = ready(REPLICAS, &config).await;
    let load = Load::on(&replicas, Duration::from_millis(5));
    let (mut good, mut wrong) = (0_u64, 0_u64);

    for rotation in 1..=50 {
        if rotation % 5 == 0 {
            wrong += 1;
            let mistyped = format!("mistyped-{rotation}");
            files.swap(&[("secret", &mistyped), ("token", &token)]);
            eventually("all know that it is refused", async || {
                let refused = ["problem=\"refused\""];
                let failures = sum(&replicas, "bigin_credential_failures_total", &refused).await;
                failures >= (REPLICAS as u64 * wrong) as f64
            })
            .await;
        } else {
            good += 1;
            secret = format!("secret-{rotation}");
            zoho.change(|settings| settings.client_secret.clone_from(&secret));
            files.swap(&[("secret", &secret), ("token", &token)]);
            eventually("all have the token of the new secret", async || {
                let asked = sum(&replicas, "bigin_token_requests_total", &["result=\"ok\""]).await;
                let adopted = sum(&replicas, "bigin_token_adopted_total", &[]).await;
                asked + adopted >= (REPLICAS as u64 * (good + 1)) as f64
            })
            .await;
        }
        let requests = zoho.ledger().token_requests;
        assert_eq!(requests, 1 + good + wrong, "after rotation {rotation}");
    }
    load.end_unharmed().await;

    assert_eq!(zoho.ledger().refused_for_token, 0);
}
