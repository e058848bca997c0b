//! Latencies, kept to 1/128 of their size.

use std::time::Duration;

const STEPS: usize = 128;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            counts: vec![0; 64 * STEPS],
            total: 0,
            max: 0,
        }
    }

    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[index(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Microseconds that this share of all latencies does not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = ((share * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map_or(0.0, |at| value(at).min(self.max) as f64 / 1000.0)
    }
}

/// Each power of two has 128 steps; what is below 128 ns counts as that.
fn index(nanos: u64) -> usize {
    let nanos = nanos.max(STEPS as u64);
    let power = nanos.ilog2() as usize - 7;
    power * STEPS + (nanos >> power) as usize - STEPS
}

fn value(index: usize) -> u64 {
    ((index % STEPS + STEPS) as u64) << (index / STEPS)
}
