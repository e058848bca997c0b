//! Log lines: one JSON object each, flat, in one reused buffer; or text for people.
//!
//! `timestamp`, `level`, `target` and `message` come first, then the fields of the event in their order.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::time::SystemTime;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use super::writer::Writer;
use crate::config::{LogConfig, LogFormat};

/// Logs to standard output from now on, for the whole process.
pub fn start(config: &LogConfig) -> io::Result<Writer> {
    let writer = Writer::start(io::stdout())?;
    let registry = tracing_subscriber::registry().with(EnvFilter::new(&config.level));
    let json = (config.format == LogFormat::Json).then(|| Json(writer.clone()));
    let text = (config.format == LogFormat::Text).then(|| {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(writer.clone())
    });
    registry.with(json).with(text).init();
    std::panic::set_hook(Box::new(panicked));
    Ok(writer)
}

/// A panic's message may quote what it choked on, so only its place is told.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(tracing::field::display);
    tracing::error!(place, thread = std::thread::current().name(), "panicked");
}

/// Writes events as JSON.
struct Json(Writer);

thread_local! {
    /// The line that is being written, kept for its memory.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber> Layer<S> for Json {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            write_line(line, event);
            self.0.push(line);
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a log line is dated")]
fn write_line(line: &mut Vec<u8>, event: &Event<'_>) {
    let metadata = event.metadata();
    line.extend_from_slice(b"{\"timestamp\":\"");
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    write!(Escaped(line), "{now}").expect("memory takes every byte");
    line.extend_from_slice(b"\",\"level\":\"");
    line.extend_from_slice(metadata.level().as_str().as_bytes());
    line.extend_from_slice(b"\",\"target\":\"");
    line.extend_from_slice(metadata.target().as_bytes());
    line.push(b'"');
    event.record(&mut Fields(line));
    line.extend_from_slice(b"}\n");
}

/// Appends fields to a line that is an object already.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    /// Names are written in our source: they need no escaping.
    fn name(&mut self, field: &Field) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(field.name().as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn append(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        self.name(field);
        serde_json::to_writer(&mut *self.0, value)
            .expect("memory takes every byte, and these values are all JSON has");
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.append(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.append(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.append(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.append(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.append(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.append(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push(b'"');
        write!(Escaped(self.0), "{value:?}").expect("memory takes every byte");
        self.0.push(b'"');
    }
}

/// Takes formatted text into the middle of a JSON string.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        serde_json::to_writer(&mut *self.0, text).or(Err(fmt::Error))?;
        // Without the quotes that surround a whole string.
        self.0.pop();
        self.0.remove(start);
        Ok(())
    }
}
