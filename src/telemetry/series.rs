//! The metrics of the request path, as handles that are bound to their labels at first use.
//!
//! Recording is then an addition, and no search. The handles stand in tables that are indexed by enums.

use std::sync::OnceLock;

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram};

use super::Metrics;
use super::record::Route;
use crate::outcome::Outcome;
use crate::target::Module;
use crate::zoho::{Code, Origin};

/// The statuses that have handles of their own; others are rare and looked up each time.
const COMMON: [u16; 16] = [
    200, 400, 401, 403, 404, 405, 429, 500, 502, 503, 504, 201, 204, 408, 409, 422,
];

/// The handles of the request path that belong to the whole process.
pub(super) struct ServerSeries(Cells<BoundHistogram<f64>>);

impl ServerSeries {
    pub(super) fn new() -> Self {
        Self(Cells::new(Route::ALL.len() * 2 * COMMON.len()))
    }

    pub(super) fn record(
        &self,
        metrics: &Metrics,
        (route, is_delete): (Route, bool),
        status: StatusCode,
        seconds: f64,
    ) {
        let labels = || {
            let mut labels = vec![
                KeyValue::new(
                    "http.request.method",
                    if is_delete { "DELETE" } else { "_OTHER" },
                ),
                KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
                KeyValue::new("url.scheme", "http"),
            ];
            labels.extend(
                route
                    .template()
                    .map(|template| KeyValue::new("http.route", template)),
            );
            labels
        };
        let row = route as usize * 2 + usize::from(is_delete);
        match common(status) {
            Some(column) => {
                self.0
                    .get(row * COMMON.len() + column, || {
                        metrics.server_duration.bind(&labels())
                    })
                    .record(seconds);
            }
            None => metrics.server_duration.record(seconds, &labels()),
        }
    }
}

/// The handles of the request path that belong to one account.
pub(super) struct AccountSeries {
    account: String,
    address: [KeyValue; 2],
    deletes: Cells<BoundCounter<u64>>,
    answered: Cells<BoundHistogram<f64>>,
    waits: OnceLock<BoundCounter<u64>>,
}

impl AccountSeries {
    pub(super) fn new(account: &str, api: &Origin) -> Self {
        Self {
            account: account.to_owned(),
            address: [
                KeyValue::new("server.address", api.host().to_owned()),
                KeyValue::new("server.port", i64::from(api.port())),
            ],
            deletes: Cells::new(Module::ALL.len() * Outcome::ALL.len() * Code::ALL.len()),
            answered: Cells::new(COMMON.len()),
            waits: OnceLock::new(),
        }
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// A deletion is over.
    pub(super) fn deleted(&self, metrics: &Metrics, module: Module, outcome: Outcome, code: Code) {
        let index = (module as usize * Outcome::ALL.len() + outcome as usize) * Code::ALL.len()
            + code as usize;
        let bind = || {
            metrics.deletes.bind(&[
                KeyValue::new("account", self.account.clone()),
                KeyValue::new("module", module.as_str()),
                KeyValue::new("outcome", outcome.as_str()),
                KeyValue::new("code", code.as_str()),
            ])
        };
        self.deletes.get(index, bind).add(1);
    }

    /// A call is over: with a status, or with an error.
    pub(super) fn called(
        &self,
        metrics: &Metrics,
        result: Result<StatusCode, &'static str>,
        seconds: f64,
    ) {
        let labels = |what| {
            let [address, port] = self.address.clone();
            let account = KeyValue::new("account", self.account.clone());
            [
                account,
                KeyValue::new("http.request.method", "DELETE"),
                address,
                port,
                what,
            ]
        };
        let status = |status: StatusCode| {
            labels(KeyValue::new(
                "http.response.status_code",
                i64::from(status.as_u16()),
            ))
        };
        match result.map(|answer| (answer, common(answer))) {
            Ok((answer, Some(column))) => {
                self.answered
                    .get(column, || metrics.client_duration.bind(&status(answer)))
                    .record(seconds);
            }
            Ok((answer, None)) => metrics.client_duration.record(seconds, &status(answer)),
            Err(error) => metrics
                .client_duration
                .record(seconds, &labels(KeyValue::new("error.type", error))),
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

fn common(status: StatusCode) -> Option<usize> {
    COMMON.iter().position(|common| *common == status.as_u16())
}
