//! Secret files as Kubernetes mounts them.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use zoho_sandbox::Sandbox;

use super::config_for;

/// A directory of secrets: each name leads through `..data` into the directory that is in effect. It is removed with the test.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts these files, each with its content.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let name = format!("mounted-secrets-{:016x}", fastrand::u64(..));
        let mounted = Self(std::env::temp_dir().join(name));
        std::fs::create_dir(&mounted.0).unwrap();
        mounted.swap(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), mounted.path(name)).unwrap();
        }
        mounted
    }

    /// Puts these files in the place of all that are there, at once.
    pub(crate) fn swap(&self, files: &[(&str, &str)]) {
        let version = format!("..version-{:016x}", fastrand::u64(..));
        std::fs::create_dir(self.path(&version)).unwrap();
        for (name, content) in files {
            std::fs::write(self.path(&version).join(name), content).unwrap();
        }
        symlink(version, self.path("..data_tmp")).unwrap();
        std::fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A configuration for `zoho` whose account finds its credentials in these files.
    pub(crate) fn config(
        &self,
        zoho: &Sandbox,
        keys: &str,
        client_secrets: &[&str],
        refresh_tokens: &[&str],
    ) -> String {
        let settings = zoho.settings();
        let list = |names: &[&str]| names.iter().map(|name| self.path(name)).collect::<Vec<_>>();
        let inline = |key, value| format!("{key} = {value:?}\n");
        let files = |key, names| format!("{key}_file = {:?}\n", list(names));
        config_for(zoho, keys)
            .replace(
                &inline("client_secret", settings.client_secret),
                &files("client_secret", client_secrets),
            )
            .replace(
                &inline("refresh_token", settings.refresh_token),
                &files("refresh_token", refresh_tokens),
            )
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
