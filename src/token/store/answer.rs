//! What the script answers, taken apart. Whatever stands where it should not is as if it were missing.

use std::time::Duration;

use redis::{FromRedisValue, Value};
use tokio::time::Instant;

/// The largest whole number that Lua's arithmetic is exact up to. No clock and no version comes near it.
const LARGEST: u64 = 1 << 53;

/// An answer.
pub(super) struct Answer {
    /// When it was asked for.
    pub(super) asked: Instant,
    /// The store's clock, in milliseconds.
    pub(super) time: u64,
    pub(super) what: String,
    rest: Vec<Value>,
}

impl Answer {
    pub(super) fn parse(answer: Value, asked: Instant) -> Option<Self> {
        let mut parts = Vec::<Value>::from_redis_value(answer).ok()?;
        let rest = parts.split_off(parts.len().min(2));
        let mut parts = parts.into_iter();
        let time = u64::from_redis_value(parts.next()?).ok()?;
        let what = String::from_redis_value(parts.next()?).ok()?;
        (time < LARGEST).then_some(Self {
            asked,
            time,
            what,
            rest,
        })
    }

    pub(super) fn bytes(&self, place: usize) -> &[u8] {
        match self.rest.get(place) {
            Some(Value::BulkString(bytes)) => bytes,
            _ => &[],
        }
    }

    pub(super) fn number(&self, place: usize) -> Option<u64> {
        // Negative if a key does not end, for one.
        let number = i64::from_redis_value_ref(self.rest.get(place)?).ok()?;
        u64::try_from(number).ok()
    }

    /// A wait, which is never longer than `most`.
    pub(super) fn wait(&self, place: usize, most: Duration) -> Duration {
        Duration::from_millis(self.number(place).unwrap_or_default()).min(most)
    }
}
