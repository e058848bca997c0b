//! Whoever can read and write the store gets no token, can make none, and can hold nobody up for long.

use std::time::Duration;

use zoho_sandbox::Sandbox;

use crate::fleet::{Replica, config, ready, zoho_with};
use crate::invariants::assert_newest_token;
use crate::redis_server::Redis;
use crate::support::eventually;

const TAMPERED: &str = "bigin_token_store_tampered_total";

/// Three replicas with a token, and the name of its key.
async fn a_small_fleet(zoho: &Sandbox, redis: &Redis) -> (Vec<Replica>, String) {
    let replicas = ready(3, &config(zoho, &redis.keys())).await;
    let keys = redis.keys_like(":token").await;
    (replicas, keys[0].clone())
}

/// Whatever was done to the store: the token at hand serves, the entry is noticed and mended, and a new replica gets the
/// token that the others have.
async fn is_noticed_and_mended(zoho: &Sandbox, redis: &Redis, replicas: &[Replica]) {
    for replica in replicas {
        eventually("the entry is noticed", async || {
            let of_all = futures_util::future::join_all(
                replicas.iter().map(|replica| replica.metric(TAMPERED, &[])),
            );
            of_all.await.iter().sum::<f64>() >= 1.0
        })
        .await;
        assert_eq!(replica.delete(1).await.outcome(), "deleted");
    }
    eventually("the token is back", async || {
        !redis.keys_like(":token").await.is_empty()
    })
    .await;
    let new = ready(1, &config(zoho, &redis.keys())).await;
    assert_eq!(new[0].delete(1).await.outcome(), "deleted");
    let ledger = zoho.ledger();
    assert_eq!((ledger.token_requests, ledger.refused_for_token), (1, 0));
    assert_newest_token(zoho, replicas.iter().chain(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_with_one_bit_flipped_is_a_miss() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (replicas, key) = a_small_fleet(&zoho, &redis).await;

    let mut sealed: Vec<u8> = redis.token_field("sealed").await;
    let middle = sealed.len() / 2;
    sealed[middle] ^= 1;
    let version: u64 = redis.token_field("version").await;
    let mut connection = redis.connection().await.unwrap();
    let mut change = redis::cmd("HSET");
    change.arg(&key).arg("sealed").arg(sealed);
    change.arg("version").arg(version + 1);
    let _: () = change.query_async(&mut connection).await.unwrap();

    is_noticed_and_mended(&zoho, &redis, &replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_claims_another_version_is_a_miss() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (replicas, key) = a_small_fleet(&zoho, &redis).await;

    let _: () = redis
        .run(&["HSET", &key, "version", "9007199254740991"])
        .await;

    is_noticed_and_mended(&zoho, &redis, &replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_nonsensical_entries_are_misses() {
    for version in ["9007199254740991", "", "newest", "-1e999"] {
        let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
        let (replicas, key) = a_small_fleet(&zoho, &redis).await;

        let forged = "Zoho-oauthtoken 1000.forged";
        let _: () = redis
            .run(&["HSET", &key, "version", version, "sealed", forged])
            .await;

        if version == "-1e999" {
            // Older than anything: it is simply replaced.
            continue;
        }
        is_noticed_and_mended(&zoho, &redis, &replicas).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_never_ends_is_a_miss() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (replicas, key) = a_small_fleet(&zoho, &redis).await;
    drop(replicas);

    let _: () = redis.run(&["PERSIST", &key]).await;
    let new = ready(1, &config(&zoho, &redis.keys())).await;

    assert!(new[0].metric(TAMPERED, &[]).await >= 1.0);
    assert_eq!(zoho.ledger().token_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_type_hold_nobody_up() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (replicas, token) = a_small_fleet(&zoho, &redis).await;
    drop(replicas);
    let spent = redis.keys_like(":spent").await[0].clone();
    let of_token = |name: &str| token.replace(":token", name);
    let of_budget = |name: &str| spent.replace(":spent", name);
    let all = [
        token.clone(),
        of_token(":lease"),
        of_token(":failure"),
        spent.clone(),
        of_budget(":throttled"),
    ];
    for key in &all {
        let _: () = redis.run(&["DEL", key]).await;
        let _: () = redis.run(&["LPUSH", key, "nonsense"]).await;
    }

    let new = ready(2, &config(&zoho, &redis.keys())).await;

    assert_eq!(new[0].delete(1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 2);
    let _: u64 = redis.token_field("version").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_failures_leases_and_cool_downs_without_an_end_hold_nobody_up() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (replicas, token) = a_small_fleet(&zoho, &redis).await;
    drop(replicas);
    let throttled = redis.keys_like(":spent").await[0].replace(":spent", ":throttled");
    let _: () = redis.run(&["DEL", &token]).await;
    let of_token = |name: &str| token.replace(":token", name);
    let _: () = redis
        .run(&[
            "SET",
            &of_token(":failure"),
            "refused invalid_code",
            "PX",
            "60000",
        ])
        .await;
    let _: () = redis.run(&["SET", &of_token(":lease"), "nobody"]).await;
    let _: () = redis.run(&["SET", &throttled, "1"]).await;

    let new = ready(1, &config(&zoho, &redis.keys())).await;

    assert_eq!(new[0].delete(1).await.outcome(), "deleted");
    assert_eq!(new[0].metric(TAMPERED, &[]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_moved_to_another_accounts_key_does_not_open() {
    let redis = Redis::start().await;
    let (ours, theirs) = (zoho_with(|_| {}).await, zoho_with(|_| {}).await);
    let mut replicas = Vec::new();
    for (zoho, secret) in [(&ours, "one-secret"), (&theirs, "another-secret")] {
        zoho.change(|settings| settings.client_secret = secret.to_owned());
        replicas.extend(ready(1, &config(zoho, &redis.keys())).await);
    }
    let mut keys = redis.keys_like(":token").await;
    assert_eq!(keys.len(), 2, "each has a key of its own");
    keys.sort();

    // Each gets the other's, as if it were newer.
    for (from, to) in [(&keys[0], &keys[1]), (&keys[1], &keys[0])] {
        let _: () = redis.run(&["COPY", from, &format!("{to}-moved")]).await;
    }
    for key in &keys {
        let _: () = redis.run(&["RENAME", &format!("{key}-moved"), key]).await;
        let _: i64 = redis.run(&["HINCRBY", key, "version", "1000000"]).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;

    for (replica, zoho) in replicas.iter().zip([&ours, &theirs]) {
        assert_eq!(replica.delete(1).await.outcome(), "deleted");
        assert!(replica.metric(TAMPERED, &[]).await >= 1.0);
        let ledger = zoho.ledger();
        assert_eq!((ledger.token_requests, ledger.refused_for_token), (1, 0));
    }
}
