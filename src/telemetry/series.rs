//! The metrics of the request path, as handles that are bound to their labels at first use.
//!
//! Recording is then an addition, and no search. The handles stand in tables that are indexed by enums.

use std::sync::OnceLock;

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram};

use super::Metrics;
use super::record::{RequestRecord, Route};
use crate::outcome::Outcome;
use crate::target::Module;
use crate::zoho::{Code, Origin};

/// The statuses that are told apart. Any other is counted as the x00 of its class, which is what it means to whoever does not
/// know it (RFC 9110, section 15): else a server could add series without end.
const STATUSES: [u16; 17] = [
    200, 400, 401, 403, 404, 405, 429, 500, 502, 503, 504, 201, 204, 300, 408, 409, 422,
];

/// The handles of the request path that belong to the whole process.
pub(super) struct ServerSeries(Cells<BoundHistogram<f64>>);

impl ServerSeries {
    pub(super) fn new() -> Self {
        Self(Cells::new(Route::ALL.len() * 2 * STATUSES.len()))
    }

    pub(super) fn record(
        &self,
        metrics: &Metrics,
        (route, is_delete): (Route, bool),
        status: StatusCode,
        seconds: f64,
    ) {
        let (column, status) = column(status);
        let bind = || {
            let method = if is_delete { "DELETE" } else { "_OTHER" };
            let mut labels = vec![
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.response.status_code", i64::from(status)),
                KeyValue::new("url.scheme", "http"),
            ];
            let template = route.template();
            labels.extend(template.map(|template| KeyValue::new("http.route", template)));
            labels.extend(error_type(status, 500));
            metrics.server_duration.bind(&labels)
        };
        let row = route as usize * 2 + usize::from(is_delete);
        self.0
            .get(row * STATUSES.len() + column, bind)
            .record(seconds);
    }
}

/// Where calls go, as the semantic conventions have it.
#[derive(Clone)]
pub(super) struct Address {
    url: String,
    labels: [KeyValue; 2],
}

impl Address {
    pub(super) fn of(origin: &Origin) -> Self {
        Self {
            url: origin.to_string(),
            labels: [
                KeyValue::new("server.address", origin.host().to_owned()),
                KeyValue::new("server.port", i64::from(origin.port())),
            ],
        }
    }

    /// What a span of a call there has. The path holds no record id.
    pub(super) fn attributes(&self, method: &'static str, path: &str) -> [KeyValue; 5] {
        let [address, port] = self.labels.clone();
        [
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.full", format!("{}{path}", self.url)),
            KeyValue::new("network.protocol.version", "1.1"),
            address,
            port,
        ]
    }
}

/// The handles of the request path that belong to one account.
pub(super) struct AccountSeries {
    account: String,
    api: Address,
    /// Deletions that succeeded, by module: what is not as it should be is looked up each time.
    deleted: Cells<BoundCounter<u64>>,
    answered: Cells<BoundHistogram<f64>>,
    waits: OnceLock<BoundCounter<u64>>,
}

impl AccountSeries {
    pub(super) fn new(account: &str, api: &Origin) -> Self {
        Self {
            account: account.to_owned(),
            api: Address::of(api),
            deleted: Cells::new(Module::ALL.len()),
            answered: Cells::new(STATUSES.len()),
            waits: OnceLock::new(),
        }
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn api(&self) -> &Address {
        &self.api
    }

    /// A deletion is over.
    pub(super) fn deleted(&self, metrics: &Metrics, module: Module, record: &RequestRecord<'_>) {
        let labels = || {
            [
                KeyValue::new("account", self.account.clone()),
                KeyValue::new("module", module.as_str()),
                KeyValue::new("outcome", record.outcome.as_str()),
                KeyValue::new("code", record.code.as_str()),
                KeyValue::new("act", record.act),
            ]
        };
        if record.code == Code::Success && record.outcome == Outcome::Deleted {
            let bind = || metrics.deletes.bind(&labels());
            self.deleted.get(module as usize, bind).add(1);
        } else {
            metrics.deletes.add(1, &labels());
        }
    }

    /// A call is over: with a status, or with an error.
    pub(super) fn called(
        &self,
        metrics: &Metrics,
        result: Result<StatusCode, &'static str>,
        seconds: f64,
    ) {
        let labels = || {
            let [address, port] = self.api.labels.clone();
            let account = KeyValue::new("account", self.account.clone());
            let method = KeyValue::new("http.request.method", "DELETE");
            vec![account, method, address, port]
        };
        match result.map(column) {
            Ok((column, status)) => {
                let bind = || {
                    let mut labels = labels();
                    let number = i64::from(status);
                    labels.push(KeyValue::new("http.response.status_code", number));
                    labels.extend(error_type(status, 400));
                    metrics.client_duration.bind(&labels)
                };
                self.answered.get(column, bind).record(seconds);
            }
            Err(error) => {
                let mut labels = labels();
                labels.push(KeyValue::new("error.type", error));
                metrics.client_duration.record(seconds, &labels);
            }
        }
    }

    /// A request had to wait for a token.
    pub(super) fn waited_for_token(&self, metrics: &Metrics) {
        let bind = || {
            metrics
                .token_waits
                .bind(&[KeyValue::new("account", self.account.clone())])
        };
        self.waits.get_or_init(bind).add(1);
    }
}

/// Handles that are bound when they are first needed.
struct Cells<T>(Box<[OnceLock<T>]>);

impl<T> Cells<T> {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| OnceLock::new()).collect())
    }

    fn get(&self, index: usize, bind: impl FnOnce() -> T) -> &T {
        self.0
            .get(index)
            .expect("indexes are made of enums, and the count of their numbers")
            .get_or_init(bind)
    }
}

/// The column of a status, and what it is counted as.
fn column(status: StatusCode) -> (usize, u16) {
    let of = |status| STATUSES.iter().position(|it| *it == status);
    let number = status.as_u16();
    let class = number / 100 * 100;
    [number, class]
        .into_iter()
        .find_map(|status| Some((of(status)?, status)))
        // No class of final answers; the seventh is 500.
        .unwrap_or((7, 500))
}

/// The status once more, if it is an error to this side.
fn error_type(status: u16, least: u16) -> Option<KeyValue> {
    (status >= least).then(|| KeyValue::new("error.type", status.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_nobody_knows_is_counted_as_its_class() {
        for (status, counted_as) in [
            (200, 200),
            (299, 200),
            (418, 400),
            (599, 500),
            (999, 500),
            (100, 500),
        ] {
            let (column, counted) = column(StatusCode::from_u16(status).unwrap());
            assert_eq!((counted, STATUSES[column]), (counted_as, counted_as));
        }
    }
}
