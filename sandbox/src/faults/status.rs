//! The statuses that an answer can have.

use std::ops::RangeInclusive;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Final ones. Anything else is not HTTP, and a test that ordered it would see something else than it asked for.
const FINAL: RangeInclusive<i64> = 200..=599;

/// Reads a status, and refuses an impossible one.
pub(super) fn final_status<'de, D: Deserializer<'de>>(given: D) -> Result<u16, D::Error> {
    let status = i64::deserialize(given)?;
    let possible = Some(status).filter(|status| FINAL.contains(status));
    possible
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| {
            let (least, most) = (FINAL.start(), FINAL.end());
            Error::custom(format!(
                "status must be a number from {least} to {most}, not {status}"
            ))
        })
}
