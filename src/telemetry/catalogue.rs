//! Every metric there is: what instruments are made from, and `docs/metrics.md` is written from.
//!
//! Invariant: a label has few values, and no caller chooses them.

mod page;

pub use page::page;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::outcome::Outcome;
use crate::target::Module;
use crate::zoho::Code;

/// One metric, as OpenTelemetry names it.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As UCUM writes it; empty for counts.
    pub(super) unit: &'static str,
    pub(super) labels: &'static [Label],
    pub(super) meaning: &'static str,
}

/// What its values do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only rise, until the process ends.
    Counter,
    /// They rise and fall.
    Gauge,
    /// They are counted by size.
    Histogram,
}

/// A label, and the values that it can have.
pub(super) struct Label {
    pub(super) name: &'static str,
    pub(super) values: Values,
}

impl Declared {
    /// Begins a counter at zero for each value of its last label, so that the first of a kind is a rise and not a series that
    /// appears, which Prometheus does not count.
    pub(super) fn zero(&self, counter: &Counter<u64>, others: &[KeyValue]) {
        let last = self.labels.last();
        let (name, values) = last
            .map(|label| (label.name, label.values.listed()))
            .unwrap_or_default();
        if values.is_empty() {
            counter.add(0, others);
        }
        for value in values {
            counter.add(0, &[others, &[KeyValue::new(name, value)]].concat());
        }
    }
}

impl Values {
    /// All of them, if they can be listed.
    fn listed(&self) -> Vec<&'static str> {
        match self {
            Self::Words(words) => words.to_vec(),
            Self::Of(list) => list(),
            Self::Some(_) => Vec::new(),
        }
    }
}

pub(super) enum Values {
    /// These.
    Words(&'static [&'static str]),
    /// These, out of a type.
    Of(fn() -> Vec<&'static str>),
    /// Those that this describes.
    Some(&'static str),
}

const fn words(name: &'static str, words: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::Words(words),
    }
}

const fn some(name: &'static str, description: &'static str) -> Label {
    Label {
        name,
        values: Values::Some(description),
    }
}

const ACCOUNT: Label = some("account", "an account of the configuration");

const CODE: Label = Label {
    name: "code",
    values: Values::Of(|| Code::ALL.iter().map(|code| code.as_str()).collect()),
};

const STATUS: Label = some("http.response.status_code", "a status");

const RUNTIME: Label = some(
    "runtime",
    "`control`, or `data-path-` and the number of a thread",
);

const fn counter(name: &'static str, labels: &'static [Label], meaning: &'static str) -> Declared {
    Declared {
        name,
        kind: Kind::Counter,
        unit: "",
        labels,
        meaning,
    }
}

const fn gauge(name: &'static str, labels: &'static [Label], meaning: &'static str) -> Declared {
    Declared {
        kind: Kind::Gauge,
        ..counter(name, labels, meaning)
    }
}

const fn seconds(kind: Kind, declared: Declared) -> Declared {
    Declared {
        kind,
        unit: "s",
        ..declared
    }
}

const fn bytes(name: &'static str, meaning: &'static str) -> Declared {
    Declared {
        unit: "By",
        ..gauge(name, &[], meaning)
    }
}

macro_rules! declare {
    ($($name:ident = $declared:expr;)*) => {
        $(pub(super) const $name: Declared = $declared;)*

        /// Every metric, in the order of the page.
        pub(super) const ALL: &[Declared] = &[$($name),*];
    };
}

