//! Access tokens: who holds them, who renews them, and what a request without one is told.
//!
//! Requests only read ([`Slot`]); one [`Keeper`] per refresh token asks Zoho, in the background, on a runtime apart
//! from the data path, inside a budget that nothing can exceed. Replicas that share a store take turns, and all use the
//! token of whoever had the turn; callers wait for the store never. Invariants: an older token never replaces a newer one; a
//! token past its own expiry is never handed out; a caller that hangs up cancels nothing.

mod access;
mod answer;
mod budget;
mod credentials;
mod enrolment;
mod fingerprint;
mod grant;
mod keeper;
mod kept;
mod once;
mod schedule;
mod slot;
mod store;

pub use access::AccessToken;
pub use budget::SharedBudget;
pub use enrolment::{Enrolled, enroll};
pub use grant::{Failure, http_client, http_client_through};
pub use keeper::Keeper;
pub use kept::{Kept, keep};
pub use once::{Asked, ask_once};
pub use slot::{Rejection, Slot, Standing, Unavailable};
pub use store::{Away, Store};
