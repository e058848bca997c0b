//! What reads the metrics: whoever scrapes, and the push to a collector. Both read the same sums, so that nothing is
//! counted twice.

use std::sync::Weak;
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, PeriodicReader, Pipeline, Temporality};

/// One reader to the SDK, which keeps sums for each reader that it knows.
#[derive(Debug)]
pub(super) struct Readers {
    pub(super) scrape: PrometheusExporter,
    pub(super) push: Option<PeriodicReader<MetricExporter>>,
}

impl MetricReader for Readers {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        if let Some(push) = &self.push {
            push.register_pipeline(Weak::clone(&pipeline));
        }
        self.scrape.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.scrape.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.push.as_ref().map_or(Ok(()), MetricReader::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        // The push first: its last reading needs the sums.
        let pushed = match &self.push {
            Some(push) => push.shutdown_with_timeout(timeout),
            None => Ok(()),
        };
        self.scrape.shutdown_with_timeout(timeout).and(pushed)
    }

    /// Prometheus knows no other.
    fn temporality(&self, _kind: InstrumentKind) -> Temporality {
        Temporality::Cumulative
    }
}
