//! Clocks that jump. Those of replicas are never asked for the time of day; the store's own may mislead nobody for long.

use std::time::Duration;

use tokio::time::Instant;

use crate::fleet::{config, ready, zoho_with};
use crate::load::Load;
use crate::redis_server::Redis;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_store_would_keep_beyond_its_end_is_cut_by_whoever_holds_it() {
    // The store's clock jumps back by a minute: what is left of every key grows by as much.
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let replicas = ready(2, &config(&zoho, &redis.keys())).await;
    let token = redis.keys_like(":token").await[0].clone();
    let left: i64 = redis.run(&["PTTL", &token]).await;

    let longer = (left + 60_000).to_string();
    let _: () = redis.run(&["PEXPIRE", &token, &longer]).await;
    eventually("its end is right again", async || {
        redis.run::<i64>(&["PTTL", &token]).await <= left
    })
    .await;

    assert!(redis.run::<i64>(&["PTTL", &token]).await > left - 10_000);
    assert_eq!(replicas[0].delete(1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_store_forgets_too_early_is_put_back_with_its_own_end() {
    // The store's clock jumps ahead.
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let _replicas = ready(2, &config(&zoho, &redis.keys())).await;
    let token = redis.keys_like(":token").await[0].clone();
    let left: i64 = redis.run(&["PTTL", &token]).await;

    let _: () = redis.run(&["PEXPIRE", &token, "1"]).await;
    eventually("it is back", async || {
        redis.run::<i64>(&["PTTL", &token]).await > 1
    })
    .await;

    let again: i64 = redis.run(&["PTTL", &token]).await;
    assert!((left - 20_000..=left).contains(&again), "{again} of {left}");
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_the_budget_holds_from_the_future_count_for_one_window_from_now() {
    let window = Duration::from_secs(4);
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let keys = format!(
        "token.budget = 2\ntoken.budget_window = \"4s\"\n{}",
        redis.keys()
    );
    let config = config(&zoho, &keys);
    drop(ready(1, &config).await);
    let (token, spent) = (
        redis.keys_like(":token").await[0].clone(),
        redis.keys_like(":spent").await[0].clone(),
    );
    let _: () = redis.run(&["DEL", &token]).await;
    for member in ["one", "another"] {
        let _: () = redis.run(&["ZADD", &spent, "99999999999999", member]).await;
    }
    let begun = Instant::now();

    let replicas = ready(1, &config).await;
    let load = Load::on(&replicas, Duration::from_millis(50));
    eventually("a token is asked for", async || {
        zoho.ledger().token_requests == 2
    })
    .await;

    assert!(
        (window..window * 2).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    load.end().await;
}
