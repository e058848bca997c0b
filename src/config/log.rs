//! The `[log]` section, and `RUST_LOG` over it.

use tracing_subscriber::EnvFilter;

use super::layers::Environment;
use super::reader::Section;

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directives as in `RUST_LOG`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The variable that overrides the level.
const VARIABLE: &str = "RUST_LOG";

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Our own modules may be named alone.
const OURS: &str = "bigin_photo_proxy";

const PROBLEM: &str =
    "must be error, warn, info, debug or trace, or directives such as warn,bigin_photo_proxy=debug";

pub(super) fn read(log: &Section, environment: &Environment) -> LogConfig {
    let key = log.text("level");
    if !is_understood(&key) {
        log.error("level", PROBLEM);
    }
    let overriding = overriding(environment);
    if !overriding.is_none_or(is_understood) {
        log.error_of_variable(VARIABLE, PROBLEM);
    }
    let format = match log.text("format").as_str() {
        "json" => LogFormat::Json,
        "text" => LogFormat::Text,
        _ => {
            log.error("format", "must be \"json\" or \"text\"");
            LogFormat::Json
        }
    };
    LogConfig {
        level: overriding.map_or_else(|| directives(&key), str::to_owned),
        format,
    }
}

/// The directives that stand above the key, if there are any.
pub(super) fn overriding(environment: &Environment) -> Option<&str> {
    environment
        .value(VARIABLE)
        .filter(|directives| !directives.is_empty())
}

/// Whether `EnvFilter` takes this for what it was meant to be. A word that is no level is a target to it, which turns
/// everything else off: a misspelt level would silence the program.
fn is_understood(text: &str) -> bool {
    let is_directives = text.contains(['=', ',']) || text.starts_with(OURS);
    let is_word = is_level(text) || text.eq_ignore_ascii_case("off");
    (is_directives || is_word) && text.parse::<EnvFilter>().is_ok()
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level))
}

/// The directives for a level: it is meant for this program; libraries speak up from warnings on.
fn directives(level: &str) -> String {
    if is_level(level) {
        format!("warn,{OURS}={}", level.to_ascii_lowercase())
    } else {
        level.to_owned()
    }
}
