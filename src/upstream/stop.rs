//! A stop: while it is on, nobody passes until its time is up, and then one at a time finds out whether it is over. One
//! who passed and then did not go gives way to the next.
//!
//! Without a lock, and without a look at the clock while it is off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Off, or on until a moment.
pub(super) struct Stop {
    started: Instant,
    /// Twice the milliseconds since `started`, and [`PROBING`]; 0 is off.
    until: AtomicU64,
    /// How long one who finds out has for it, and how long the others wait meanwhile.
    patience: Duration,
    /// Tells those who wait that it is on.
    began: Notify,
}

/// The right to pass. Dropped unused, it is given back.
#[derive(Default)]
pub(crate) struct Pass<'a>(Option<Probe<'a>>);

/// The turn to find out whether a stop is over, until somebody else's.
struct Probe<'a> {
    stop: &'a Stop,
    since: u64,
    until: u64,
}

impl Pass<'_> {
    /// It was used: if nothing was found out, the others wait as long as one has for it.
    pub(crate) fn used(self) {
        if let Some(probe) = self.0 {
            std::mem::forget(probe);
        }
    }
}

impl Drop for Probe<'_> {
    /// The next one may find out at once; unless the stop was set or cleared meanwhile.
    fn drop(&mut self) {
        let until = &self.stop.until;
        until
            .compare_exchange(self.until, self.since, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }
}

impl Stop {
    /// A stop that is off.
    pub(super) fn off(patience: Duration) -> Self {
        Self {
            started: Instant::now(),
            until: AtomicU64::new(0),
            patience,
            began: Notify::new(),
        }
    }

    /// Whether one may pass; if not, how long until somebody may.
    pub(super) fn check(&self) -> Result<Pass<'_>, Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return Ok(Pass(None));
        }
        let now = self.now();
        if moment(until) <= now
            && let Some(probe) = self.probe(until, now)
        {
            return Ok(Pass(Some(probe)));
        }
        match self.until.load(Ordering::Relaxed) {
            // It was cleared meanwhile.
            0 => Ok(Pass(None)),
            until => Err(Duration::from_millis(moment(until).saturating_sub(now))),
        }
    }

    /// Waits until nobody may pass, and says how long that will last. It lets nobody pass itself.
    pub(super) async fn closed(&self) -> Duration {
        loop {
            // Before the look: it hears of what happens from now on.
            let begins = self.began.notified();
            let left = moment(self.until.load(Ordering::Relaxed)).saturating_sub(self.now());
            if left > 0 {
                return Duration::from_millis(left);
            }
            begins.await;
        }
    }

    /// Of those who come when the time is up, one goes.
    fn probe(&self, since: u64, now: u64) -> Option<Probe<'_>> {
        let until = (now + milliseconds(self.patience)) << 1 | PROBING;
        self.until
            .compare_exchange(since, until, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        // The others need not wait for a place meanwhile.
        self.began.notify_waiters();
        Some(Probe {
            stop: self,
            since,
            until,
        })
    }

    /// On for so long, or for as long as one who finds out has.
    pub(super) fn set(&self, wait: Option<Duration>) {
        let wait = milliseconds(wait.unwrap_or(self.patience)).max(1);
        let until = self.now().saturating_add(wait).min(u64::MAX >> 1);
        self.until.store(until << 1, Ordering::Relaxed);
        self.began.notify_waiters();
    }

    /// Off again.
    pub(super) fn clear(&self) {
        if self.is_set() {
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// Whether it is on.
    pub(super) fn is_set(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }

    fn now(&self) -> u64 {
        milliseconds(self.started.elapsed())
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Marks the moment that a probe has set: a stop that is set to the very same one meanwhile is another stop.
const PROBING: u64 = 1;

/// The moment behind the mark.
fn moment(until: u64) -> u64 {
    until >> 1
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// What can happen to a stop. Times are in milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        TimePasses(u64),
        Set(Option<u64>),
        Clear,
        SomebodyComes { goes: bool },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (0..6000_u64).prop_map(Event::TimePasses),
            1 => prop::option::of(0..6000_u64).prop_map(Event::Set),
            1 => Just(Event::Clear),
            5 => any::<bool>().prop_map(|goes| Event::SomebodyComes { goes }),
        ]
    }

    proptest! {
        #[test]
        fn nobody_passes_before_the_time_is_up_and_then_one_in_each_patience(
            events in prop::collection::vec(event(), 1..50),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let stop = Stop::off(PATIENCE);
                let mut until = None;
                for event in events {
                    let now = Instant::now();
                    match event {
                        Event::TimePasses(time) => tokio::time::advance(Duration::from_millis(time)).await,
                        Event::Set(wait) => {
                            let wait = wait.map(Duration::from_millis);
                            stop.set(wait);
                            until = Some(now + wait.unwrap_or(PATIENCE).max(Duration::from_millis(1)));
                        }
                        Event::Clear => {
                            stop.clear();
                            until = None;
                        }
                        Event::SomebodyComes { goes } => {
                            let left = until.map_or(Duration::ZERO, |it| it - now);
                            let pass = stop.check();
                            prop_assert_eq!(pass.as_ref().err().copied(), Some(left).filter(|it| !it.is_zero()));
                            if let (Ok(pass), true) = (pass, goes) {
                                pass.used();
                                until = until.map(|_| now + PATIENCE);
                            }
                        }
                    }
                    prop_assert_eq!(stop.is_set(), until.is_some());
                }
                Ok(())
            })?;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_is_given_back_late_changes_nothing() {
        for (change, is_set) in [
            (Stop::clear as fn(&Stop), false),
            (|stop: &Stop| stop.set(Some(Duration::from_secs(9))), true),
            // To the very moment that the pass had set.
            (|stop: &Stop| stop.set(None), true),
        ] {
            let stop = Stop::off(PATIENCE);
            stop.set(Some(Duration::from_secs(2)));
            tokio::time::advance(Duration::from_secs(2)).await;
            let pass = stop.check();
            change(&stop);

            drop(pass);

            assert_eq!((stop.is_set(), stop.check().is_err()), (is_set, is_set));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_learn_of_it_when_it_begins_and_not_while_one_may_find_out() {
        let stop = Stop::off(PATIENCE);
        let begins = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.set(None);
        };
        assert_eq!(tokio::join!(stop.closed(), begins).0, PATIENCE);

        tokio::time::advance(PATIENCE).await;
        assert!(stop.closed().now_or_never().is_none());
        let finds_out = async { stop.check().map(Pass::used) };
        assert_eq!(tokio::join!(stop.closed(), finds_out), (PATIENCE, Ok(())));
    }
}
