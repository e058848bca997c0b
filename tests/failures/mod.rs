//! The contract of `docs/failures.md`, a test a row: something goes wrong, and everything is checked that anybody can see
//! of it: the response, the calls at Zoho, the metrics, the log.

mod row;
mod scene;

mod api;
mod codes;
mod process;
mod refusals;
mod table;
mod token_endpoint;
mod token_in_use;
mod unreachable;
