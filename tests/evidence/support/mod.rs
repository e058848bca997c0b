//! What the proofs stand on: the program as operators run it, a Zoho on a thread of its own, callers, and figures.

mod balancer;
mod caller;
#[path = "../../behaviour/support/config.rs"]
mod config;
mod figures;
mod load;
#[path = "../../behaviour/support/program.rs"]
#[expect(dead_code, reason = "the behaviour tests use more of it")]
mod program;
mod replica;
mod zoho;

pub(crate) use balancer::Balancer;
pub(crate) use caller::{Caller, Outcome, Told};
pub(crate) use config::config_for;
pub(crate) use figures::{Figures, grouped};
pub(crate) use load::{Connections, Sample, count, demand, p99};
use program::Program;
pub(crate) use replica::{Replica, ask};
pub(crate) use zoho::start_zoho;
