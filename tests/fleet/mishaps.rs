//! Mishaps at random, one after the other, the seed printed: whatever they were, the ledger and the logs show no token request
//! too many and no older token, and when they end everything is well again without anybody's help.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zoho_sandbox::Sandbox;

use crate::fleet::{Replica, config, ready, zoho_with};
use crate::invariants::{assert_newest_token, assert_one_budget};
use crate::redis_server::Redis;
use crate::support::eventually;

const REPLICAS: usize = 5;

/// The life of a token, and the window of the budget.
const LIFE: Duration = Duration::from_secs(5);

/// How long things go wrong.
const WHILE: Duration = Duration::from_secs(12);

/// A fleet, and what has become of it.
struct Fleet {
    zoho: Sandbox,
    redis: Redis,
    config: String,
    replicas: Vec<Replica>,
    /// Those that were killed: their logs count too.
    dead: Vec<Replica>,
    dice: Rng,
}

impl Fleet {
    async fn start() -> Self {
        let zoho = zoho_with(|settings| {
            settings.token_lifetime_seconds = LIFE.as_secs_f64();
            settings.tokens_per_window = 10_000;
        })
        .await;
        let redis = Redis::start().await;
        let keys = format!(
            "token.timeout = \"500ms\"\ntoken.budget_window = \"{}s\"\n{}",
            LIFE.as_secs(),
            redis.keys()
        );
        let config = config(&zoho, &keys);
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        Self {
            replicas: ready(REPLICAS, &config).await,
            zoho,
            redis,
            config,
            dead: Vec::new(),
            dice: Rng::with_seed(seed),
        }
    }

    /// Lets things go wrong, with requests in between that nobody counts on.
    async fn suffer(&mut self, mishap: impl AsyncFn(&mut Self)) {
        let end = Instant::now() + WHILE;
        while Instant::now() < end {
            mishap(self).await;
            let replica = &self.replicas[self.dice.usize(..REPLICAS)];
            replica.delete(1).await;
            let pause = Duration::from_millis(self.dice.u64(50..600));
            tokio::time::sleep(pause).await;
        }
    }

    /// A replica dies, in the middle of whatever it does, or stands still for a while; or Zoho drops all tokens.
    async fn replica_mishap(&mut self) {
        let place = self.dice.usize(..REPLICAS);
        match self.dice.u8(..3) {
            0 => {
                self.replicas[place].program.signal("KILL");
                let new = Replica::start(&self.config);
                self.dead
                    .push(std::mem::replace(&mut self.replicas[place], new));
            }
            1 => {
                self.replicas[place].program.signal("STOP");
                // The lease of a turn lasts 2.5 s.
                let still = Duration::from_millis(self.dice.u64(100..3000));
                tokio::time::sleep(still).await;
                self.replicas[place].program.signal("CONT");
            }
            _ => self.zoho.revoke_tokens(),
        }
    }

    /// The store dies, hangs, forgets, or holds what nobody has sealed.
    async fn store_mishap(&mut self) {
        match self.dice.u8(..4) {
            0 => {
                self.redis.kill();
                tokio::time::sleep(Duration::from_millis(self.dice.u64(1..1000))).await;
                self.redis.restart().await;
            }
            1 => {
                self.redis.signal("STOP");
                tokio::time::sleep(Duration::from_millis(self.dice.u64(1..1000))).await;
                self.redis.signal("CONT");
            }
            2 => self.redis.run::<()>(&["FLUSHALL"]).await,
            _ => {
                for key in self.redis.keys_like("*").await {
                    let kind: String = self.redis.run(&["TYPE", &key]).await;
                    let forged: &[&str] = match kind.as_str() {
                        "hash" => &[
                            "HSET",
                            &key,
                            "sealed",
                            "forged",
                            "version",
                            "9007199254740990",
                        ],
                        _ => &["SET", &key, "forged", "PX", "1000"],
                    };
                    let _: redis::Value = self.redis.run(forged).await;
                }
            }
        }
    }

    /// All is well within ten seconds, and nothing was ever wrong.
    async fn is_well_again(&self) {
        for replica in &self.replicas {
            eventually("it deletes", async || {
                replica.delete(1).await.outcome() == "deleted"
            })
            .await;
        }
        assert_newest_token(&self.zoho, self.replicas.iter().chain(&self.dead));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_die_or_stand_still_at_random_keep_the_budget_and_the_order() {
    let mut fleet = Fleet::start().await;

    fleet.suffer(Fleet::replica_mishap).await;

    fleet.is_well_again().await;
    assert_one_budget(&fleet.zoho, LIFE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_hangs_forgets_or_lies_at_random_brings_no_older_token() {
    let mut fleet = Fleet::start().await;

    fleet.suffer(Fleet::store_mishap).await;

    fleet.is_well_again().await;
    assert_eq!(fleet.dead.len(), 0, "nobody has ended");
}
