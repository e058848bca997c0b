//! A writer that never makes a request wait: lines go into a bounded buffer, a thread of its own writes them.
//!
//! If the other end does not keep up or fails, lines are lost and counted. The thread is woken once a batch and then lingers a
//! moment, so that under load one wake-up and one write serve many lines.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use tokio::sync::Notify;

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
    lost: Notify,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    writing: bool,
    lost: u64,
    failure: Option<io::Error>,
}

impl Writer {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(name: &str, sink: impl Write + Send + 'static) -> io::Result<Self> {
        let writer = Self::default();
        let shared = Arc::clone(&writer.0);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut batch = Vec::new();
                let mut end = FarEnd {
                    sink,
                    is_torn: false,
                };
                loop {
                    shared.take(&mut batch);
                    let mut left = batch.as_slice();
                    let failure = end.write(&mut left).err();
                    shared.written(left, failure);
                }
            })?;
        Ok(writer)
    }

    /// Hands over whole lines.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.0.lines();
        if state.waiting.len() + lines.len() > CAPACITY {
            state.lost += 1;
            drop(state);
            self.0.lost.notify_one();
            return;
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(lines);
        drop(state);
        if first {
            self.0.changed.notify_all();
        }
    }

    /// How many lines were lost so far.
    #[must_use]
    pub(super) fn lost(&self) -> u64 {
        self.0.lines().lost
    }

    /// Waits until lines were lost since this was asked last.
    pub(super) async fn loses(&self) {
        self.0.lost.notified().await;
    }

    /// Why writing failed last, if it did since this was asked last.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.0.lines().failure.take()
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

    /// A batch is written but for what is left of it.
    fn written(&self, left: &[u8], failure: Option<io::Error>) {
        let lost = left.split_inclusive(|byte| *byte == b'\n').count() as u64;
        let mut lines = self.lines();
        lines.writing = false;
        lines.lost += lost;
        lines.failure = failure.or(lines.failure.take());
        drop(lines);
        self.changed.notify_all();
        if lost > 0 {
            self.lost.notify_one();
        }
    }
}

/// What is written to, and whether it failed in the middle of a line.
struct FarEnd<W> {
    sink: W,
    is_torn: bool,
}

impl<W: Write> FarEnd<W> {
    /// Writes lines, and leaves those that it cannot write. What is left of a torn line stays a line of its own.
    fn write(&mut self, lines: &mut &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.sink.write_all(b"\n")?;
            self.is_torn = false;
        }
        while !lines.is_empty() {
            match self.sink.write(lines) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (written, left) = lines.split_at(count);
                    self.is_torn = !written.ends_with(b"\n");
                    *lines = left;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sink.flush()
    }
}

/// A far end that is waited for if it has no room. Whoever started the program may have set its standard output so that it
/// does not block, which all processes that hold it share: it is not ours to change.
pub(super) struct Patient<W>(pub(super) W);

impl<W: AsFd> Patient<W> {
    fn wait_to<T>(&mut self, work: impl Fn(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match work(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut far_end = [PollFd::new(&self.0, PollFlags::OUT)];
                    retry_on_intr(|| poll(&mut far_end, None))?;
                }
                done => return done,
            }
        }
    }
}

impl<W: Write + AsFd> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_to(|far_end| far_end.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait_to(W::flush)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use rustix::io::ioctl_fionbio;

    use super::*;

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
        let writer = Writer::start("test", Gated(gate, sink)).unwrap();

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
        let writer = Writer::start("test", Gated(gate, sink)).unwrap();

        let line = [b'x'; 1024];
        for _ in 0..10 * CAPACITY / line.len() {
            writer.push(&line);
        }

        // At most one buffer waits, and one is being written.
        let lost = writer.lost() * line.len() as u64;
        assert!(lost >= 8 * CAPACITY as u64, "{lost}");
    }

    /// A disk with room for so many bytes.
    struct Disk {
        room: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.written.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_torn_by_a_full_disk_does_not_spoil_the_next_one() {
        let sink = Disk {
            room: 6,
            written: Vec::new(),
        };
        let mut end = FarEnd {
            sink,
            is_torn: false,
        };
        let mut lines: &[u8] = b"one\ntwo\nthree\n";

        assert!(end.write(&mut lines).is_err());
        assert_eq!(lines, b"o\nthree\n");
        end.sink.room = 100;
        end.write(&mut b"four\n".as_slice()).unwrap();

        assert_eq!(end.sink.written, b"one\ntw\nfour\n");
    }

    #[test]
    fn a_pipe_that_does_not_block_is_waited_for_and_loses_nothing() {
        let (mut reader, far_end) = io::pipe().unwrap();
        ioctl_fionbio(&far_end, true).unwrap();
        let writer = Writer::start("test", Patient(far_end)).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let lines = CAPACITY / line.len();

        (0..lines).for_each(|_| writer.push(&line));
        let all = line.repeat(lines);
        let mut read = vec![0; all.len()];
        let reading = thread::spawn(move || reader.read_exact(&mut read).map(|()| read));
        writer.flush(Duration::from_secs(10));

        assert_eq!(writer.lost(), 0);
        assert!(reading.join().unwrap().unwrap() == all);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_cause_is_kept() {
        let writer = Writer::start(
            "test",
            Disk {
                room: 4,
                written: Vec::new(),
            },
        )
        .unwrap();

        writer.push(b"one\ntwo\nthree\n");
        writer.flush(Duration::from_secs(10));

        assert_eq!(writer.lost(), 2);
        let cause = writer.take_failure().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::StorageFull);
        assert!(writer.take_failure().is_none());
    }
}
