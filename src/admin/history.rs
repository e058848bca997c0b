//! The deletions of the last hour, by minute. Read off the metrics now and then, so that requests pay nothing for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::{DeletionKind, Telemetry};

/// How many minutes are kept.
pub(super) const MINUTES: u64 = 60;

/// How often the metrics are read: a deletion is in the right minute, or at its border.
const INTERVAL: Duration = Duration::from_secs(10);

/// The deletions of the last hour.
pub struct History {
    telemetry: Arc<Telemetry>,
    hour: Mutex<Hour>,
}

/// Deletions by how they ended.
pub(super) type Deletions = HashMap<DeletionKind, u64>;

struct Hour {
    started: Instant,
    totals: Deletions,
    /// The number of a minute since the start, and what it brought. The oldest first; empty ones are left out.
    minutes: VecDeque<(u64, Deletions)>,
}

impl History {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        let hour = Hour {
            started: Instant::now(),
            totals: HashMap::new(),
            minutes: VecDeque::new(),
        };
        Self {
            telemetry,
            hour: Mutex::new(hour),
        }
    }

    /// Keeps up, for ever.
    pub async fn follow(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.hour().add(self.telemetry.metrics.deletions());
        }
    }

    /// What each minute brought, with how many minutes ago that was.
    pub(super) fn minutes(&self) -> Vec<(u64, Deletions)> {
        let mut hour = self.hour();
        hour.add(self.telemetry.metrics.deletions());
        let now = hour.now();
        let minutes = hour.minutes.iter();
        minutes
            .map(|(minute, brought)| (now - minute, brought.clone()))
            .collect()
    }

    /// An hour is right after every statement, so a panic elsewhere has not spoilt it.
    fn hour(&self) -> MutexGuard<'_, Hour> {
        self.hour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hour {
    fn now(&self) -> u64 {
        self.started.elapsed().as_secs() / 60
    }

    /// Puts what is new in these totals into the current minute.
    fn add(&mut self, totals: Deletions) {
        let now = self.now();
        while matches!(self.minutes.front(), Some((oldest, _)) if oldest + MINUTES <= now) {
            self.minutes.pop_front();
        }
        for (kind, total) in totals {
            let before = self.totals.insert(kind.clone(), total).unwrap_or(0);
            let new = total.saturating_sub(before);
            if new == 0 {
                continue;
            }
            if self.minutes.back().is_none_or(|(minute, _)| *minute != now) {
                self.minutes.push_back((now, Deletions::new()));
            }
            if let Some((_, brought)) = self.minutes.back_mut() {
                *brought.entry(kind).or_default() += new;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str) -> DeletionKind {
        DeletionKind {
            account: "main".to_owned(),
            outcome: "unknown".to_owned(),
            code: code.to_owned(),
            act: "nobody".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_holds_what_each_minute_brought_and_forgets_what_is_older() {
        let mut hour = Hour {
            started: Instant::now(),
            totals: HashMap::new(),
            minutes: VecDeque::new(),
        };
        hour.add([(kind("A"), 3)].into());
        hour.add([(kind("A"), 4), (kind("B"), 1)].into());
        tokio::time::advance(Duration::from_mins(1)).await;
        hour.add([(kind("A"), 4), (kind("B"), 3)].into());
        let expected = [
            (0, Deletions::from([(kind("A"), 4), (kind("B"), 1)])),
            (1, Deletions::from([(kind("B"), 2)])),
        ];
        assert_eq!(hour.minutes, expected);

        tokio::time::advance(Duration::from_mins(59)).await;
        hour.add([(kind("A"), 4)].into());

        assert_eq!(hour.minutes.make_contiguous(), &expected[1..]);
    }
}
