//! The program as a pod would run it: its variables, and its volumes in a directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::manifests::{Manifests, PROXY, container, list, text};

/// The files and variables of the proxy's pod. They go with the test.
pub(crate) struct Replica {
    root: PathBuf,
    config: PathBuf,
    variables: Vec<(String, String)>,
}

impl Replica {
    /// Lays out the volumes that the rendered objects mount. Secrets have made-up content, under the names that are mounted.
    pub(crate) fn of(manifests: &Manifests) -> Self {
        let pod = &manifests.one("Deployment", PROXY)["spec"]["template"];
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "replica-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        ));
        let mounts = list(&container(pod)["volumeMounts"]);
        for mount in mounts {
            let volume = list(&pod["spec"]["volumes"])
                .iter()
                .find(|volume| volume["name"] == mount["name"])
                .unwrap_or_else(|| panic!("{mount} mounts no volume"));
            let directory = root.join(text(&mount["mountPath"]).trim_start_matches('/'));
            fs::create_dir_all(&directory).unwrap();
            for (name, content) in files(manifests, volume) {
                fs::write(directory.join(name), content).unwrap();
            }
        }
        // What the pod finds at a mount's path is below the root here.
        let moved = |text: &str| {
            let mut text = text.to_owned();
            for mount in mounts {
                let path = mount["mountPath"].as_str().unwrap();
                text = text.replace(path, &format!("{}{path}", root.display()));
            }
            text
        };
        let arguments = list(&container(pod)["args"]);
        assert_eq!(arguments[0], "serve");
        assert_eq!(arguments[1], "--config");
        let config = PathBuf::from(moved(text(&arguments[2])));
        fs::write(&config, moved(&fs::read_to_string(&config).unwrap())).unwrap();
        let variables = list(&container(pod)["env"])
            .iter()
            .filter_map(|variable| {
                let value = moved(variable["value"].as_str()?);
                Some((text(&variable["name"]).to_owned(), value))
            })
            .collect();
        Self {
            root,
            config,
            variables,
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bigin-photo-proxy"));
        command.arg(name).arg("--config").arg(&self.config);
        command.env_clear().envs(self.variables.iter().cloned());
        command
    }

    /// What `check` says is in effect.
    pub(crate) fn checked(&self) -> toml::Table {
        let output = self.command("check").output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{complaint}");
        let effective = String::from_utf8(output.stdout).unwrap();
        assert!(!effective.contains("# warning"), "{effective}");
        effective.parse().unwrap()
    }

    /// The program itself, on any free ports, with an accounts server that is not there.
    pub(crate) fn serve(&self) -> Serving {
        const ELSEWHERE: [(&str, &str); 4] = [
            ("SERVER__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
            ("ACCOUNTS__MAIN__ACCOUNTS_URL", "http://127.0.0.1:1"),
            ("ACCOUNTS__MAIN__API_URL", "http://127.0.0.1:1"),
        ];
        let mut command = self.command("serve");
        for (key, value) in ELSEWHERE {
            command.env(format!("BIGIN_PHOTO_PROXY__{key}"), value);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let admin = lines.map(|line| line.unwrap()).find_map(|line| {
            let line: Value = serde_json::from_str(&line).unwrap();
            (line["message"] == "serving").then(|| text(&line["admin"]).to_owned())
        });
        Serving {
            admin: admin.expect("it serves"),
            child,
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.root));
    }
}

/// The names and contents of what a volume shows.
fn files(manifests: &Manifests, volume: &Value) -> Vec<(String, String)> {
    if let Some(name) = volume["configMap"]["name"].as_str() {
        let data = &manifests.one("ConfigMap", name)["data"];
        let data = data.as_object().unwrap();
        let entry = |(name, content): (&String, &Value)| (name.clone(), text(content).to_owned());
        return data.iter().map(entry).collect();
    }
    let items = list(&volume["secret"]["items"]);
    assert!(!items.is_empty(), "{volume} shows no secret");
    let content = |item: &Value| (text(&item["path"]).to_owned(), "made-up".to_owned());
    items.iter().map(content).collect()
}

/// A program that serves, until it is dropped.
pub(crate) struct Serving {
    /// Where the operators' listener is.
    pub(crate) admin: String,
    child: Child,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
