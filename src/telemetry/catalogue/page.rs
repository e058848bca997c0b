//! The page about the metrics, for operators.

use std::fmt::{self, Write as _};

use super::{ALL, Declared, Kind, Label, Values};

const HEAD: &str = "# Metrics

Scraped from `/metrics` of the admin listener under these names; pushed by OTLP under the names in brackets, from the same
sums. Written by the program from its own declaration (`src/telemetry/catalogue.rs`); a test compares. After a change there,
`WRITE_DOCS=1 cargo nextest run page_about_the_metrics` writes this page anew.

No label has a caller's text as its value, or a record id. One account has at most 300 series, besides histograms' buckets.
A label without a value is missing. `target_info` bears what `OTEL_RESOURCE_ATTRIBUTES` says.
";

/// `docs/metrics.md`.
#[must_use]
pub fn page() -> String {
    let metrics = ALL.iter().map(ToString::to_string);
    HEAD.to_owned() + &metrics.collect::<String>()
}

impl Declared {
    /// The name in Prometheus' text.
    fn scraped_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        name.push_str(match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        });
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Counter => "Counter",
            Kind::Gauge => "Gauge",
            Kind::Histogram => "Histogram",
        };
        let unit = match self.unit {
            "s" => " of seconds",
            "By" => " of bytes",
            _ => "",
        };
        let (scraped, name, meaning) = (self.scraped_name(), self.name, self.meaning);
        write!(
            out,
            "\n## `{scraped}`\n\n{kind}{unit} (`{name}`). {meaning}\n"
        )?;
        if !self.labels.is_empty() {
            out.write_char('\n')?;
        }
        self.labels
            .iter()
            .try_for_each(|label| write!(out, "{label}"))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |words: &[&str]| {
            let words = words.iter().map(|word| format!("`{word}`"));
            words.collect::<Vec<_>>().join(", ")
        };
        let values = match &self.values {
            Values::Words(words) => quoted(words),
            Values::Of(words) => quoted(&words()),
            Values::Some(description) => (*description).to_owned(),
        };
        writeln!(out, "- `{}`: {values}", self.name.replace('.', "_"))
    }
}
