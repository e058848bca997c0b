//! Log lines on their way: from an event, or from the request path itself, through one reused buffer to the writer.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::line::Line;
use super::writer::{Patient, Writer};
use crate::config::{LogConfig, LogFormat};

/// Where log lines go. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct Log {
    pub(super) writer: Writer,
    format: LogFormat,
}

/// Logs to standard output from now on, for the whole process.
pub fn start(config: &LogConfig) -> io::Result<Log> {
    let log = Log::to(Patient(io::stdout()), config.format)?;
    tracing_subscriber::registry()
        .with(EnvFilter::new(&config.level))
        .with(Events(log.clone()))
        .init();
    std::panic::set_hook(Box::new(panicked));
    Ok(log)
}

/// A panic's message may quote what it choked on, so only its place is told.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(tracing::field::display);
    tracing::error!(place, thread = std::thread::current().name(), "panicked");
}

thread_local! {
    /// The line that is being written, kept for its memory.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    /// A log that goes to `sink`.
    pub fn to(sink: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        Self::named("log", sink, format)
    }

    /// The same, with a name for its thread.
    pub(super) fn named(
        name: &str,
        sink: impl Write + Send + 'static,
        format: LogFormat,
    ) -> io::Result<Self> {
        let writer = Writer::start(name, sink)?;
        Ok(Self { writer, format })
    }

    /// Writes a line, whatever the level of the log. The request path writes its own, which an event would cost twice.
    pub(super) fn line(&self, level: Level, target: &str, fields: impl FnOnce(&mut Line<'_>)) {
        let write = |buffer: &mut Vec<u8>| {
            let mut line = Line::begin(buffer, self.format, level, target);
            fields(&mut line);
            self.writer.push(line.end());
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut buffer) => write(&mut buffer),
            // A line within a line: one of its fields logs, or panics.
            Err(_) => write(&mut Vec::new()),
        });
    }

    /// How many lines were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.writer.lost()
    }

    /// Waits until everything is written, but not longer than `timeout`.
    pub fn flush(&self, timeout: Duration) {
        self.writer.flush(timeout);
    }
}

/// Writes events as lines.
struct Events(Log);

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        self.0.line(*metadata.level(), metadata.target(), |line| {
            event.record(&mut Fields(line));
        });
    }
}

/// The fields of an event, in their order. The message comes first.
struct Fields<'a, 'b>(&'a mut Line<'b>);

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.value(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.value(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.value(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.value(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.text(field.name(), &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.message(&format!("{value:?}")),
            name => self.0.formatted(name, format_args!("{value:?}")),
        }
    }
}
