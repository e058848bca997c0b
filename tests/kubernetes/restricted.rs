//! The profile for restricted pods (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>), and what it
//! leaves out.

use serde_json::json;

use crate::manifests::{EVERYTHING, EXAMPLE, Manifests, container, list, text};

#[test]
fn every_pod_keeps_the_restricted_profile() {
    for pod in Manifests::render(EVERYTHING).pods() {
        let spec = &pod["spec"];
        for shared in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(spec[shared].is_null());
        }
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        for volume in list(&spec["volumes"]) {
            let kinds = volume.as_object().unwrap().keys();
            for kind in kinds.filter(|kind| *kind != "name") {
                assert!(["configMap", "secret"].contains(&kind.as_str()), "{volume}");
            }
        }
        let security = &container(pod)["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"], json!({ "drop": ["ALL"] }));
        for weakened in ["privileged", "procMount", "runAsUser", "seccompProfile"] {
            assert!(security[weakened].is_null());
        }
        for port in list(&container(pod)["ports"]) {
            assert!(port["hostPort"].is_null());
        }
    }
}

#[test]
fn every_pod_is_a_numeric_user_with_a_root_that_cannot_be_written() {
    for pod in Manifests::render(EVERYTHING).pods() {
        let security = &pod["spec"]["securityContext"];
        for id in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert!(security[id].as_u64().unwrap() >= 10_000, "{id}");
        }
        assert_eq!(
            container(pod)["securityContext"]["readOnlyRootFilesystem"],
            true
        );
    }
}

#[test]
fn no_pod_has_a_token_for_kubernetes_or_learns_of_other_services() {
    let manifests = Manifests::render(EVERYTHING);
    for pod in manifests.pods() {
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
        assert_eq!(pod["spec"]["enableServiceLinks"], false);
    }
    for account in manifests.of_kind("ServiceAccount") {
        assert_eq!(account["automountServiceAccountToken"], false);
    }
    for role in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
        assert_eq!(manifests.of_kind(role).count(), 0);
    }
}

#[test]
fn the_namespace_takes_restricted_pods_alone() {
    let manifests = Manifests::render(EXAMPLE);
    let namespace = manifests.one("Namespace", "bigin-photo-proxy");
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    for pod in manifests.of_kind("Deployment") {
        assert_eq!(
            pod["metadata"]["namespace"],
            text(&namespace["metadata"]["name"])
        );
    }
}

#[test]
fn secrets_are_files_of_a_directory_that_follows_them() {
    for pod in Manifests::render(EVERYTHING).pods() {
        for mount in list(&container(pod)["volumeMounts"]) {
            assert_eq!(mount["readOnly"], true, "{mount}");
            assert!(mount["subPath"].is_null(), "{mount} is never updated");
        }
        for variable in list(&container(pod)["env"]) {
            assert!(
                variable["valueFrom"]["secretKeyRef"].is_null(),
                "{variable}"
            );
        }
        assert!(container(pod)["envFrom"].is_null());
    }
}
