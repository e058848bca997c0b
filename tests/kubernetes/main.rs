//! What is deployed on Kubernetes, as `kubectl kustomize` renders it: held against the program, against the profile for
//! restricted pods, and against what Zoho allows. And the stack to look at on one machine.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where it stands"
)]

mod manifests;
mod replica;

mod configuration;
mod local;
mod numbers;
mod restricted;
mod wiring;
