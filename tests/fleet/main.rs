//! Many replicas and one store: real processes, a real Redis, and a sandbox that counts what reaches Zoho.
#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails where it stands, has no tasks to lose, and counts with the whole numbers that metrics are"
)]

#[path = "../behaviour/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the behaviour tests")]
mod support;

mod canary;
mod fleet;
mod invariants;
mod load;
mod redis_server;
mod relay;

mod clocks;
mod cold_start;
mod doctor;
mod failures;
mod figures;
mod histories;
mod lifetimes;
mod mishaps;
mod outages;
mod rotations;
mod sick_stores;
mod silence;
mod store_kinds;
mod strangers;
