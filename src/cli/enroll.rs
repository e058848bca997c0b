//! The command that turns a self client's grant code into a refresh token.
//!
//! A code can be used once and for some minutes, so whatever can fail here is tried before it is sent. Invariants: a secret
//! comes by prompt or standard input, never by the command line; it goes into files for their owner alone or into the
//! manifest, never into a message.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgGroup, Args};
use rustls::RootCertStore;

use super::{Exit, complain, print};
use crate::config::{self, ForwardProxy, Secret};
use crate::token::{self, Enrolled, Failure};
use crate::upstream;
use crate::zoho::{DataCenter, Origin, ScopeCheck};

/// How long the exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The command's arguments.
#[derive(Args)]
#[command(group = ArgGroup::new("from").required(true).args(["data_center", "accounts_url"]))]
#[command(group = ArgGroup::new("to").required(true).args(["directory", "kubernetes_secret"]))]
pub(super) struct Enroll {
    /// Where the organisation lives: us, eu, au, in, cn, jp, sa or ca.
    #[arg(long, value_name = "NAME", value_parser = data_center)]
    data_center: Option<DataCenter>,
    /// Where its tokens are issued, instead of a data center.
    #[arg(long, value_name = "URL", value_parser = Origin::parse)]
    accounts_url: Option<Origin>,
    /// The self client's id.
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// Write the files `client_secret` and `refresh_token` into this directory, for their owner alone.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print the manifest of a Kubernetes Secret of this name.
    #[arg(long, value_name = "NAME", value_parser = kubernetes_name)]
    kubernetes_secret: Option<String>,
    /// The HTTP proxy on the way, where a network lets nothing out directly. It must not ask for a password.
    #[arg(long, value_name = "URL", value_parser = ForwardProxy::at)]
    proxy: Option<ForwardProxy>,
    /// Further certificate authorities to trust, in PEM.
    #[arg(long, value_name = "FILE", value_parser = authorities)]
    ca_file: Option<RootCertStore>,
}

fn data_center(name: &str) -> Result<DataCenter, String> {
    DataCenter::named(name).ok_or_else(|| {
        let names = DataCenter::ALL.map(|center| center.name).join(", ");
        format!("must be one of {names}; for others give --accounts-url")
    })
}

fn authorities(path: &str) -> Result<RootCertStore, String> {
    config::load_authorities(Path::new(path))
}

/// A DNS subdomain name, as Kubernetes wants it, so that it can stand in YAML as it is.
fn kubernetes_name(name: &str) -> Result<String, &'static str> {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (1..=253).contains(&name.len()) && name.bytes().all(is_part) {
        Ok(name.to_owned())
    } else {
        Err("must be the name of an object: a-z, 0-9, `-` and `.`")
    }
}

/// Runs the command.
pub(super) fn run(enroll: &Enroll) -> anyhow::Result<Exit> {
    let files = enroll.directory.as_deref().map(Files::open).transpose()?;
    let client_secret = ask("Client secret: ")?;
    let code = ask("Grant code: ")?;
    let enrolled = exchange(enroll, &client_secret, &code)?
        .map_err(|failure| anyhow::anyhow!("{failure}{}", advice(&failure)))?;
    if let Some(files) = files {
        files.fill(&client_secret, &enrolled.refresh_token)?;
    }
    if let Some(name) = &enroll.kubernetes_secret {
        print(manifest(name, &client_secret, &enrolled.refresh_token))?;
    }
    for remark in remarks(&enrolled) {
        complain(remark);
    }
    Ok(Exit::Clean)
}

