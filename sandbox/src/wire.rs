//! HTTP/1.1 by hand, because a fault has to choose every byte: requests in, deliveries out.

mod answer;
mod connection;
mod delivery;
mod gzip;
mod request;

pub(crate) use answer::Answer;
pub(crate) use connection::{Connection, Next, Transport};
pub(crate) use delivery::{Delivery, Then};
pub(crate) use gzip::gzip;
pub(crate) use request::Request;