declare! {
    SERVER_DURATION = seconds(Kind::Histogram, counter(
        "http.server.request.duration",
        &[
            words("http.request.method", &["DELETE", "_OTHER"]),
            words("http.route", &[
                "/bigin/v2/{module_api_name}/{record_id}/photo",
                "/{account}/bigin/v2/{module_api_name}/{record_id}/photo",
            ]),
            STATUS,
            some("error.type", "the status again, from 500 on"),
            words("url.scheme", &["http"]),
        ],
        "Duration of callers' requests, from their head to their response.",
    ));
    CLIENT_DURATION = seconds(Kind::Histogram, counter(
        "http.client.request.duration",
        &[
            ACCOUNT,
            words("http.request.method", &["DELETE"]),
            some("server.address", "the host of the account's API"),
            some("server.port", "its port"),
            STATUS,
            some("error.type", "the status again, from 400 on; or without a status: `unreachable`, `no_time`, \
                `timeout`, `connection_lost`, `invalid_answer`, `token_ended`, `not_canonical`"),
        ],
        "Duration of calls to Zoho's API: each attempt is one.",
    ));
    DELETES = counter(
        "bigin.photo.deletes",
        &[
            ACCOUNT,
            Label { name: "module", values: Values::Of(|| Module::ALL.iter().map(|it| it.as_str()).collect()) },
            Label { name: "outcome", values: Values::Of(|| Outcome::ALL.iter().map(|it| it.as_str()).collect()) },
            CODE,
            words("act", &["caller", "operator", "zoho-admin", "nobody"]),
        ],
        "Deletions asked for, by what became of them, and who must act on it.",
    );
    REJECTED = counter(
        "bigin.inbound.rejected",
        &[words("code", &[
            "BAD_REQUEST", "CALLER_UNAUTHORIZED", "INTERNAL_ERROR", "INVALID_DATA", "INVALID_MODULE",
            "INVALID_REQUEST_METHOD", "INVALID_URL_PATTERN", "UNKNOWN_ACCOUNT",
        ])],
        "Requests answered without a deletion: they named no photo of ours, broke a rule, or had no right to ask.",
    );
    INBOUND_ERRORS = counter(
        "bigin.inbound.errors",
        &[words("kind", &[
            "peer_not_allowed", "not_http", "head_too_large", "head_timeout", "write_timeout", "made_room",
            "not_accepted", "broken",
        ])],
        "Connections that ended without an answerable request, by kind.",
    );
    CONNECTIONS = gauge(
        "bigin.inbound.connections",
        &[some("thread", "the number of a data-path thread, from 0")],
        "Connections of callers, by the data-path thread that serves them.",
    );
    JOINED = counter(
        "bigin.requests.joined",
        &[ACCOUNT],
        "Deletions for which another request made the call, because it waited for the same one.",
    );
    WAITING = gauge("bigin.requests.waiting", &[ACCOUNT], "Requests that wait for a token or for a call to end.");
    IN_FLIGHT = gauge("bigin.calls.in_flight", &[ACCOUNT], "Calls to Zoho's API in flight.");
    LIMIT = gauge(
        "bigin.calls.limit",
        &[ACCOUNT],
        "The most calls in flight for now: upstream.max_in_flight, or less while Zoho takes fewer.",
    );
    BREAKER_OPEN = gauge(
        "bigin.breaker.open",
        &[ACCOUNT],
        "1 while Zoho's API is left alone because connections to it fail.",
    );
    RETRIES = counter(
        "bigin.retries",
        &[ACCOUNT, words("result", &["won", "lost"])],
        "Deletions for which a second call was made: won if the photo was deleted, lost if not.",
    );
    RETRIES_REFUSED = counter(
        "bigin.retries.refused",
        &[ACCOUNT],
        "Second calls that were not made because the budget for them was spent.",
    );
    CREDITS = gauge(
        "bigin.credits.remaining",
        &[ACCOUNT],
        "API credits that Zoho said are left; it says so once half of them are spent.",
    );
    DAILY_CALLS = gauge(
        "bigin.daily_calls.remaining",
        &[ACCOUNT],
        "Calls that the account's daily_calls leave this replica now.",
    );
    TOKEN_REQUESTS = counter(
        "bigin.token.requests",
        &[ACCOUNT, words("result", &["ok", "unreached", "failed", "refused", "throttled"])],
        "Token requests to the accounts server, by result.",
    );
    TOKEN_WAITS = counter("bigin.token.waits", &[ACCOUNT], "Requests that had to wait for an access token.");
    TOKEN_EXPIRY = seconds(Kind::Gauge, gauge(
        "bigin.token.expiry.timestamp",
        &[ACCOUNT],
        "When the current access token expires, since 1970; 0 without one.",
    ));
    TOKEN_VERSION = gauge(
        "bigin.token.version",
        &[ACCOUNT],
        "The version of the current access token, which rises with each new one; 0 without one.",
    );
    TOKENS_LIVE = gauge(
        "bigin.token.live",
        &[ACCOUNT],
        "Access tokens that this replica has had and that have not expired, an estimate of those that Zoho keeps (of more \
            than 10, it forgets the oldest): over replicas the sum, or with a token store the largest.",
    );
    TOKEN_BUDGET = gauge("bigin.token.budget.remaining", &[ACCOUNT], "Token requests left in the current window.");
    TOKEN_COOLDOWN = seconds(Kind::Gauge, gauge(
        "bigin.token.cooldown",
        &[ACCOUNT],
        "How long no token request is made, because the last one failed or the budget is spent.",
    ));
    TOKENS_ADOPTED = counter(
        "bigin.token.adopted",
        &[ACCOUNT],
        "Access tokens that another replica had asked for, taken from the token store.",
    );
    FOREIGN_API_DOMAINS = counter(
        "bigin.token.foreign_api_domains",
        &[ACCOUNT],
        "Tokens issued with another API host than the configured one.",
    );
    CREDENTIAL_FAILURES = counter(
        "bigin.credential.failures",
        &[
            ACCOUNT,
            words("key", &["client_secret", "refresh_token"]),
            some("position", "its place in the list, from 1"),
            words("problem", &["refused", "unusable"]),
        ],
        "Credentials that cannot be used, by key, position in its list (0: no longer in it) and problem.",
    );
    STORE_UP = gauge("bigin.token_store.up", &[ACCOUNT], "1 while the token store answers.");
    STORE_COMMANDS = counter(
        "bigin.token_store.commands",
        &[
            ACCOUNT,
            words("command", &["take", "look", "publish", "fail", "discard"]),
            words("result", &[
                "ok", "dns", "unreachable", "tls", "timeout", "lost", "refused", "cluster", "read_only", "failing", "odd",
            ]),
        ],
        "Commands to the token store, by result.",
    );
    STORE_TAMPERED = counter(
        "bigin.token_store.tampered",
        &[ACCOUNT],
        "Entries of the token store that do not open: not sealed by a holder of the credentials.",
    );
    LINES_DROPPED = counter(
        "bigin.log.lines.dropped",
        &[],
        "Log lines that were dropped because standard output does not keep up, or fails.",
    );
    EVENTS_LOST = counter(
        "bigin.audit.events.lost",
        &[],
        "Audit events that were lost because where they go does not keep up, or fails.",
    );
    SPANS_DROPPED = counter(
        "bigin.telemetry.spans.dropped",
        &[words("reason", &["queue_full", "not_exported"])],
        "Spans that were dropped because the collector does not keep up, or took them not.",
    );
    PUSHES_FAILED = counter(
        "bigin.telemetry.pushes.failed",
        &[words("signal", &["metrics", "traces"])],
        "Requests to the collector that failed; some are repeated.",
    );
    PANICS = counter(
        "bigin.panics",
        &[],
        "Panics, each contained where it happened: in a request, a connection, or a task in the background.",
    );
    BUILD_INFO = gauge(
        "bigin.build.info",
        &[some("version", "of the program"), some("commit", "that it was built from")],
        "The program that runs; always 1.",
    );
    TASKS = gauge("tokio.runtime.tasks", &[RUNTIME], "Tasks that are alive.");
    RUN_QUEUE = gauge("tokio.runtime.queue", &[RUNTIME], "Tasks that other threads woke and that wait to be run.");
    BUSY = seconds(Kind::Counter, counter(
        "tokio.runtime.busy",
        &[RUNTIME],
        "How long the runtime's thread was not idle: a rate near 1 is a thread that keeps up no longer.",
    ));
    CPU = seconds(Kind::Counter, counter("process.cpu", &[], "CPU time of the process, user and system."));
    RESIDENT = bytes("process.resident_memory", "Memory of the process that is in RAM.");
    VIRTUAL = bytes("process.virtual_memory", "Addresses that the process has mapped.");
    OPEN_FDS = gauge("process.open_fds", &[], "Descriptors that the process has open.");
    MAX_FDS = gauge("process.max_fds", &[], "The most descriptors that it may have open.");
    START_TIME = seconds(Kind::Gauge, gauge("process.start_time", &[], "When the process started, since 1970."));
}