/// Asks a person without showing what is typed, or reads a line of standard input.
fn ask(prompt: &str) -> anyhow::Result<Secret> {
    let text = if io::stdin().is_terminal() {
        rpassword::prompt_password(prompt)
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    let text = text.with_context(|| format!("{prompt}cannot be read"))?;
    Secret::parse(&text).map_err(|problem| anyhow::anyhow!("{prompt}{problem}"))
}

fn exchange(
    enroll: &Enroll,
    client_secret: &Secret,
    code: &Secret,
) -> anyhow::Result<Result<Enrolled, Failure>> {
    let of_center = enroll
        .data_center
        .map(|center| Origin::parse(center.accounts_url));
    let accounts = of_center
        .transpose()?
        .or_else(|| enroll.accounts_url.clone());
    let accounts = accounts.context("a data center or a URL is required")?;
    let none = RootCertStore::empty();
    let further = enroll.ca_file.as_ref().unwrap_or(&none);
    let tls = upstream::tls_config(further, accounts.is_tls())?;
    let http = token::http_client_through(&tls, enroll.proxy.as_ref(), TIMEOUT)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let exchange = token::enroll(&accounts, &enroll.client_id, client_secret, code, http);
    Ok(runtime.block_on(exchange))
}

/// What to do about a failure.
fn advice(failure: &Failure) -> &'static str {
    match failure {
        Failure::Refused("invalid_code") => {
            "\nThe code is wrong, has been used, or is too old: generate another one, and be quicker."
        }
        Failure::Refused(_) => {
            "\nIs the client id right, the secret its own, and the data center the client's? Codes can be used once: \
             generate another one."
        }
        Failure::Throttled(_) => "\nWait ten minutes, and generate another code.",
        Failure::Unreached(_) => "\nNothing was sent: the code is still good for its few minutes.",
        Failure::Transient(_) => {
            "\nPerhaps the code is used up: if it is refused now, generate another one."
        }
    }
}

/// What there is to say about the scopes and the address that came with the token.
fn remarks(enrolled: &Enrolled) -> Vec<String> {
    let Some(scopes) = &enrolled.scopes else {
        return vec!["Zoho did not say which scopes the token has.".to_owned()];
    };
    let check = ScopeCheck::of(scopes);
    let missing = check.missing.into_iter().map(|scope| {
        format!("Warning: the scope {scope} is missing. Zoho will refuse deletions in this module.")
    });
    let needless = check.needless.into_iter().map(|scope| {
        format!("Warning: the scope {scope} is more than is needed. The fewer, the less harm if the token is stolen.")
    });
    missing.chain(needless).collect()
}

/// The manifest that `kubectl apply -f -` takes.
fn manifest(name: &str, client_secret: &Secret, refresh_token: &Secret) -> String {
    let [client_secret, refresh_token] =
        [client_secret, refresh_token].map(|secret| STANDARD.encode(secret.expose()));
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ntype: Opaque\ndata:\n  \
         client_secret: {client_secret}\n  refresh_token: {refresh_token}"
    )
}

/// The files that the secrets go into, open and still empty. If they stay so, they are removed.
struct Files {
    client_secret: (File, PathBuf),
    refresh_token: (File, PathBuf),
    are_filled: bool,
}

impl Files {
    /// Makes the files. Neither may be there: what it holds may be in use.
    fn open(directory: &Path) -> anyhow::Result<Self> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.with_context(|| format!("{}: cannot be made", directory.display()))?;
        let open = |name| {
            let path = directory.join(name);
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(&path);
            let file = file.with_context(|| format!("{}: cannot be made", path.display()))?;
            anyhow::Ok((file, path))
        };
        let client_secret = open("client_secret")?;
        let refresh_token =
            open("refresh_token").inspect_err(|_| drop(fs::remove_file(&client_secret.1)))?;
        Ok(Self {
            client_secret,
            refresh_token,
            are_filled: false,
        })
    }

    fn fill(mut self, client_secret: &Secret, refresh_token: &Secret) -> anyhow::Result<()> {
        let filling = [
            (&mut self.client_secret, client_secret),
            (&mut self.refresh_token, refresh_token),
        ];
        for ((file, path), secret) in filling {
            let written = file
                .write_all(secret.expose().as_bytes())
                .and_then(|()| file.sync_all());
            written.with_context(|| format!("{}: cannot be written", path.display()))?;
        }
        self.are_filled = true;
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.are_filled {
            for (_, path) in [&self.client_secret, &self.refresh_token] {
                drop(fs::remove_file(path));
            }
        }
    }
}
