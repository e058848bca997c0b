//! One log line, field by field: a flat JSON object for programs, or text for people.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::Level;

use crate::config::LogFormat;

/// A name out of our source, as each format has it with all that stands around it: copied in one go.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) json: &'static str,
    pub(super) text: &'static str,
}

/// The [`Key`] of a name that needs no escape.
macro_rules! key {
    ($name:literal) => {
        $crate::telemetry::line::Key {
            json: concat!(",\"", $name, "\":"),
            text: concat!(" ", $name, "="),
        }
    };
}
pub(super) use key;

/// A line that is being written into a buffer that is used again and again.
pub(super) struct Line<'a> {
    text: &'a mut Vec<u8>,
    format: LogFormat,
}

impl<'a> Line<'a> {
    /// Begins a line with what all have: `timestamp`, `level`, `target`.
    pub(super) fn begin(
        text: &'a mut Vec<u8>,
        format: LogFormat,
        level: Level,
        target: &str,
    ) -> Self {
        text.clear();
        let [first, second, third, last] = match format {
            LogFormat::Json => [
                "{\"timestamp\":\"",
                "\",\"level\":\"",
                "\",\"target\":\"",
                "\"",
            ],
            LogFormat::Text => ["", " ", " ", ":"],
        };
        let mut line = Self { text, format };
        line.push(first);
        line.push_now();
        line.push(second);
        line.push(level.as_str());
        line.push(third);
        line.push(target);
        line.push(last);
        line
    }

    /// What happened, in words of ours.
    pub(super) fn message(&mut self, text: &str) {
        match self.format {
            LogFormat::Json => self.text("message", text),
            LogFormat::Text => {
                self.push(" ");
                escape(self.text, text);
            }
        }
    }

    /// Text in which nothing needs an escape: a word out of a closed list, or checked on its way in.
    #[inline]
    pub(super) fn plain(&mut self, key: Key, value: &str) {
        debug_assert!(is_plain(value), "{} is not plain", key.text);
        self.key(key);
        self.text.push(b'"');
        self.push(value);
        self.text.push(b'"');
    }

    /// Any text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text.push(b'"');
        escape(self.text, value);
        self.text.push(b'"');
    }

    /// Something of ours that needs no escape when it is formatted.
    pub(super) fn plainly(&mut self, key: Key, value: impl fmt::Display) {
        self.key(key);
        write!(self.text, "\"{value}\"").expect("memory takes every byte");
    }

    /// Whatever can be formatted, as text.
    pub(super) fn formatted(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.name(name);
        self.push("\"");
        write!(Escaped(self.text), "{value}").expect("memory takes every byte");
        self.push("\"");
    }

    /// A whole number.
    #[inline]
    pub(super) fn number(&mut self, key: Key, value: u64) {
        self.key(key);
        self.push(itoa::Buffer::new().format(value));
    }

    /// A duration in milliseconds, with three digits behind the point: more would be noise.
    pub(super) fn milliseconds(&mut self, key: Key, value: Duration) {
        self.key(key);
        // A duration of more milliseconds than fit into 64 bits does not occur in a process's life.
        let whole = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        self.push(itoa::Buffer::new().format(whole));
        self.push_fraction(1000 + value.subsec_micros() % 1000);
    }

    /// Any other value that JSON has.
    pub(super) fn value(&mut self, name: &str, value: impl Serialize) {
        self.name(name);
        serde_json::to_writer(&mut *self.text, &value)
            .expect("memory takes every byte, and these values are all JSON has");
    }

    /// Ends the line.
    pub(super) fn end(self) -> &'a [u8] {
        self.text.extend_from_slice(match self.format {
            LogFormat::Json => b"}\n",
            LogFormat::Text => b"\n",
        });
        self.text
    }

    #[inline]
    fn key(&mut self, key: Key) {
        self.push(match self.format {
            LogFormat::Json => key.json,
            LogFormat::Text => key.text,
        });
    }

    /// The name of an event's field. It is written in source text: it needs no escape.
    fn name(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => {
                self.text.push(b',');
                self.text.push(b'"');
                self.push(name);
                self.text.push(b'"');
                self.text.push(b':');
            }
            LogFormat::Text => {
                self.text.push(b' ');
                self.push(name);
                self.text.push(b'=');
            }
        }
    }

    #[inline]
    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// The time in RFC 3339, to the microsecond. All but its fraction is formatted once a second.
    #[expect(clippy::disallowed_methods, reason = "a log line is dated")]
    fn push_now(&mut self) {
        thread_local! {
            static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
        }
        let now = SystemTime::now();
        // A clock before 1970 is wrong whatever is written.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        SECOND.with_borrow_mut(|(second, text)| {
            if text.is_empty() || *second != since.as_secs() {
                *second = since.as_secs();
                *text = humantime::format_rfc3339_seconds(now).to_string();
                // Without the Z: the fraction comes before it.
                text.pop();
            }
            self.push(text);
        });
        self.push_fraction(1_000_000 + since.subsec_micros());
        self.push("Z");
    }

    /// A point and digits: those of a number behind its leading 1, which kept the zeros.
    fn push_fraction(&mut self, digits: u32) {
        let point = self.text.len();
        self.push(itoa::Buffer::new().format(digits));
        if let Some(one) = self.text.get_mut(point) {
            *one = b'.';
        }
    }
}

