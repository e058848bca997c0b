//! What one object says of another is true, and probes and monitors ask for what the program has.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::manifests::{EVERYTHING, EXAMPLE, Manifests, PROXY, container, list, port, text};
use crate::replica::Replica;

#[test]
fn every_selector_selects_the_pods_of_one_deployment() {
    let manifests = Manifests::render(EVERYTHING);
    let of = |kind: &'static str, path: &'static str| {
        let objects = manifests.of_kind(kind);
        objects.map(move |object| object.pointer(path).unwrap_or_else(|| panic!("{object}")))
    };
    let selectors = of("Deployment", "/spec/selector/matchLabels")
        .chain(of("Service", "/spec/selector"))
        .chain(of("NetworkPolicy", "/spec/podSelector/matchLabels"))
        .chain(of("PodDisruptionBudget", "/spec/selector/matchLabels"));
    for selector in selectors {
        assert_eq!(manifests.selected(selector).count(), 1, "{selector}");
    }
    for pod in manifests.pods() {
        for spread in list(&pod["spec"]["topologySpreadConstraints"]) {
            let selector = &spread["labelSelector"]["matchLabels"];
            assert_eq!(manifests.selected(selector).collect::<Vec<_>>(), [pod]);
        }
    }
}

#[test]
fn every_pod_has_a_network_policy_for_both_directions() {
    let manifests = Manifests::render(EVERYTHING);
    let policies: Vec<_> = manifests.of_kind("NetworkPolicy").collect();
    assert_eq!(policies.len(), manifests.pods().count());
    for policy in policies {
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    }
}

#[test]
fn services_lead_to_ports_that_their_pods_have() {
    let manifests = Manifests::render(EVERYTHING);
    for service in manifests.of_kind("Service") {
        for pod in manifests.selected(&service["spec"]["selector"]) {
            for exposed in list(&service["spec"]["ports"]) {
                port(pod, text(&exposed["targetPort"]));
            }
        }
    }
}

#[test]
fn callers_cannot_reach_the_operators_listener() {
    let manifests = Manifests::render(EVERYTHING);
    let service = manifests.one("Service", PROXY);
    let targets = list(&service["spec"]["ports"])
        .iter()
        .map(|port| text(&port["targetPort"]));
    assert_eq!(targets.collect::<Vec<_>>(), ["http"]);
}

#[test]
fn only_labelled_callers_of_labelled_namespaces_come_in() {
    let manifests = Manifests::render(EXAMPLE);
    let policy = &manifests.one("NetworkPolicy", PROXY)["spec"];
    let caller = json!({ "matchLabels": { "bigin-photo-proxy/caller": "true" } });
    let expected = json!([{
        "from": [{ "namespaceSelector": caller, "podSelector": caller }],
        "ports": [{ "port": "http" }],
    }]);
    assert_eq!(policy["ingress"], expected);
}

#[test]
fn nothing_goes_out_but_names_https_the_store_and_the_collector() {
    let everything = BTreeSet::from([53, 443, 4318, 6379]);
    for (overlay, expected) in [
        (EXAMPLE, BTreeSet::from([53, 443])),
        (EVERYTHING, everything),
    ] {
        let manifests = Manifests::render(overlay);
        let rules = list(&manifests.one("NetworkPolicy", PROXY)["spec"]["egress"]);
        for rule in rules {
            assert!(!list(&rule["to"]).is_empty(), "{rule} leads everywhere");
        }
        let ports = rules.iter().flat_map(|rule| list(&rule["ports"]));
        let ports: BTreeSet<_> = ports.map(|port| port["port"].as_u64().unwrap()).collect();
        assert_eq!(ports, expected);
    }
}

#[test]
fn the_store_is_reached_under_its_name_and_by_the_proxy_alone() {
    let manifests = Manifests::render(EVERYTHING);
    let store = "bigin-photo-proxy-store";
    let service = &manifests.one("Service", store)["spec"]["ports"][0];
    let url = format!("redis://{store}:{}", service["port"]);
    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    let mut variables = list(&container(pod)["env"]).iter();
    assert!(variables.any(|variable| variable["value"] == *url));

    let policy = &manifests.one("NetworkPolicy", store)["spec"];
    assert!(policy["egress"].is_null());
    let from = &policy["ingress"][0]["from"];
    let callers = manifests.selected(&from[0]["podSelector"]["matchLabels"]);
    assert_eq!(callers.collect::<Vec<_>>(), [pod]);
    assert_eq!(list(from).len(), 1);
}

#[test]
fn probes_and_monitors_ask_for_pages_that_the_admin_listener_has() {
    let manifests = Manifests::render(EVERYTHING);
    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    let mut paths = Vec::new();
    for probe in ["livenessProbe", "readinessProbe"] {
        let asked = &container(pod)[probe]["httpGet"];
        assert_eq!(asked["port"], "admin");
        paths.push(text(&asked["path"]));
    }
    let monitor = &manifests.one("ServiceMonitor", PROXY)["spec"];
    let endpoint = &monitor["endpoints"][0];
    assert_eq!(*monitored_port(&manifests, monitor), endpoint["port"]);
    paths.push(text(&endpoint["path"]));

    let serving = Replica::of(&manifests).serve();
    assert_eq!(paths, ["/livez", "/readyz", "/metrics"]);
    let statuses = paths.iter().map(|path| status(&serving.admin, path));
    // Its accounts server is not there, so it is not ready yet.
    assert_eq!(statuses.collect::<Vec<_>>(), ["200", "503", "200"]);
}

#[test]
fn the_operators_rules_are_those_of_deploy_monitoring() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/monitoring");
    let mut files: Vec<_> = fs::read_dir(directory)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    let groups: Vec<_> = files
        .iter()
        .filter(|path| path.to_str().unwrap().contains("rules") && path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        // Tests of rules do not.
        .filter(|yaml| yaml.starts_with("groups:\n"))
        .flat_map(|yaml| {
            let rules: Value = serde_saphyr::from_str(&yaml).unwrap();
            list(&rules["groups"]).to_vec()
        })
        .collect();
    let manifests = Manifests::render(EVERYTHING);
    let deployed = manifests.of_kind("PrometheusRule");
    let deployed: Vec<_> = deployed
        .flat_map(|rule| list(&rule["spec"]["groups"]).to_vec())
        .collect();
    let advice =
        "run deploy/kubernetes/rules, and list prometheusrule.yaml in components/monitoring";
    assert_eq!(deployed, groups, "{advice}");
}

/// The port of the one Service that a `ServiceMonitor` selects.
fn monitored_port<'a>(manifests: &'a Manifests, monitor: &Value) -> &'a Value {
    let wanted = monitor["selector"]["matchLabels"].as_object().unwrap();
    let mut services = manifests.of_kind("Service").filter(|service| {
        let mut wanted = wanted.iter();
        wanted.all(|(key, value)| service["metadata"]["labels"][key] == *value)
    });
    let service = services.next().expect("a monitor selects a service");
    assert_eq!(services.next(), None);
    &service["spec"]["ports"][0]["name"]
}

/// The status with which a page is answered.
fn status(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}
