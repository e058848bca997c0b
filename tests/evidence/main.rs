//! What is promised, proved on the whole: the real program, under load, with faults, kills, restarts and attacks.
//!
//! Each proof has a short form, which every run of the tests includes, and a full one, which is ignored there:
//! `just evidence` runs it and prints the figures of `docs/evidence.md`.
#![expect(
    clippy::cast_precision_loss,
    reason = "no figure here has more than 52 bits"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where it stands, and has no tasks to lose"
)]

mod support;

mod attack;
mod ledger;
mod overload;
mod rollout;
