//! While the store is away, each replica goes on alone, and no caller notices; when it is back, they find together again.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use zoho_sandbox::Sandbox;

use crate::fleet::{Replica, config, ready, zoho_with};
use crate::invariants::{assert_newest_token, assert_one_budget};
use crate::load::Load;
use crate::redis_server::Redis;
use crate::relay::Relay;
use crate::support::eventually;

/// The life of a token in these tests.
const LIFE: Duration = Duration::from_secs(8);

/// Replicas that each may renew alone once without reaching Zoho's limit together.
const REPLICAS: usize = 4;

async fn short_lived_zoho() -> Sandbox {
    zoho_with(|settings| settings.token_lifetime_seconds = LIFE.as_secs_f64()).await
}

fn keys(store: &str) -> String {
    format!("token.timeout = \"1s\"\n{store}")
}

/// Load from before an outage until every replica has renewed alone; then the outage ends and they share again.
async fn nobody_notices(
    zoho: &Sandbox,
    config: &str,
    begin: impl FnOnce(),
    end: impl AsyncFnOnce(),
) {
    let replicas = ready(REPLICAS, config).await;
    let load = Load::on(&replicas, Duration::from_millis(10));

    begin();
    eventually_all(&replicas, "the store is away", async |replica| {
        replica.metric("bigin_token_store_up", &[]).await == 0.0
    })
    .await;
    // The first token, which all share, and then one each.
    requests_reach(zoho, 1 + REPLICAS as u64).await;
    end().await;
    eventually_all(&replicas, "the store is back", async |replica| {
        replica.metric("bigin_token_store_up", &[]).await == 1.0
    })
    .await;
    // One request for all at the next renewal.
    requests_reach(zoho, 2 + REPLICAS as u64).await;
    tokio::time::sleep(LIFE / 4).await;
    load.end_unharmed().await;

    let ledger = zoho.ledger();
    assert_eq!(
        ledger.token_requests,
        2 + REPLICAS as u64,
        "{:?}",
        ledger.token_log
    );
    assert_eq!(ledger.refused_for_token, 0);
    assert_newest_token(zoho, &replicas);
    assert_one_budget(zoho, Duration::from_mins(10));
}

async fn requests_reach(zoho: &Sandbox, count: u64) {
    let end = Instant::now() + LIFE * 2;
    while zoho.ledger().token_requests < count && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn eventually_all(replicas: &[Replica], what: &str, holds: impl AsyncFn(&Replica) -> bool) {
    for replica in replicas {
        eventually(what, async || holds(replica).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_killed_for_a_lifetime_costs_no_caller_anything() {
    let (redis, zoho) = (Redis::start().await, short_lived_zoho().await);
    let config = config(&zoho, &keys(&redis.keys()));
    let redis = tokio::sync::Mutex::new(redis);
    let kill = || redis.try_lock().unwrap().kill();

    nobody_notices(&zoho, &config, kill, async || {
        redis.lock().await.restart().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_for_a_lifetime_costs_no_caller_anything() {
    let (redis, zoho) = (Redis::start().await, short_lived_zoho().await);
    let config = config(&zoho, &keys(&redis.keys()));

    nobody_notices(
        &zoho,
        &config,
        || redis.signal("STOP"),
        async || redis.signal("CONT"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_all_for_a_lifetime_costs_no_caller_anything() {
    let (redis, zoho) = (Redis::start().await, short_lived_zoho().await);
    let relay = Relay::to(redis.port).await;
    let config = config(&zoho, &keys(&relay.keys()));

    nobody_notices(&zoho, &config, || relay.cut(), async || relay.heal()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_back_before_the_old_token_ends_costs_no_further_token_request() {
    // Away when renewal is due, from 85 % of 20 s on, and back before 92 %.
    let (mut redis, zoho) = (
        Redis::start().await,
        zoho_with(|settings| settings.token_lifetime_seconds = 20.0).await,
    );
    let replicas = ready(6, &config(&zoho, &keys(&redis.keys()))).await;
    let load = Load::on(&replicas, Duration::from_millis(20));
    tokio::time::sleep(Duration::from_millis(16_400)).await;
    redis.kill();
    eventually("renewal is tried in vain", async || {
        let takes = join_all(replicas.iter().map(async |replica| {
            let name = "bigin_token_store_commands_total";
            let all = replica.metric(name, &["command=\"take\""]).await;
            all - replica
                .metric(name, &["command=\"take\"", "result=\"ok\""])
                .await
        }));
        takes.await.iter().sum::<f64>() > 0.0
    })
    .await;
    redis.restart().await;
    requests_reach(&zoho, 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.end_unharmed().await;

    let log = zoho.ledger().token_log;
    assert_eq!(log.len(), 2, "{log:?}");
    assert_newest_token(&zoho, &replicas);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_has_lost_everything_gets_the_token_back() {
    let (mut redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let config = config(&zoho, &redis.keys());
    let mut replicas = ready(3, &config).await;
    let version: u64 = redis.token_field("version").await;

    let _: () = redis.run(&["FLUSHALL"]).await;
    eventually("it is back", async || {
        !redis.keys_like(":token").await.is_empty()
    })
    .await;
    redis.kill();
    redis.restart().await;
    eventually("it is back", async || {
        !redis.keys_like(":token").await.is_empty()
    })
    .await;

    assert_eq!(redis.token_field::<u64>("version").await, version);
    replicas.extend(ready(3, &config).await);
    for replica in &replicas {
        assert_eq!(replica.delete(1).await.outcome(), "deleted");
    }
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_answered_is_given_up_in_its_time() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let relay = Relay::to(redis.port).await;
    let replicas = ready(1, &config(&zoho, &relay.keys())).await;

    relay.cut();

    // Otherwise the next renewal would end it, and that is due in an hour.
    let given_up = ["command=\"look\"", "result=\"timeout\""];
    eventually("a look is given up", async || {
        let commands = "bigin_token_store_commands_total";
        replicas[0].metric(commands, &given_up).await >= 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_a_replica_starts_within_seconds() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    redis.signal("STOP");
    let hanging = config(&zoho, &redis.keys());
    let nowhere = config(&zoho, "token_store.url = \"redis://127.0.0.1:1\"");

    for config in [hanging, nowhere] {
        let replica = ready(1, &config).await;
        assert_eq!(replica[0].delete(1).await.outcome(), "deleted");
    }
}
