//! One token request a lifetime, over the whole fleet, and nobody notices.

use std::time::Duration;

use zoho_sandbox::{TokenFault, When};

use crate::fleet::{config, ready, zoho_with};
use crate::invariants::assert_newest_token;
use crate::load::Load;
use crate::redis_server::Redis;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn ten_lifetimes_of_twenty_replicas_under_load_cost_ten_token_requests() {
    const LIFE: f64 = 8.0;
    let redis = Redis::start().await;
    let zoho = zoho_with(|settings| {
        settings.token_lifetime_seconds = LIFE;
        settings.tokens_per_window = 1000;
    })
    .await;
    // A busy machine may hold Redis up for longer than the usual 250 ms, which is little of an hour, but much of this life.
    let keys = format!(
        "token.budget_window = \"{LIFE}s\"\ntoken_store.command_timeout = \"2s\"\n{}",
        redis.keys()
    );
    let replicas = ready(20, &config(&zoho, &keys)).await;
    let load = Load::on(&replicas, Duration::from_millis(100));

    while zoho.ledger().tokens_issued < 11 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Had another replica asked for the eleventh token too, it would have done so by now.
    tokio::time::sleep(Duration::from_secs_f64(LIFE / 4.0)).await;
    let ledger = zoho.ledger();
    assert_eq!(ledger.token_requests, 11, "{:?}", ledger.token_log);
    load.end_unharmed().await;

    assert_eq!(ledger.refused_for_token, 0);
    assert_newest_token(&zoho, &replicas);
    assert_eq!(replicas[0].versions().len(), 11);
    let times = ledger.token_log.windows(2);
    let shares: Vec<_> = times
        .map(|pair| Duration::from_millis(pair[1].at_ms - pair[0].at_ms).as_secs_f64() / LIFE)
        .collect();
    // 85 to 92 %, and what a busy machine adds and takes away.
    assert!(
        shares.iter().all(|share| (0.8..0.96).contains(share)),
        "{shares:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_renewed_once_and_all_have_the_new_one_within_a_second() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let replicas = ready(6, &config(&zoho, &redis.keys())).await;
    assert_eq!(replicas[0].delete(1).await.outcome(), "deleted");

    zoho.revoke_tokens();
    assert_eq!(replicas[0].delete(2).await.outcome(), "deleted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    for replica in &replicas {
        assert_eq!(replica.delete(3).await.outcome(), "deleted");
    }

    let ledger = zoho.ledger();
    assert_eq!((ledger.token_requests, ledger.refused_for_token), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_another_replica_has_used_is_dropped_when_it_dies() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let config = config(&zoho, &redis.keys());
    let first = ready(1, &config).await;
    assert_eq!(first[0].delete(1).await.outcome(), "deleted");
    // The first replica tells the others that Zoho accepts the token.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(first);
    zoho.revoke_tokens();

    // For this one it is a token that it has never used.
    let second = ready(1, &config).await;

    assert_eq!(second[0].delete(2).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_out_of_the_store_ends_for_a_late_replica_when_it_ends_for_all() {
    let redis = Redis::start().await;
    let zoho = zoho_with(|settings| settings.token_lifetime_seconds = 4.0).await;
    let config = config(&zoho, &redis.keys());
    let first = ready(1, &config).await;
    zoho.on_token(When::Always, TokenFault::EmptyObject);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let late = ready(1, &config).await;
    drop(first);

    eventually("there is no token any more", async || {
        let reply = late[0].delete(1).await;
        reply.outcome() != "deleted" && reply.code() == "TOKEN_UNAVAILABLE"
    })
    .await;

    let ledger = zoho.ledger();
    assert!(ledger.calls_per_token[0] > 1);
    assert_eq!((ledger.tokens_issued, ledger.refused_for_token), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_notices_a_revocation_at_once_and_one_of_them_renews() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let replicas = ready(20, &config(&zoho, &redis.keys())).await;
    let load = Load::on(&replicas, Duration::from_millis(5));
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        zoho.revoke_tokens();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    load.end_unharmed().await;

    assert_eq!(zoho.ledger().token_requests, 4);
    assert_newest_token(&zoho, &replicas);
}
