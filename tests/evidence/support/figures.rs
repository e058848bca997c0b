//! Figures as they stand in `docs/evidence.md`, with where and when they were measured.

use std::fmt::{Display, Write};
use std::time::SystemTime;

/// A table in the making.
pub(crate) struct Figures(String);

impl Figures {
    /// A table under a heading, with what a reader must know of the machine.
    pub(crate) fn of(title: &str) -> Self {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let (date, _) = now.split_once('T').unwrap();
        let cores = std::thread::available_parallelism().unwrap();
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let mut table = Self(format!("\n### {title}\n\n"));
        table.text(format_args!(
            "{date}, {cores} cores of {}, commit {}, {build} build.\n\n| | |\n|---|--:|\n",
            processor(),
            bigin_photo_proxy::COMMIT,
        ));
        table
    }

    /// One figure.
    pub(crate) fn row(mut self, name: impl Display, value: impl Display) -> Self {
        self.text(format_args!("| {name} | {value} |\n"));
        self
    }

    fn text(&mut self, text: impl Display) {
        write!(self.0, "{text}").unwrap();
    }

    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    pub(crate) fn print(self) {
        println!("{}", self.0);
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
