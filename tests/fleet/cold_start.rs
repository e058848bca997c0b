//! A fleet that starts, and one that is replaced, costs one token request in all.

use std::time::Duration;

use tokio::time::Instant;
use zoho_sandbox::{TokenFault, When};

use crate::fleet::{Replica, all_ready, config, ready, start, zoho_with};
use crate::redis_server::Redis;

/// How often each cold start is tried: more often with `FLEET_REPETITIONS`.
fn repetitions() -> usize {
    std::env::var("FLEET_REPETITIONS").map_or(1, |text| text.parse().unwrap())
}

/// Fifty processes on an empty store, while a token request takes so long.
async fn fifty_processes_cost_one_token_request(call: Duration) {
    for _ in 0..repetitions() {
        let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
        let milliseconds = u64::try_from(call.as_millis()).unwrap();
        zoho.on_token(When::Always, TokenFault::Slow { milliseconds });

        let begun = Instant::now();
        let replicas = start(50, &config(&zoho, &redis.keys()));
        // The first token is there, or the last process has only now begun to serve.
        tokio::time::sleep_until(begun + call).await;
        all_ready(&replicas, Duration::from_secs(5)).await;

        assert_eq!(zoho.ledger().token_requests, 1);
        for replica in &replicas {
            assert_eq!(replica.delete(1).await.outcome(), "deleted");
        }
        assert_eq!(zoho.ledger().calls_per_token, [50]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_on_an_empty_store_cost_one_token_request() {
    fifty_processes_cost_one_token_request(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_cost_one_token_request_that_takes_a_second() {
    fifty_processes_cost_one_token_request(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_cost_one_token_request_that_takes_nine_seconds() {
    fifty_processes_cost_one_token_request(Duration::from_secs(9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_every_replica_costs_no_token_request() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let config = config(&zoho, &redis.keys());
    let mut replicas = ready(8, &config).await;

    for place in 0..replicas.len() {
        let new = Replica::start(&config);
        let old = std::mem::replace(&mut replicas[place], new);
        old.program.signal("TERM");
        assert_eq!(old.program.end().0, 0);
        all_ready(&replicas, Duration::from_secs(5)).await;
        assert_eq!(replicas[place].delete(1).await.outcome(), "deleted");
    }

    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_at_rest_sends_a_little_more_than_a_command_a_second() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let _replica = ready(1, &config(&zoho, &redis.keys())).await;
    let before = redis.scripts_run().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let commands = redis.scripts_run().await - before;

    // 67 to 86 a minute.
    assert!((6..=9).contains(&commands), "{commands} in 6 s");
}
