//! A writer that never makes a request wait: lines go into a bounded buffer, a thread of its own writes them.
//!
//! If the other end does not keep up, lines are dropped and counted. The thread is woken once a batch and then lingers a
//! moment, so that under load one wake-up and one write serve many lines.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most that waits to be written: some 2,500 lines.
const CAPACITY: usize = 1024 * 1024;

/// How long the thread gathers further lines before it writes.
const LINGER: Duration = Duration::from_millis(10);

/// The near end: cheap to clone, never blocks on the far end.
#[derive(Clone, Default)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    writing: bool,
    dropped: u64,
}

impl Writer {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(mut sink: impl Write + Send + 'static) -> io::Result<Self> {
        let writer = Self::default();
        let shared = Arc::clone(&writer.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut batch = Vec::new();
                loop {
                    shared.take(&mut batch);
                    // Nobody is left to be told when logs cannot be written.
                    drop(sink.write_all(&batch).and_then(|()| sink.flush()));
                    shared.written();
                }
            })?;
        Ok(writer)
    }

    /// Hands over whole lines.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.0.lines();
        if state.waiting.len() + lines.len() > CAPACITY {
            state.dropped += 1;
            return;
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(lines);
        drop(state);
        if first {
            self.0.changed.notify_all();
        }
    }

    /// How many lines were dropped so far.
    #[must_use]
    pub(super) fn dropped(&self) -> u64 {
        self.0.lines().dropped
    }

    /// Waits until everything is written, but not longer than `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        let busy = |lines: &mut Lines| lines.writing || !lines.waiting.is_empty();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.0.lines(), timeout, busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, lingers, and swaps them with the empty batch.
    fn take(&self, batch: &mut Vec<u8>) {
        let some = self
            .changed
            .wait_while(self.lines(), |lines| lines.waiting.is_empty());
        drop(some.unwrap_or_else(PoisonError::into_inner));
        #[expect(clippy::disallowed_methods, reason = "this thread is no runtime's")]
        thread::sleep(LINGER);
        let mut lines = self.lines();
        batch.clear();
        std::mem::swap(&mut lines.waiting, batch);
        lines.writing = true;
    }

    fn written(&self) {
        self.lines().writing = false;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A far end that takes a write only when it is told to.
    struct Gated(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().unwrap();
            self.1.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (allow, gate) = channel();
        let (sink, written) = channel();
        let writer = Writer::start(Gated(gate, sink)).unwrap();

        writer.push(b"one\n");
        writer.push(b"two\n");
        allow.send(()).unwrap();
        writer.flush(Duration::from_secs(10));

        assert_eq!(written.recv().unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_blocked_far_end_costs_lines_but_no_time_and_no_memory() {
        let (_allow, gate) = channel();
        let (sink, _written) = channel();
        let writer = Writer::start(Gated(gate, sink)).unwrap();

        let line = [b'x'; 1024];
        for _ in 0..10 * CAPACITY / line.len() {
            writer.push(&line);
        }

        // At most one buffer waits, and one is being written.
        let dropped = writer.dropped() * line.len() as u64;
        assert!(dropped >= 8 * CAPACITY as u64, "{dropped}");
    }
}
