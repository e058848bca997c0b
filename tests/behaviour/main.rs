//! What callers and operators can rely on, through real sockets. One module a promise.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where it stands, and has no tasks to lose"
)]

mod support;

mod accounts;
mod answers;
mod attempts;
mod audit;
mod callers;
mod configuration;
mod configuration_page;
mod credentials;
mod credits;
mod daily_calls;
mod doctor;
mod egress;
mod enroll;
mod examples;
// These two have folders of their own, and no binaries of their own, which would have to be linked too.
mod exporting;
#[path = "../failures/mod.rs"]
mod failures;
mod fairness;
mod inbound;
mod joining;
mod links;
mod load;
mod logs;
mod metrics;
mod observability;
mod process;
mod requests;
#[path = "../smuggling/mod.rs"]
mod smuggling;
mod status;
mod token_answers;
mod token_faults;
mod token_renewal;
mod transport;
mod upstream_bytes;
