//! One row of the contract: what a caller sends, what Zoho does, and what everybody then sees.

use std::ops::RangeInclusive;

use zoho_sandbox::{ApiFault, ApiFaultKind};

/// The record that all rows are about: long enough to be found wherever it must not stand.
pub(super) const ID: u64 = 2_034_020_000_000_489_033;

/// One row of the contract.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) outcome: &'static str,
    /// What `Proxy-Status` says behind the name.
    pub(super) proxy_status: String,
    /// Who must act: in the log, and in the proxy's own envelopes.
    pub(super) act: &'static str,
    /// Whether the very same request may succeed later, as the proxy's own envelopes say.
    pub(super) retry: Option<bool>,
    /// The seconds of `Retry-After`, if it is there.
    pub(super) retry_after: Option<RangeInclusive<u64>>,
    /// The calls that were begun.
    pub(super) calls: u64,
    /// Of these, the ones that Zoho saw.
    pub(super) seen: u64,
    /// Whether module and id were understood, so that it counts as a deletion.
    pub(super) understood: bool,
    /// Whether the connection is closed afterwards.
    pub(super) closes: bool,
    /// The code in metrics, logs and the audit event, which know a closed list.
    pub(super) counted_as: &'static str,
}

impl Expected {
    /// Zoho's own final answer, to the first call.
    pub(super) fn zoho(status: u16, code: &'static str, outcome: &'static str) -> Self {
        Self {
            status,
            code,
            outcome,
            proxy_status: format!("received-status={status}"),
            act: "nobody",
            retry: None,
            retry_after: None,
            calls: 1,
            seen: 1,
            understood: true,
            closes: false,
            counted_as: code,
        }
    }

    /// The proxy's own answer, without a call.
    pub(super) fn ours(
        status: u16,
        code: &'static str,
        outcome: &'static str,
        error: &str,
    ) -> Self {
        Self {
            proxy_status: format!("error={error}; details=\"{code}\""),
            retry: Some(true),
            calls: 0,
            seen: 0,
            ..Self::zoho(status, code, outcome)
        }
    }

    /// The proxy's own answer to a request that is wrong in itself.
    pub(super) fn wrong(status: u16, code: &'static str) -> Self {
        Self {
            act: "caller",
            retry: Some(false),
            understood: false,
            ..Self::ours(status, code, "not-sent", "http_request_error")
        }
    }

    pub(super) fn deleted() -> Self {
        Self::zoho(200, "SUCCESS", "deleted")
    }

    pub(super) fn act(self, act: &'static str) -> Self {
        Self { act, ..self }
    }

    pub(super) fn retry_after(self, seconds: RangeInclusive<u64>) -> Self {
        let retry_after = Some(seconds);
        Self {
            retry_after,
            ..self
        }
    }

    /// So many calls, all of which Zoho saw.
    pub(super) fn calls(self, calls: u64) -> Self {
        Self {
            calls,
            seen: calls,
            ..self
        }
    }

    /// So many calls, none of which Zoho saw.
    pub(super) fn vain_calls(self, calls: u64) -> Self {
        Self { calls, ..self }
    }

    pub(super) fn counted_as(self, counted_as: &'static str) -> Self {
        Self { counted_as, ..self }
    }

    pub(super) fn closes(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }
}

/// What a caller sends.
pub(super) struct Request {
    line: String,
    headers: String,
}

impl Request {
    /// A request line and `Host`.
    pub(super) fn line(line: &str) -> Self {
        Self::bare(line).with("Host: proxy")
    }

    /// A request line alone.
    pub(super) fn bare(line: &str) -> Self {
        Self {
            line: line.to_owned(),
            headers: String::new(),
        }
    }

    pub(super) fn path(path: &str) -> Self {
        Self::line(&format!("DELETE {path} HTTP/1.1"))
    }

    /// What is right in every respect.
    pub(super) fn photo() -> Self {
        Self::of("Contacts")
    }

    pub(super) fn of(module: &str) -> Self {
        Self::path(&format!("/bigin/v2/{module}/{ID}/photo"))
    }

    pub(super) fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }

    pub(super) fn bytes(&self, request_id: &str) -> String {
        let Self { line, headers } = self;
        format!("{line}\r\n{headers}X-Request-Id: {request_id}\r\n\r\n")
    }

    /// The module of the record, if there is one.
    pub(super) fn module(&self) -> &str {
        let modules = ["Contacts", "Accounts", "Products"];
        let named = |module: &&&str| self.line.contains(**module);
        modules.iter().find(named).copied().unwrap_or_default()
    }
}

/// Any envelope of Zoho's, in the place of a call.
pub(super) fn envelope(status: u16, code: &str, message: &str) -> ApiFault {
    ApiFault::before(ApiFaultKind::Answer {
        status,
        code: code.into(),
        message: message.to_owned(),
    })
}
