//! Deletes profile photos in Zoho Bigin for callers that hold no Zoho credentials.
//!
//! # The life of a request
//!
//! A request walks down this list of modules, once, and comes back up; `use` points down only.
//!
//! 1. [`server`] accepts the connection, bounds it, and lets hyper read the head.
//! 2. [`http`] checks what HTTP demands, gives the request an id, and makes a [`target`] of its path: an account, a module,
//!    a number. Nothing of the caller's text gets past here.
//! 3. [`proxy`] is the story: token, place, call; perhaps one more call; verdict. Those who must wait for the same
//!    deletion share one call.
//! 4. [`token`] has the access token at hand. A keeper on another runtime renews it in the background, or takes the one that
//!    another replica has got; no request waits while a usable one exists.
//! 5. [`upstream`] takes a place among the calls in flight, takes a pooled connection, sends the one canonical request,
//!    reads the whole answer and classifies it.
//! 6. Back in [`http`], Zoho's answer passes with status and body unchanged, or a row of the error table is written; and
//!    [`telemetry`] hears once about all of it.
//!
//! # Threads
//!
//! Each data-path thread has a runtime, a listener and connection pools of its own; one that has more connections than
//! another hands new ones over. Tokens, gates and telemetry are shared. Keepers, the [`admin`] listener and exporters live on the control runtime. [`app`] is the one place where
//! the parts meet; [`shutdown`] takes them apart again.

pub mod cli;

pub mod app;

pub mod server;

pub mod http;

pub mod proxy;

pub mod token;

pub mod upstream;

pub mod admin;

pub mod telemetry;

pub mod target;

pub mod caller;

pub mod account;

pub mod outcome;

pub mod zoho;

pub mod config;

pub mod shutdown;

pub mod process;

/// The commit that the program is built from, or `unknown`.
pub const COMMIT: &str = env!("COMMIT");

/// Version, commit, and build date if it is known.
pub const VERSION: &str = env!("VERSION");