/// Takes formatted text into the middle of a string.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Whether nothing in a text needs an escape.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

/// Appends text as it stands inside a JSON string (RFC 8259, section 7): whatever it holds, a line stays one line.
fn escape(line: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    let start = line.len();
    serde_json::to_writer(&mut *line, text).expect("memory takes every byte, and text is JSON");
    // Without the quotes that surround a whole string.
    line.pop();
    line.remove(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat, fields: impl FnOnce(&mut Line<'_>)) -> String {
        let mut buffer = b"left from the line before".to_vec();
        let mut line = Line::begin(&mut buffer, format, Level::INFO, "here");
        fields(&mut line);
        String::from_utf8(line.end().to_vec()).unwrap()
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let line = written(LogFormat::Json, |line| {
            line.message("it \"ended\"");
            line.plain(key!("code"), "SUCCESS");
            line.number(key!("status"), 200);
            line.milliseconds(key!("duration_ms"), Duration::from_micros(12_034));
            line.value("clean", true);
        });

        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "INFO");
        assert_eq!(value["target"], "here");
        assert_eq!(value["message"], "it \"ended\"");
        assert_eq!(value["code"], "SUCCESS");
        assert_eq!(value["status"], 200);
        assert_eq!(value["duration_ms"], 12.034);
        assert_eq!(value["clean"], true);
    }

    #[test]
    fn a_text_line_reads_as_a_sentence_and_its_facts() {
        let line = written(LogFormat::Text, |line| {
            line.message("it ended");
            line.plain(key!("code"), "SUCCESS");
            line.number(key!("status"), 200);
        });

        assert!(
            line.ends_with("Z INFO here: it ended code=\"SUCCESS\" status=200\n"),
            "{line}"
        );
    }

    #[test]
    fn text_inside_a_string_is_escaped_as_json_demands() {
        for text in [
            "",
            "plain",
            "ümläut",
            "a\"b",
            "a\\b",
            "a\nb",
            "\u{0}\u{1f}\u{7f}",
        ] {
            let line = written(LogFormat::Json, |line| line.text("it", text));

            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["it"], text);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a log line is dated")]
    fn the_time_is_rfc_3339_to_the_microsecond() {
        for _ in 0..1000 {
            let before = SystemTime::now();
            let line = written(LogFormat::Text, |_| {});
            let (text, _) = line.split_once(' ').unwrap();

            assert_eq!(text.len(), "2026-11-25T00:00:00.000000Z".len(), "{text}");
            let read = humantime::parse_rfc3339(text).unwrap();
            assert!(read + Duration::from_micros(1) > before, "{text}");
            assert!(read <= SystemTime::now(), "{text}");
        }
    }
}
