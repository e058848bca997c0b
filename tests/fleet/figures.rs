//! What the store costs a replica that rests, as it stands in `docs/evidence.md`: `just fleet-figures`.

use std::time::Duration;

use crate::fleet::{Replica, config, ready, zoho_with};
use crate::redis_server::Redis;

const REPLICAS: usize = 5;

/// The memory that a process has for itself, and its share of what it has with others, in KiB.
fn proportional_kib(replica: &Replica) -> u64 {
    let rollup = replica.program.proc_file("smaps_rollup");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let figure = line.unwrap().trim().trim_end_matches(" kB");
    figure.parse().unwrap()
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: just fleet-figures"]
async fn what_the_store_costs_a_replica_at_rest() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let alone = ready(REPLICAS, &config(&zoho, "")).await;
    let shared = ready(REPLICAS, &config(&zoho, &redis.keys())).await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    let before = redis.scripts_run().await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let commands = redis.scripts_run().await - before;

    let memory = |replicas: &[Replica]| median(replicas.iter().map(proportional_kib).collect());
    println!(
        "| memory of a replica without a store (PSS) | {} KiB |",
        memory(&alone)
    );
    println!(
        "| memory of a replica with a store (PSS) | {} KiB |",
        memory(&shared)
    );
    println!(
        "| commands of a replica at rest a minute | {} |",
        commands / REPLICAS as u64
    );
}
