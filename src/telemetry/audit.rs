//! The audit: one event for each deletion that was asked for, and the one place where record ids are written.
//!
//! It has a queue of its own, so that no number of log lines displaces an event, and no level or directive of the log
//! filters it. Nothing waits for it: an event that cannot be written is lost, counted and complained of.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use tracing::Level;

use super::line::key;
use super::log::Log;
use super::record::RequestRecord;
use super::writer::Patient;
use crate::config::LogFormat;
use crate::target::Target;

/// What an event is told by among log lines.
const TARGET: &str = "audit";

/// How long it is silent after it has complained: while a disk is full, events may be lost by the thousand.
const PAUSE: Duration = Duration::from_secs(10);

/// Where audit events go. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct Audit {
    log: Log,
    /// How many lost events were complained of.
    told: Arc<AtomicU64>,
}

/// Opens the file that events are appended to, and makes it if need be, for its owner alone.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

impl Audit {
    /// An audit into a file, as JSON; without one, to standard output, as the log has it.
    pub fn start(file: Option<File>, format: LogFormat) -> io::Result<Self> {
        match file {
            Some(file) => Self::to(file, LogFormat::Json),
            None => Self::to(Patient(io::stdout()), format),
        }
    }

    /// An audit that goes to `sink`.
    pub fn to(sink: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let log = Log::named(TARGET, sink, format)?;
        Ok(Self {
            log,
            told: Arc::default(),
        })
    }

    /// A deletion is over.
    pub(super) fn deletion(
        &self,
        record: &RequestRecord<'_>,
        (account, target): (&str, Target),
        trace_id: Option<TraceId>,
    ) {
        self.log.line(Level::INFO, TARGET, |line| {
            line.message("deletion");
            line.plain(key!("account"), account);
            line.plain(key!("module"), target.module.as_str());
            // As text: many programs read numbers of 19 digits inexactly.
            line.plain(
                key!("record_id"),
                itoa::Buffer::new().format(target.record_number()),
            );
            line.plain(key!("outcome"), record.outcome.as_str());
            line.plain(key!("code"), record.code.as_str());
            line.number(key!("attempts"), record.attempts.into());
            line.plain(key!("peer"), record.peer);
            line.plain(key!("request_id"), record.request_id);
            if let Some(trace_id) = trace_id {
                line.plainly(key!("trace_id"), trace_id);
            }
        });
    }

    /// How many events were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.log.lost()
    }

    /// Complains in the log whenever events are lost, but not of each. For ever.
    pub async fn watch(self) {
        loop {
            self.log.writer.loses().await;
            self.complain();
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn complain(&self) {
        let lost = self.lost();
        let new = lost - self.told.swap(lost, Ordering::Relaxed);
        if new > 0 {
            let error = self.log.writer.take_failure();
            let error = error.map_or("it does not keep up".to_owned(), |error| error.to_string());
            tracing::error!(lost = new, error, "audit events were lost");
        }
    }

    /// Waits until everything is written, but not longer than `timeout`.
    pub fn flush(&self, timeout: Duration) {
        self.log.flush(timeout);
        self.complain();
    }
}
