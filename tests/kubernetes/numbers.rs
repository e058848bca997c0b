//! Numbers that stand in different places and must fit together.

use std::time::Duration;

use bigin_photo_proxy::telemetry::FLUSH_TIMEOUT;
use serde_json::json;

use crate::manifests::{EVERYTHING, EXAMPLE, Manifests, PROXY, container, list, quantity};
use crate::replica::Replica;

/// Calls at once that Zoho takes from one organisation: 5 to 25, by edition
/// (<https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>; Bigin's own number is not published). What one replica
/// makes by default.
const CALLS_AT_ONCE: u64 = 10;

/// What a replica needs at rest, and for a connection of an attacker (deploy/README.md).
const MIB_AT_REST: u64 = 10;
const KIB_A_CONNECTION: u64 = 30;

fn duration(config: &toml::Table, key: &str) -> Duration {
    humantime::parse_duration(config["server"][key].as_str().unwrap()).unwrap()
}

fn number(config: &toml::Table, section: &str, key: &str) -> u64 {
    let number = config[section][key].as_integer().unwrap();
    number.try_into().unwrap()
}

#[test]
fn a_drain_fits_into_the_grace_period() {
    let manifests = Manifests::render(EXAMPLE);
    let config = Replica::of(&manifests).checked();

    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"]["spec"];
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    // Telemetry, the audit and the log are flushed one after the other.
    let drain = duration(&config, "drain_delay") + duration(&config, "drain_timeout");
    assert!(drain + 3 * FLUSH_TIMEOUT < Duration::from_secs(grace));
}

#[test]
fn an_attack_that_takes_all_connections_fits_into_the_memory() {
    let manifests = Manifests::render(EXAMPLE);
    let config = Replica::of(&manifests).checked();

    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    let memory = quantity(&container(pod)["resources"]["limits"]["memory"]);
    let connections = number(&config, "server", "max_connections");
    assert!(MIB_AT_REST + connections * KIB_A_CONNECTION / 1024 < memory);
}

#[test]
fn a_data_path_thread_has_a_processor_of_its_own() {
    let manifests = Manifests::render(EXAMPLE);
    let config = Replica::of(&manifests).checked();

    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    let limit = quantity(&container(pod)["resources"]["limits"]["cpu"]);
    assert_eq!(limit, 1000 * number(&config, "server", "threads"));
}

#[test]
fn all_replicas_together_make_no_more_calls_than_zoho_takes() {
    let manifests = Manifests::render(EXAMPLE);
    let config = Replica::of(&manifests).checked();

    let most = most_replicas(&manifests) + surge(&manifests);
    assert!(most * number(&config, "upstream", "max_in_flight") <= CALLS_AT_ONCE);
}

#[test]
fn a_rollout_without_a_store_stays_within_the_token_limits() {
    let manifests = Manifests::render(EXAMPLE);
    let config = Replica::of(&manifests).checked();

    // Each replica has a token, and so has each that replaces it.
    assert!(2 * most_replicas(&manifests) <= number(&config, "token", "budget"));
}

#[test]
fn a_rollout_never_has_fewer_replicas_than_are_wanted() {
    let manifests = Manifests::render(EXAMPLE);
    let strategy = &manifests.one("Deployment", PROXY)["spec"]["strategy"];
    assert_eq!(strategy["rollingUpdate"]["maxUnavailable"], 0);
    assert_eq!(surge(&manifests), 1);
    let least = &manifests.one("HorizontalPodAutoscaler", PROXY)["spec"]["minReplicas"];
    let disruptions = &manifests.one("PodDisruptionBudget", PROXY)["spec"]["maxUnavailable"];
    assert!(disruptions.as_u64().unwrap() < least.as_u64().unwrap());
}

#[test]
fn replicas_follow_the_processor_alone() {
    let manifests = Manifests::render(EXAMPLE);
    let scaler = &manifests.one("HorizontalPodAutoscaler", PROXY)["spec"];
    let metrics = list(&scaler["metrics"]);
    assert_eq!(metrics.len(), 1);
    assert_eq!(metrics[0]["resource"]["name"], "cpu");
    let deployment = manifests.one("Deployment", PROXY);
    assert!(deployment["spec"]["replicas"].is_null(), "two would decide");
}

#[test]
fn every_pod_says_what_it_needs_and_its_memory_is_its_own() {
    for pod in Manifests::render(EVERYTHING).pods() {
        let resources = &container(pod)["resources"];
        assert!(quantity(&resources["requests"]["cpu"]) <= quantity(&resources["limits"]["cpu"]));
        assert_eq!(
            resources["requests"]["memory"],
            resources["limits"]["memory"]
        );
    }
}

#[test]
fn names_with_a_dot_are_asked_for_as_they_are() {
    let manifests = Manifests::render(EXAMPLE);
    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"]["spec"];
    let options = &pod["dnsConfig"]["options"];
    assert_eq!(options, &json!([{ "name": "ndots", "value": "1" }]));
}

fn most_replicas(manifests: &Manifests) -> u64 {
    let scaler = manifests.one("HorizontalPodAutoscaler", PROXY);
    scaler["spec"]["maxReplicas"].as_u64().unwrap()
}

fn surge(manifests: &Manifests) -> u64 {
    let strategy = &manifests.one("Deployment", PROXY)["spec"]["strategy"];
    strategy["rollingUpdate"]["maxSurge"].as_u64().unwrap()
}
