//! What the sandbox promises, through real sockets; one file a subject.

mod accounts;
mod api;
mod api_faults;
mod binary;
mod client;
mod control;
mod ledger;
mod lifecycle;
mod limits;
mod token_faults;
