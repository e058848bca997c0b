//! The objects of a kustomization.

use std::process::Command;

use serde_json::Value;

/// What operators copy.
pub(crate) const EXAMPLE: &str = "deploy/kubernetes/overlays/example";

/// The same with every component.
pub(crate) const EVERYTHING: &str = "tests/kubernetes/everything";

/// The name of what runs the proxy.
pub(crate) const PROXY: &str = "bigin-photo-proxy";

/// Objects, as they would be applied.
pub(crate) struct Manifests(Vec<Value>);

impl Manifests {
    /// What `kubectl kustomize` makes of this directory.
    pub(crate) fn render(directory: &str) -> Self {
        let rendered = Command::new("kubectl")
            .args(["kustomize", directory])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("kubectl is there: tests/run installs it");
        let complaint = String::from_utf8(rendered.stderr).unwrap();
        assert!(rendered.status.success(), "{complaint}");
        let yaml = String::from_utf8(rendered.stdout).unwrap();
        Self(serde_saphyr::from_multiple(&yaml).unwrap())
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The one of this kind and name.
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let found = self
            .of_kind(kind)
            .find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// The pods that the Deployments make.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Value> {
        self.of_kind("Deployment")
            .map(|deployment| &deployment["spec"]["template"])
    }

    /// Those of them that these labels select.
    pub(crate) fn selected(&self, labels: &Value) -> impl Iterator<Item = &Value> {
        let labels = labels.as_object().expect("a selector names labels");
        self.pods().filter(move |pod| {
            let mut wanted = labels.iter();
            wanted.all(|(key, value)| pod["metadata"]["labels"][key] == *value)
        })
    }
}

/// The items of a list, or none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The only container of a pod.
pub(crate) fn container(pod: &Value) -> &Value {
    let containers = list(&pod["spec"]["containers"]);
    assert_eq!(containers.len(), 1, "{containers:#?}");
    &containers[0]
}

/// The number of a container's port with this name.
pub(crate) fn port(pod: &Value, name: &str) -> u64 {
    let mut ports = list(&container(pod)["ports"]).iter();
    let found = ports.find(|port| port["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no container has a port {name}"));
    found["containerPort"].as_u64().unwrap()
}

/// A quantity of memory or processors: MiB, or thousandths.
pub(crate) fn quantity(value: &Value) -> u64 {
    let value = text(value);
    if let Some(number) = value.strip_suffix("Mi").or_else(|| value.strip_suffix('m')) {
        return number.parse().unwrap();
    }
    1000 * value.parse::<u64>().unwrap()
}
