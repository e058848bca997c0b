//! The sandbox as a program: for a CI, and for trying things by hand.

use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use zoho_sandbox::{Sandbox, Settings};

/// A Zoho Bigin to try and test against, bad manners included.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The address to listen on; only loopback ones are taken.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Settings as JSON; only the keys that differ from the defaults.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<()> {
    let settings = match &arguments.settings {
        Some(file) => load_settings(file).map_err(|error| named(&error, file.display()))?,
        None => Settings::default(),
    };
    // Before the greeting, because whoever reads it may send a signal at once.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let sandbox = Sandbox::bind(arguments.listen, settings).await;
    let sandbox = sandbox.map_err(|error| named(&error, arguments.listen))?;
    io::stdout().write_all(greeting(&sandbox).as_bytes())?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}

fn load_settings(file: &Path) -> io::Result<Settings> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

#[expect(clippy::print_stderr, reason = "a person at a terminal has to read it")]
fn complain(error: &io::Error) {
    eprintln!("zoho-sandbox: {error}");
}

/// An error that says what it is about.
fn named(error: &io::Error, subject: impl Display) -> io::Error {
    io::Error::new(error.kind(), format!("{subject}: {error}"))
}

/// What a person needs to go on: addresses, the made-up credentials, two commands to paste.
fn greeting(sandbox: &Sandbox) -> String {
    let settings = sandbox.settings();
    let (accounts, api) = (sandbox.accounts_url(), sandbox.api_url());
    let Settings {
        client_id,
        client_secret,
        refresh_token,
        ..
    } = &settings;
    format!(
        "accounts server  {accounts}\n\
         API              {api}\n\
         client id        {client_id}\n\
         client secret    {client_secret}\n\
         refresh token    {refresh_token}\n\n\
         An access token:\n  \
         curl {accounts}/oauth/v2/token -d grant_type=refresh_token -d client_id={client_id} \
         -d client_secret={client_secret} -d refresh_token={refresh_token}\n\n\
         A deletion:\n  \
         curl -X DELETE {api}/bigin/v2/Contacts/2034020000000489033/photo -H 'Authorization: Zoho-oauthtoken …'\n\n\
         Faults, settings, and what really happened:\n  \
         curl {api}/__sandbox/\n"
    )
}
