//! One request, observed: its metrics, its canonical log line, its spans, its audit event. Written once, when all is known.

use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, TraceId};
use tokio::time::Instant;
use tracing::Level;

use super::Telemetry;
use super::audit::Audit;
use super::line::key;
use super::log::Log;
use super::record::{Parent, RequestRecord};
use super::series::{AccountSeries, ServerSeries};
use crate::zoho::Origin;

/// What the canonical lines are filtered by.
const TARGET: &str = "bigin_photo_proxy::request";

/// Observes the requests of one process.
pub struct Observer {
    telemetry: Arc<Telemetry>,
    log: Log,
    audit: Audit,
    server: ServerSeries,
    accounts: Vec<AccountSeries>,
}

impl Observer {
    /// An observer for these accounts, in the order of their ids.
    pub fn new<'a>(
        telemetry: Arc<Telemetry>,
        log: Log,
        audit: Audit,
        accounts: impl Iterator<Item = (&'a str, &'a Origin)>,
    ) -> Self {
        let accounts = accounts
            .map(|(name, api)| AccountSeries::new(name, api))
            .collect();
        Self {
            telemetry,
            log,
            audit,
            server: ServerSeries::new(),
            accounts,
        }
    }

    /// Reports a request that is over.
    pub fn finished(&self, record: &RequestRecord<'_>) {
        let ended = Instant::now();
        self.count(record, ended);
        let tracer = self.telemetry.tracer.as_ref();
        let span = tracer.and_then(|it| it.request_finished(record, self.series_of(record), ended));
        let trace_id = span
            .as_ref()
            .map(SpanContext::trace_id)
            .or_else(|| record.parent.as_ref().map(Parent::trace_id));
        let span_id = span.as_ref().map(SpanContext::span_id);
        self.log(record, (trace_id, span_id), ended);
        if let (Some(target), Some(account)) = (record.target, self.account_of(record)) {
            self.audit.deletion(record, (account, target), trace_id);
        }
    }

    fn count(&self, record: &RequestRecord<'_>, ended: Instant) {
        let metrics = &self.telemetry.metrics;
        let seconds = (ended - record.begun).as_secs_f64();
        self.server.record(
            metrics,
            (record.route, record.is_delete),
            record.status,
            seconds,
        );
        if record.panicked {
            metrics.panicked();
        }
        let (Some(target), Some(series)) = (record.target, self.series_of(record)) else {
            return metrics.rejected(record.code);
        };
        series.deleted(metrics, target.module, record);
        for call in record.calls {
            series.called(
                metrics,
                call.result,
                (call.ended - call.begun).as_secs_f64(),
            );
        }
        if record.waited_for_token {
            series.waited_for_token(metrics);
        }
        if record.joined {
            metrics.joined(series.account());
        }
        if record.calls.len() > 1 {
            metrics.retried(series.account(), record.outcome);
        }
    }

    /// The canonical line: one a request, with everything that explains it.
    fn log(
        &self,
        record: &RequestRecord<'_>,
        (trace_id, span_id): (Option<TraceId>, Option<SpanId>),
        ended: Instant,
    ) {
        if !tracing::enabled!(target: TARGET, Level::INFO) {
            return;
        }
        self.log.line(Level::INFO, TARGET, |line| {
            line.message("request");
            line.plain(key!("request_id"), record.request_id);
            if let Some(trace_id) = trace_id {
                line.plainly(key!("trace_id"), trace_id);
            }
            if let Some(span_id) = span_id {
                line.plainly(key!("span_id"), span_id);
            }
            line.plain(key!("peer"), record.peer);
            if let Some(account) = self.account_of(record) {
                line.plain(key!("account"), account);
            }
            if let Some(target) = record.target {
                line.plain(key!("module"), target.module.as_str());
            }
            line.number(key!("status"), record.status.as_u16().into());
            line.plain(key!("code"), record.code.as_str());
            line.plain(key!("outcome"), record.outcome.as_str());
            line.plain(key!("act"), record.act);
            line.number(key!("calls"), record.calls.len() as u64);
            if let Some(error) = record.calls.last().and_then(|call| call.result.err()) {
                line.plain(key!("error"), error);
            }
            if record.joined {
                line.value("joined", true);
            }
            line.milliseconds(key!("duration_ms"), ended - record.begun);
            let at_zoho = record.calls.iter().map(|call| call.ended - call.begun);
            line.milliseconds(key!("zoho_ms"), at_zoho.sum());
        });
    }

    fn account_of(&self, record: &RequestRecord<'_>) -> Option<&str> {
        self.series_of(record).map(AccountSeries::account)
    }

    fn series_of(&self, record: &RequestRecord<'_>) -> Option<&AccountSeries> {
        self.accounts.get(record.target?.account.index())
    }
}
