//! The stack of deploy/local fits together.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::manifests::{list, text};

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local"))
}

fn read(name: &str) -> Value {
    let yaml = fs::read_to_string(directory().join(name)).unwrap();
    serde_saphyr::from_str(&yaml).unwrap()
}

#[test]
fn the_program_accepts_the_configuration_of_the_local_stack() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bigin-photo-proxy"));
    command.args(["check", "--config", "config.toml"]);
    let output = command.env_clear().current_dir(directory()).output();
    let complaint = String::from_utf8(output.unwrap().stderr).unwrap();
    assert_eq!(complaint, "");
}

#[test]
fn the_local_stack_mounts_what_is_there_and_names_services_that_it_has() {
    let compose = read("compose.yaml");
    let services = compose["services"].as_object().unwrap();
    for service in services.values() {
        for volume in list(&service["volumes"]) {
            let (source, _) = text(volume).split_once(':').unwrap();
            // Dashboards and rules are mounted whether there are any or not.
            if !source.starts_with("../monitoring") {
                assert!(directory().join(source).exists(), "{source}");
            }
        }
    }
    let scraped = &read("prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"][0];
    let traces = &read("collector.yaml")["exporters"]["otlp"]["endpoint"];
    let config = fs::read_to_string(directory().join("config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let collector = config["telemetry"]["otlp_endpoint"].as_str().unwrap();
    let store = config["token_store"]["url"].as_str().unwrap();
    let sources = read("grafana/datasources/datasources.yaml");
    let sources = list(&sources["datasources"]).iter();
    let named = [text(scraped), text(traces), collector, store]
        .into_iter()
        .chain(sources.map(|source| text(&source["url"])));
    for address in named {
        let address = address.rsplit('/').next().unwrap();
        let (host, _) = address.split_once(':').unwrap();
        // One that is in the network of another has no name there.
        let service = services.get(host).unwrap_or_else(|| panic!("{host}"));
        assert!(service["network_mode"].is_null(), "{host}");
    }
}
