//! The commands, and what their exit codes mean.

mod doctor;
mod enroll;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use anyhow::Context;
use clap::{Parser, Subcommand};
use zoho_sandbox::Sandbox;

use crate::app::{App, Ending};
use crate::config::{self, Config, ConfigErrors, Environment};
use crate::process;
use crate::shutdown::{self, Shutdown};
use crate::telemetry::audit::{self, Audit};
use crate::telemetry::{FLUSH_TIMEOUT, log};

/// Deletes profile photos in Zoho Bigin for callers that hold no Zoho credentials.
#[derive(Parser)]
#[command(version = crate::VERSION, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  ended as asked, every accepted request answered
  1  could not start, or failed while it ran; doctor: somebody must act
  2  the command line or the configuration is wrong
  3  ended as asked, but requests were cut: the drain took too long, or a second signal came";

#[derive(Subcommand)]
enum Command {
    /// Serve callers until SIGTERM or SIGINT.
    Serve {
        /// A TOML file; every key and its default: config/default.toml.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration and print what is in effect, without secrets.
    Check {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Examine what each account needs: names, connections, TLS, clocks, one token request. Deletes nothing.
    Doctor {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Turn a self client's grant code into a refresh token. The client's secret and the code are asked for; or standard
    /// input holds them, a line each.
    Enroll(Box<enroll::Enroll>),
    /// Try it out: a fake Zoho, and the proxy in front of it on 127.0.0.1:8080. Needs no account and no network.
    Sandbox,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As asked, every accepted request answered.
    Clean = 0,
    /// It could not start, or failed while it ran.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Misconfigured = 2,
    /// As asked, but requests were cut.
    Cut = 3,
}

/// Runs a command.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Serve { config } => with_config(&config, |config| serve(config, |_| Ok(()))),
        Command::Check { config } => {
            with_config(&config, |config| check(&config).unwrap_or_else(failed))
        }
        Command::Doctor { config } => with_config(&config, |config| {
            doctor::run(&config).unwrap_or_else(failed)
        }),
        Command::Enroll(enroll) => enroll::run(&enroll).unwrap_or_else(failed),
        Command::Sandbox => sandbox().unwrap_or_else(failed),
    }
}

fn with_config(path: &Path, command: impl FnOnce(Config) -> Exit) -> Exit {
    match config::load(path, &Environment::of_process()) {
        Ok(config) => command(config),
        Err(errors) => misconfigured(&errors),
    }
}

fn check(config: &Config) -> anyhow::Result<Exit> {
    print(config.effective.trim_end())?;
    for warning in &config.warnings {
        print(format_args!("# warning: {warning}"))?;
    }
    print(format_args!(
        "# note: upstream.max_in_flight is per replica: {} × replicas should fit into what Zoho takes at once (5 to 25)",
        config.upstream.max_in_flight
    ))?;
    Ok(Exit::Clean)
}

/// Serves until the end. `greet` is called when the sockets are open.
fn serve(config: Config, greet: impl FnOnce(&App) -> anyhow::Result<()>) -> Exit {
    let file = config.audit_path.as_deref().map(audit::open).transpose();
    let file = match file {
        Ok(file) => file,
        Err(error) => return misconfigured(&audit_unopened(&error)),
    };
    match serve_with(config, file, greet) {
        Ok(Ending::Clean) => Exit::Clean,
        Ok(Ending::Cut) => Exit::Cut,
        Err(error) => failed(error),
    }
}

fn serve_with(
    config: Config,
    audit: Option<File>,
    greet: impl FnOnce(&App) -> anyhow::Result<()>,
) -> anyhow::Result<Ending> {
    let log = log::start(&config.log)?;
    let audit = Audit::start(audit, config.log.format)?;
    process::keep_memory_private();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let ending = App::bind(config).and_then(|app| {
        greet(&app)?;
        let shutdown = Shutdown::default();
        app.run(&shutdown, &log, &audit, || {
            shutdown::on_signals(shutdown.clone())
        })
    });
    // First, because it may have something to complain of.
    audit.flush(FLUSH_TIMEOUT);
    log.flush(FLUSH_TIMEOUT);
    ending
}

fn audit_unopened(error: &io::Error) -> ConfigErrors {
    ConfigErrors(vec![format!("audit.path: cannot be opened: {error}")])
}

/// The proxy in front of a fake Zoho, both in this process.
fn sandbox() -> anyhow::Result<Exit> {
    let zoho = start_zoho()?;
    // The account is the fake one, even where the environment holds a real one's credentials.
    let environment = Environment::of_process().without_accounts();
    let config = match config::parse(&sandbox_config(&zoho), &environment) {
        Ok(config) => config,
        Err(errors) => return Ok(misconfigured(&errors)),
    };
    Ok(serve(config, |app| print(guide(&zoho, app))))
}

/// What to try. The log follows on the same output.
fn guide(zoho: &Sandbox, app: &App) -> String {
    format!(
        "A fake Zoho listens on {zoho}, and bigin-photo-proxy in front of it on {proxy}.

Delete a photo:
  curl -i -X DELETE http://{proxy}/bigin/v2/Contacts/2034020000000489033/photo
See what the proxy counted:
  curl http://{admin}/metrics
See what Zoho saw, and how to make it misbehave:
  curl {zoho}/__sandbox/ledger
  curl {zoho}/__sandbox/

Ctrl-C ends it. Below: the proxy's log.
",
        zoho = zoho.api_url(),
        proxy = app.address(),
        admin = app.admin_address(),
    )
}

fn sandbox_config(zoho: &Sandbox) -> String {
    let settings = zoho.settings();
    format!(
        "[server]
listen = \"127.0.0.1:8080\"
[admin]
listen = \"127.0.0.1:8081\"
[log]
format = \"text\"
[accounts.sandbox]
client_id = {:?}
client_secret = {:?}
refresh_token = {:?}
accounts_url = {:?}
api_url = {:?}
",
        settings.client_id,
        settings.client_secret,
        settings.refresh_token,
        zoho.accounts_url(),
        zoho.api_url(),
    )
}

/// A fake Zoho on a thread and a runtime of its own, until the process ends.
fn start_zoho() -> anyhow::Result<Sandbox> {
    let (sender, receiver) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("zoho-sandbox".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let started = Sandbox::bind(
                    ([127, 0, 0, 1], 0).into(),
                    zoho_sandbox::Settings::default(),
                )
                .await;
                // The other end waits for exactly this message.
                drop(sender.send(started));
                std::future::pending::<()>().await;
            });
        })?;
    receiver
        .recv()
        .context("the fake Zoho did not start")?
        .context("the fake Zoho cannot listen on 127.0.0.1")
}

fn misconfigured(errors: &ConfigErrors) -> Exit {
    complain(errors);
    Exit::Misconfigured
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn failed(error: anyhow::Error) -> Exit {
    complain(format_args!("bigin-photo-proxy: {error:#}"));
    Exit::Failed
}

/// Prints what a person asked for on the command line, and fails if it cannot be written.
fn print(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .context("standard output cannot be written")
}

/// Prints what a person must read although nothing is logged yet. If nobody can, the exit code still says it.
fn complain(text: impl Display) {
    drop(writeln!(io::stderr(), "{text}"));
}
