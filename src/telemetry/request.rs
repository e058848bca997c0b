//! One request, observed: its metrics, its canonical log line, its spans. Written once, when all is known.

use std::sync::Arc;

use tokio::time::Instant;

use super::Telemetry;
use super::record::{Parent, RequestRecord};
use super::series::{AccountSeries, ServerSeries};
use crate::zoho::Origin;

/// Observes the requests of one process.
pub struct Observer {
    telemetry: Arc<Telemetry>,
    server: ServerSeries,
    accounts: Vec<AccountSeries>,
}

impl Observer {
    /// An observer for these accounts, in the order of their ids.
    pub fn new<'a>(
        telemetry: Arc<Telemetry>,
        accounts: impl Iterator<Item = (&'a str, &'a Origin)>,
    ) -> Self {
        let accounts = accounts
            .map(|(name, api)| AccountSeries::new(name, api))
            .collect();
        Self {
            telemetry,
            server: ServerSeries::new(),
            accounts,
        }
    }

    /// Reports a request that is over.
    pub fn finished(&self, record: &RequestRecord<'_>) {
        let ended = Instant::now();
        self.count(record, ended);
        let trace_id = match &self.telemetry.tracer {
            Some(tracer) => Some(tracer.request_finished(record, self.account_of(record), ended)),
            None => record.parent.as_ref().map(Parent::trace_id),
        };
        self.log(record, trace_id, ended);
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
        let Some(target) = &record.target else { return };
        let Some(series) = self.accounts.get(target.account.index()) else {
            return;
        };
        series.deleted(metrics, target.module, record.outcome, record.code);
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
    }

    /// The canonical line: one a request, with everything that explains it.
    fn log(
        &self,
        record: &RequestRecord<'_>,
        trace_id: Option<opentelemetry::trace::TraceId>,
        ended: Instant,
    ) {
        let upstream: std::time::Duration = record
            .calls
            .iter()
            .map(|call| call.ended - call.begun)
            .sum();
        tracing::info!(
            target: "bigin_photo_proxy::request",
            request_id = record.request_id,
            trace_id = trace_id.map(tracing::field::display),
            peer = record.peer,
            account = self.account_of(record),
            module = record.target.map(|target| target.module.as_str()),
            status = record.status.as_u16(),
            code = record.code.as_str(),
            outcome = record.outcome.as_str(),
            act = record.act,
            calls = record.calls.len(),
            error = record.calls.last().and_then(|call| call.result.err()),
            duration_ms = milliseconds(ended - record.begun),
            zoho_ms = milliseconds(upstream),
            "request"
        );
    }

    fn account_of(&self, record: &RequestRecord<'_>) -> Option<&str> {
        let series = self.accounts.get(record.target?.account.index())?;
        Some(series.account())
    }
}

/// With three digits behind the point: more would be noise.
fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
