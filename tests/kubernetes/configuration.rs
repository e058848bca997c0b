//! What the manifests tell the program, it understands.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::manifests::{EVERYTHING, EXAMPLE, Manifests, PROXY, container, list, port, text};
use crate::replica::Replica;

#[test]
fn the_program_accepts_every_file_and_variable_that_its_pod_has() {
    for overlay in [EXAMPLE, EVERYTHING] {
        Replica::of(&Manifests::render(overlay)).checked();
    }
}

#[test]
fn it_listens_on_the_ports_that_the_pod_names() {
    let manifests = Manifests::render(EXAMPLE);
    let config = Replica::of(&manifests).checked();

    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    for (section, name) in [("server", "http"), ("admin", "admin")] {
        let listen = config[section]["listen"].as_str().unwrap();
        assert_eq!(listen, format!("0.0.0.0:{}", port(pod, name)));
    }
}

#[test]
fn the_dockerfile_is_what_the_pod_expects() {
    let dockerfile = include_str!("../../Dockerfile");
    let manifests = Manifests::render(EXAMPLE);
    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];

    let user = &pod["spec"]["securityContext"]["runAsUser"];
    assert!(dockerfile.contains(&format!("\nUSER {user}:{user}\n")));
    let ports = format!("{} {}", port(pod, "http"), port(pod, "admin"));
    assert!(dockerfile.contains(&format!("\nEXPOSE {ports}\n")));
    let config = text(&container(pod)["args"][2]);
    assert!(dockerfile.contains(&format!("\"{config}\"]")));
    let version = env!("CARGO_PKG_VERSION");
    assert!(dockerfile.contains(&format!("org.opencontainers.image.version=\"{version}\"")));
    assert!(text(&container(pod)["image"]).ends_with(&format!(":{version}")));
}

#[test]
fn variables_of_opentelemetry_are_ones_that_the_program_knows() {
    let manifests = Manifests::render(EVERYTHING);
    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    let names = list(&container(pod)["env"]).iter();
    let mut names: Vec<_> = names.map(|variable| text(&variable["name"])).collect();
    names.retain(|name| name.starts_with("OTEL_"));
    assert!(!names.is_empty());
    for name in names {
        // A misspelt one would be ignored without a word.
        let found = Command::new("grep")
            .args(["-qaF", name, env!("CARGO_BIN_EXE_bigin-photo-proxy")])
            .status();
        assert!(found.unwrap().success(), "{name}");
    }
}

#[test]
fn a_variable_is_named_before_another_one_uses_it() {
    let manifests = Manifests::render(EVERYTHING);
    for pod in manifests.pods() {
        let mut named = BTreeSet::new();
        for variable in list(&container(pod)["env"]) {
            for used in text(variable.get("value").unwrap_or(&"".into()))
                .split("$(")
                .skip(1)
            {
                let (used, _) = used.split_once(')').unwrap();
                assert!(named.contains(used), "{used} is not there yet");
            }
            named.insert(text(&variable["name"]).to_owned());
        }
    }
}

#[test]
fn the_secret_that_enroll_prints_and_the_external_one_have_the_keys_that_are_mounted() {
    // tests/behaviour/enroll.rs shows that it prints these.
    let printed = ["client_secret", "refresh_token"].map(str::to_owned).into();
    let manifests = Manifests::render(EVERYTHING);
    let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
    let mut volumes = list(&pod["spec"]["volumes"]).iter();
    let credentials = volumes.find(|volume| volume["name"] == "credentials");
    let secret = &credentials.unwrap()["secret"];
    assert_eq!(names(&secret["items"], "key"), printed);

    let external = &manifests.one("ExternalSecret", PROXY)["spec"];
    assert_eq!(external["target"]["name"], secret["secretName"]);
    assert_eq!(names(&external["data"], "secretKey"), printed);
}

fn names(items: &Value, key: &str) -> BTreeSet<String> {
    let items = list(items).iter();
    items.map(|item| text(&item[key]).to_owned()).collect()
}
