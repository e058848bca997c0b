//! The doctor asks by the rules of the fleet: its request counts for all, and all use what it brings.

use zoho_sandbox::{Sandbox, TokenFault, When};

use crate::fleet::{config, ready, zoho_with};
use crate::redis_server::Redis;
use crate::support::Program;

/// Exit code and lines. What is examined goes on meanwhile.
async fn doctor(zoho: &Sandbox, keys: &str) -> (i32, String) {
    let config = config(zoho, keys);
    let run = move || Program::run(&["doctor"], Some(&config));
    let (code, stdout, stderr) = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(stderr, "");
    (code, stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_uses_the_fleets_token_and_asks_for_none() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let _replica = ready(1, &config(&zoho, &redis.keys())).await;

    let (code, said) = doctor(&zoho, &redis.keys()).await;

    assert_eq!(code, 0, "{said}");
    assert!(said.contains("ok    main: token store: reachable and writable"));
    assert!(
        said.contains("ok    main: token request: not made, the store has a token for another 35")
    );
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_doctor_gets_counts_in_the_fleets_budget_and_the_replicas_use_it() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);

    let (code, said) = doctor(&zoho, &redis.keys()).await;

    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("ok    main: token request: brought a token"),
        "{said}"
    );
    let spent = redis.keys_like(":spent").await;
    assert_eq!(redis.run::<u64>(&["ZCARD", &spent[0]]).await, 1);
    let replicas = ready(3, &config(&zoho, &redis.keys())).await;
    assert_eq!(replicas[2].delete(1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_the_doctor_meets_is_known_to_the_fleet() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let error = "invalid_code".to_owned();
    zoho.on_token(When::Always, TokenFault::Error { status: 200, error });

    for _ in 0..2 {
        let (code, said) = doctor(&zoho, &redis.keys()).await;
        assert_eq!(code, 1);
        assert!(said.contains("FAIL  main: token request: "), "{said}");
        assert!(said.contains("invalid_code"), "{said}");
    }

    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_fleet_has_used_up_its_budget_the_doctor_asks_for_nothing() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let keys = format!("token.budget = 1\n{}", redis.keys());
    let (code, _) = doctor(&zoho, &keys).await;
    assert_eq!(code, 0);
    let token = redis.keys_like(":token").await;
    let _: () = redis.run(&["DEL", &token[0]]).await;

    let (code, said) = doctor(&zoho, &keys).await;

    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("warn  main: token request: not made"),
        "{said}"
    );
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_or_cannot_be_written_is_the_operators_to_mend() {
    let (main, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let copy = Redis::with(&["--replicaof", "127.0.0.1", &main.port.to_string()]).await;
    let nowhere = "token_store.url = \"redis://127.0.0.1:1\"".to_owned();

    for (keys, why) in [(nowhere, "no connection"), (copy.keys(), "read-only")] {
        let (code, said) = doctor(&zoho, &keys).await;
        let line = said
            .lines()
            .find(|line| line.starts_with("FAIL  main: token store: "));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        assert!(
            line.contains(why) && line.contains("The operator must act: "),
            "{line}"
        );
        assert_eq!(code, 1);
        assert!(
            said.contains("ok    main: token request: brought a token"),
            "{said}"
        );
    }
}
