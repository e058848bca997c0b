//! Stores that answer, and are of no use: full, broken, without rights, of an unknown authority, with a name that nobody
//! knows. A replica starts without them, says why, and no caller waits for them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fleet::{Replica, config, ready, zoho_with};
use crate::load::Load;
use crate::redis_server::Redis;
use crate::support::eventually;

const COMMANDS: &str = "bigin_token_store_commands_total";

/// A replica with such a store has a token of its own within seconds, says why, and no caller notices.
pub(crate) async fn goes_on_alone(keys: &str, cause: &str) {
    let zoho = zoho_with(|_| {}).await;
    let replicas = ready(1, &config(&zoho, keys)).await;
    let message = "the token store does not answer; this replica goes on alone";
    let line = replicas[0].line(message).await;
    assert!(line["cause"].as_str().unwrap().contains(cause), "{line}");
    assert_eq!(line["level"], "WARN");

    let load = Load::on(&replicas, Duration::from_millis(2));
    let tried = replicas[0].metric(COMMANDS, &[]).await;
    eventually("it tries the store again", async || {
        replicas[0].metric(COMMANDS, &[]).await > tried + 1.0
    })
    .await;
    load.end_unharmed().await;
    assert_eq!(replicas[0].metric(COMMANDS, &["result=\"ok\""]).await, 0.0);
    assert_eq!(zoho.ledger().token_requests, 1);
}

