//! How many API calls are under way. Counted outside the state, so that a call can end whatever holds the lock, and so
//! that a reset does not forget the calls that it did not end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The two counts of calls under way.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// Read and not answered.
    calls: AtomicU64,
    /// Of these, the ones that Zoho has let in. Only they count against its concurrency limit.
    in_work: AtomicU64,
}

/// A call under way. Counts while it exists.
#[derive(Debug)]
pub(crate) struct Slot {
    in_flight: Arc<InFlight>,
    in_work: bool,
}

impl Slot {
    /// Counts a call that has been read, and says how many are in flight with it.
    pub(crate) fn take(in_flight: &Arc<InFlight>) -> (Self, u64) {
        let others = in_flight.calls.fetch_add(1, SeqCst);
        (
            Self {
                in_flight: Arc::clone(in_flight),
                in_work: false,
            },
            others + 1,
        )
    }

    /// Lets the call in, if there is room for one more.
    pub(crate) fn begin_work(&mut self, at_most: u64) -> bool {
        let one_more = |others| (others < at_most).then_some(others + 1);
        self.in_work = self
            .in_flight
            .in_work
            .fetch_update(SeqCst, SeqCst, one_more)
            .is_ok();
        self.in_work
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.in_flight.calls.fetch_sub(1, SeqCst);
        self.in_flight
            .in_work
            .fetch_sub(u64::from(self.in_work), SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_until_it_ends() {
        let in_flight = Arc::default();
        let (first, _) = Slot::take(&in_flight);
        let (_second, both) = Slot::take(&in_flight);

        drop(first);

        assert_eq!(both, 2);
        assert_eq!(Slot::take(&in_flight).1, 2);
    }

    #[test]
    fn only_so_many_calls_are_let_in() {
        let in_flight = Arc::default();
        let (mut first, mut second) = (Slot::take(&in_flight).0, Slot::take(&in_flight).0);

        assert!(first.begin_work(1));
        assert!(!second.begin_work(1));
        drop(first);
        assert!(second.begin_work(1));
    }
}
