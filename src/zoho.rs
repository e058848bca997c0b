//! What Zoho is: its data centers, the envelope of its answers, the codes in it, the limits it publishes.
//!
//! Facts only, each with its public page. Nothing here talks to the network.

mod code;
mod data_center;
mod envelope;
mod origin;
mod scope;

pub use code::Code;
pub use data_center::DataCenter;
pub use envelope::Envelope;
pub use origin::{InvalidOrigin, Origin};
pub use scope::ScopeCheck;