/// A server that answers the scripts with this, and whatever else with what is usual.
async fn answering(script: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "token_store.url = \"redis://{}\"",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = stream.read(&mut request).await {
                    let text = String::from_utf8_lossy(&request[..count]).into_owned();
                    // Commands are arrays; the greeting comes as several at once.
                    let commands = text.matches("\r\n*").count() + 1;
                    let answer = if text.contains("EVALSHA") {
                        script.to_owned()
                    } else if text.contains("PING") {
                        "+PONG\r\n".to_owned()
                    } else {
                        "+OK\r\n".repeat(commands)
                    };
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_memory_is_full_serves_the_fleet_all_the_same() {
    let (redis, zoho) = (
        Redis::with(&["--maxmemory", "1"]).await,
        zoho_with(|_| {}).await,
    );
    let mut replicas = ready(3, &config(&zoho, &redis.keys())).await;
    assert_eq!(replicas[0].delete(1).await.outcome(), "deleted");
    zoho.revoke_tokens();
    assert_eq!(replicas[0].delete(2).await.outcome(), "deleted");

    replicas.extend(ready(3, &config(&zoho, &redis.keys())).await);
    for replica in &replicas {
        eventually("it has the new token", async || {
            replica.delete(3).await.outcome() == "deleted"
        })
        .await;
    }

    assert_eq!(zoho.ledger().token_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_is_told_as_such_and_not_used() {
    let redis = Redis::with(&["--cluster-enabled", "yes"]).await;
    goes_on_alone(&redis.keys(), "a node of a cluster").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_replica_is_told_as_such_and_not_used() {
    let main = Redis::start().await;
    let redis = Redis::with(&["--replicaof", "127.0.0.1", &main.port.to_string()]).await;
    goes_on_alone(&redis.keys(), "a read-only replica").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_as_such() {
    let redis = Redis::with(&["--requirepass", "another"]).await;
    goes_on_alone(
        &redis.keys(),
        "refuses the user, the password or the command",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_is_told_as_such_and_not_used() {
    // It may greet and read, and run no script.
    let user = [
        "--user", "default", "on", "nopass", "~*", "+@read", "+ping", "+client", "+select",
    ];
    let redis = Redis::with(&user).await;
    goes_on_alone(&redis.keys(), "refuses the user").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_knows_keeps_no_replica_from_starting() {
    goes_on_alone(
        "token_store.url = \"redis://store.invalid\"",
        "cannot be resolved",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_tls_is_not_used_when_tls_is_asked_for() {
    let redis = Redis::start().await;
    let keys = redis.keys().replace("redis://", "rediss://");
    goes_on_alone(&keys, "no connection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_sends_elsewhere_is_not_followed() {
    for answer in ["-MOVED 1 127.0.0.1:1\r\n", "-ASK 1 127.0.0.1:1\r\n"] {
        goes_on_alone(&answering(answer).await, "a node of a cluster").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_nonsense_are_no_answers() {
    let cases = [
        ("-LOADING Redis is loading\r\n", "an error"),
        ("-MISCONF cannot save\r\n", "an error"),
        ("-ERR whatever\r\n", "an error"),
        ("$-1\r\n", "no sense"),
        ("*0\r\n", "no sense"),
        ("*2\r\n:-1\r\n$4\r\nmine\r\n", "no sense"),
        ("*2\r\n:9223372036854775807\r\n$4\r\nmine\r\n", "no sense"),
        ("!!!\r\n", "broke"),
    ];
    let tried = cases.map(async |(answer, cause)| {
        goes_on_alone(&answering(answer).await, cause).await;
    });
    futures_util::future::join_all(tried).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_makes_a_replica_wait_for_longer_than_the_fleets_rules() {
    // A lease for all time: it is believed for as long as a lease lasts, which is 2.1 s here.
    let keys = answering("*3\r\n:1000\r\n$4\r\nbusy\r\n:9223372036854775807\r\n").await;
    let zoho = zoho_with(|_| {}).await;
    let config = config(
        &zoho,
        &format!("token.timeout = \"100ms\"\ntoken.budget_window = \"1s\"\n{keys}"),
    );
    let replica = Replica::start(&config);
    eventually("it has asked", async || {
        replica.metric(COMMANDS, &["result=\"ok\""]).await >= 3.0
    })
    .await;
    let reply = replica.admin("/livez").await;
    assert_eq!(reply.status, 200);
    assert_eq!(replica.metric("bigin_panics_total", &[]).await, 0.0);

    // Used up for all time: for a window, and then it is asked again.
    let keys = answering("*3\r\n:1000\r\n$5\r\nspent\r\n:9223372036854775807\r\n").await;
    let config = crate::fleet::config(&zoho, &format!("token.budget_window = \"500ms\"\n{keys}"));
    let replica = Replica::start(&config);
    let takes = ["command=\"take\"", "result=\"ok\""];
    eventually("it has asked again", async || {
        replica.metric(COMMANDS, &takes).await >= 3.0
    })
    .await;
    assert_eq!(replica.metric("bigin_panics_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fleets_with_different_secrets_share_a_prefix_and_nothing_else() {
    let redis = Redis::start().await;
    let (one, other) = (zoho_with(|_| {}).await, zoho_with(|_| {}).await);
    other.change(|settings| {
        settings.client_secret = "another-secret".to_owned();
        settings.refresh_token = "1000.another-token".to_owned();
    });
    let ours = ready(3, &config(&one, &redis.keys())).await;
    let theirs = ready(3, &config(&other, &redis.keys())).await;

    for (replicas, zoho) in [(&ours, &one), (&theirs, &other)] {
        for replica in replicas {
            assert_eq!(replica.delete(1).await.outcome(), "deleted");
            let tampered = replica
                .metric("bigin_token_store_tampered_total", &[])
                .await;
            assert_eq!(tampered, 0.0);
        }
        let ledger = zoho.ledger();
        assert_eq!((ledger.token_requests, ledger.refused_for_token), (1, 0));
    }
    assert_eq!(redis.keys_like(":token").await.len(), 2);
    assert_eq!(redis.keys_like(":spent").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_may_be_as_long_as_the_configuration_allows() {
    let (redis, zoho) = (Redis::start().await, zoho_with(|_| {}).await);
    let prefix = "x".repeat(128);
    let keys = format!("token_store.key_prefix = {prefix:?}\n{}", redis.keys());

    let replicas = ready(2, &config(&zoho, &keys)).await;

    assert_eq!(replicas[1].delete(1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 1);
    assert!(
        redis
            .keys_like("*")
            .await
            .iter()
            .all(|key| key.starts_with(&prefix))
    );
}
