//! Whoever fails, hangs or dies while it asks for the fleet's token: the others neither pile up nor wait for long.

use std::time::Duration;

use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

use crate::fleet::{Replica, all_ready, config, ready, start, zoho_with};
use crate::invariants::{assert_newest_token, assert_one_budget};
use crate::load::Load;
use crate::redis_server::Redis;
use crate::support::eventually;

/// One replica that is in the middle of its token request, which takes so long. A lease lasts 3 s.
async fn a_holder_at_work(zoho: &Sandbox, redis: &Redis, milliseconds: u64) -> (Replica, String) {
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds });
    let config = config(zoho, &format!("token.timeout = \"1s\"\n{}", redis.keys()));
    let holder = Replica::start(&config);
    eventually("it asks", async || zoho.ledger().token_requests == 1).await;
    (holder, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_killed_costs_one_more_token_request() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (holder, config) = a_holder_at_work(&zoho, &redis, 900).await;

    holder.program.signal("KILL");
    let others = start(5, &config);
    all_ready(&others, Duration::from_secs(8)).await;

    assert_eq!(zoho.ledger().token_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_stopped_past_its_lease_takes_nothing_from_anybody_when_it_wakes() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let (holder, config) = a_holder_at_work(&zoho, &redis, 300).await;
    holder.program.signal("STOP");
    let mut replicas = start(5, &config);
    all_ready(&replicas, Duration::from_secs(8)).await;
    let version: u64 = redis.token_field("version").await;

    holder.program.signal("CONT");
    replicas.push(holder);
    all_ready(&replicas, Duration::from_secs(5)).await;

    // It has either thrown its own token away or failed; the one in the store is the others'.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(redis.token_field::<u64>("version").await, version);
    for replica in &replicas {
        assert_eq!(replica.delete(1).await.outcome(), "deleted");
    }
    let ledger = zoho.ledger();
    assert_eq!(ledger.token_requests, 2);
    assert_eq!(ledger.calls_per_token, [0, 6]);
    assert_newest_token(&zoho, &replicas);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_dies_at_a_renewal_is_replaced_before_the_old_token_ends() {
    // A lease of 3 s would outlast the last 15 % of 10 s.
    let redis = Redis::start().await;
    let zoho = zoho_with(|settings| settings.token_lifetime_seconds = 10.0).await;
    let keys = format!("token.timeout = \"1s\"\n{}", redis.keys());
    let config = config(&zoho, &keys);
    let replicas = ready(4, &config).await;
    // Somebody who never comes back, from just before the first renewal on.
    tokio::time::sleep(Duration::from_millis(8200)).await;
    let lease = redis.keys_like(":token").await[0].replace(":token", ":lease");
    let _: () = redis.run(&["SET", &lease, "nobody", "PX", "3000"]).await;

    let load = Load::on(&replicas, Duration::from_millis(10));
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.end_unharmed().await;

    let log = zoho.ledger().token_log;
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[1].at_ms - log[0].at_ms < 10_000, "{log:?}");
    assert_newest_token(&zoho, &replicas);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_shared_and_not_tried_again_by_each() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let error = "invalid_code".to_owned();
    zoho.on_token(When::Always, TokenFault::Error { status: 200, error });
    let replicas = start(10, &config(&zoho, &redis.keys()));

    for replica in &replicas {
        // As a caller is told by the one that asked.
        eventually("it is told", async || {
            let reply = replica.delete(1).await;
            reply.code() == "TOKEN_UNAVAILABLE" && reply.body.contains("invalid_code")
        })
        .await;
        assert!(!replica.is_ready().await);
    }

    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_throttle_all_replicas_hold_off_also_those_that_start_later() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    zoho.on_token(When::Next(1), TokenFault::Throttled { status: 400 });
    let config = config(
        &zoho,
        &format!("token.budget_window = \"6s\"\n{}", redis.keys()),
    );
    let mut replicas = start(3, &config);
    eventually("one is throttled", async || {
        zoho.ledger().token_requests == 1
    })
    .await;
    replicas.extend(start(3, &config));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(zoho.ledger().token_requests, 1);

    // The window is over, and one of them asks.
    all_ready(&replicas, Duration::from_secs(20)).await;
    for replica in &replicas {
        eventually("there is a token", async || {
            replica.delete(1).await.outcome() == "deleted"
        })
        .await;
    }
    let log = zoho.ledger().token_log;
    assert_eq!(log.len(), 2);
    assert!(log[1].at_ms - log[0].at_ms >= 5900, "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_waits_after_failures_grow_for_the_fleet_as_for_one() {
    // Of a window of 12 s: 0.1, 0.3, 0.9 and then 2.2 to 2.4 s.
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    zoho.on_token(When::Always, TokenFault::EmptyObject);
    let keys = format!("token.budget_window = \"12s\"\n{}", redis.keys());
    let _replicas = start(10, &config(&zoho, &keys));
    eventually("there are five", async || zoho.ledger().token_requests >= 5).await;

    let log = zoho.ledger().token_log;
    let waits: Vec<_> = log
        .windows(2)
        .map(|pair| pair[1].at_ms - pair[0].at_ms)
        .collect();
    assert!(
        waits[0] >= 90 && waits[1] >= 290 && waits[2] >= 890,
        "{waits:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_refusals_in_twenty_replicas_stays_within_the_budget() {
    // All tokens are refused for two windows of 6 s, at up to 2,000 requests a second.
    let redis = Redis::start().await;
    let zoho = zoho_with(|settings| settings.tokens_per_window = 1000).await;
    let keys = format!("token.budget_window = \"6s\"\n{}", redis.keys());
    let replicas = ready(20, &config(&zoho, &keys)).await;
    let fault = ApiFaultKind::Answer {
        status: 401,
        code: "INVALID_TOKEN".into(),
        message: "invalid oauth token".to_owned(),
    };
    zoho.on_delete(When::Always, ApiFault::before(fault));

    let load = Load::on(&replicas, Duration::from_millis(8));
    tokio::time::sleep(Duration::from_secs(12)).await;
    while load.done() < 5000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (done, failed) = load.end().await;

    assert_eq!(failed.len() as u64, done);
    assert_one_budget(&zoho, Duration::from_secs(6));
    assert_newest_token(&zoho, &replicas);
    let requests = zoho.ledger().token_requests;
    assert!(requests >= 4, "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_holds_for_all_replicas_together_however_tokens_die() {
    let redis = Redis::start().await;
    let zoho = zoho_with(|settings| settings.tokens_per_window = 1000).await;
    let keys = format!("token.budget_window = \"4s\"\n{}", redis.keys());
    let replicas = ready(6, &config(&zoho, &keys)).await;
    let load = Load::on(&replicas, Duration::from_millis(5));

    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        zoho.revoke_tokens();
    }
    load.end().await;

    assert_one_budget(&zoho, Duration::from_secs(4));
    assert_newest_token(&zoho, &replicas);
    let requests = zoho.ledger().token_requests;
    assert!(
        requests > 2 * 8,
        "the budget was used up again and again: {requests}"
    );
}
