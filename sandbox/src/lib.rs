//! A Zoho Bigin to try and test against, bad manners included.
//!
//! One [`Sandbox`] is an accounts server and an API in one process on a loopback address. It behaves as Zoho is
//! documented and known to behave, misbehaves on demand, and keeps a [`Ledger`] of what really happened, so that a test
//! can compare what a client was told with what was carried out.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};
//!
//! let zoho = Sandbox::start().await;
//! zoho.on_delete(When::Next(1), ApiFault::after(ApiFaultKind::Reset));
//! // … let a client work against `zoho.accounts_url()` and `zoho.api_url()` …
//! assert!(zoho.ledger().records_deleted.is_empty());
//! # });
//! ```
//!
//! # The life of a request, in reading order
//!
//! [`Sandbox`] opens sockets. `server` reads requests from connections and asks `accounts` (the token endpoint), `api`
//! (the deletions) or `control` (the interface of the sandbox itself) what to do. They work on the one `state`: settings,
//! tokens, limits, queued faults, the ledger. What comes back is a `wire::Delivery`: bytes, and how the connection goes
//! on after them. Faults are nothing but unusual deliveries.

mod sandbox;

mod server;

mod accounts;

mod api;

mod control;

mod state;

mod settings;

mod faults;

mod tokens;

mod limits;

mod in_flight;

mod ledger;

mod wire;

pub use faults::{ApiFault, ApiFaultKind, TokenFault, When};
pub use ledger::{Deletion, Ledger, SeenRequest, TokenLogEntry, TokenResult};
pub use sandbox::Sandbox;
pub use settings::{ApiDomain, MissingPhoto, Module, Settings};
/// The version of rustls whose `ServerConfig` [`Sandbox::bind_tls`] takes.
pub use tokio_rustls::rustls;
