//! The ledger while it is written.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{Ledger, SeenRequest, TokenLogEntry};

/// A [`Ledger`] in the making: the same, with the kept requests in a ring.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    requests: VecDeque<SeenRequest>,
    started: Instant,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            requests: VecDeque::new(),
            started: Instant::now(),
        }
    }

    /// Milliseconds from the start of this book until now.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn keep(&mut self, request: SeenRequest, at_most: usize) {
        self.ledger.requests_seen += 1;
        self.requests.push_back(request);
        let surplus = self.requests.len().saturating_sub(at_most);
        self.requests.drain(..surplus);
    }

    pub(crate) fn token_request(&mut self, entry: TokenLogEntry) {
        self.ledger.token_requests += 1;
        self.ledger.token_log.push(entry);
    }

    pub(crate) fn token_issued(&mut self) {
        self.ledger.tokens_issued += 1;
        self.ledger.calls_per_token.push(0);
    }

    pub(crate) fn call(&mut self, token: Option<usize>, in_flight: u64) {
        self.ledger.calls += 1;
        self.ledger.highest_concurrency = self.ledger.highest_concurrency.max(in_flight);
        if let Some(calls) = token.and_then(|index| self.ledger.calls_per_token.get_mut(index)) {
            *calls += 1;
        }
    }

    pub(crate) fn snapshot(&self, live_tokens: usize) -> Ledger {
        let mut ledger = self.ledger.clone();
        ledger.live_tokens = live_tokens as u64;
        ledger.requests = self.requests.iter().cloned().collect();
        ledger
    }
}
