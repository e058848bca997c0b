//! The one state of a sandbox, behind one lock that is never held across an await.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faults::{ApiFault, FaultQueue, TokenFault};
use crate::in_flight::InFlight;
use crate::ledger::{Book, Ledger};
use crate::limits::{Credits, Throttle};
use crate::settings::{Module, Settings};
use crate::tokens::Tokens;

/// What handles and connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The address of the API, as clients are told it.
    pub(crate) api_url: String,
    /// The address of the accounts server.
    pub(crate) accounts_url: String,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Shared {
    pub(crate) fn new(settings: Settings, api_url: String, accounts_url: String) -> Self {
        Self {
            state: Mutex::new(State::new(settings)),
            api_url,
            accounts_url,
            in_flight: Arc::default(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// The state. A test that panics while it changes settings does not take the sandbox away from the others.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all faults.
    pub(crate) fn well(&self) {
        let mut state = self.lock();
        state.token_faults.clear();
        state.api_faults.clear();
    }
}

/// All that a request can read or change.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) throttle: Throttle,
    /// The grant codes that have been used.
    pub(crate) used_codes: HashSet<String>,
    pub(crate) credits: Credits,
    /// Records whose photo has been deleted.
    pub(crate) without_photo: HashSet<(Module, u64)>,
    pub(crate) token_faults: FaultQueue<TokenFault>,
    pub(crate) api_faults: FaultQueue<ApiFault>,
    pub(crate) book: Book,
}

impl State {
    fn new(settings: Settings) -> Self {
        let mut seed = Rng::with_seed(settings.seed);
        Self {
            settings,
            tokens: Tokens::new(seed.fork()),
            throttle: Throttle::default(),
            used_codes: HashSet::new(),
            credits: Credits::default(),
            without_photo: HashSet::new(),
            token_faults: FaultQueue::new(seed.fork()),
            api_faults: FaultQueue::new(seed.fork()),
            book: Book::new(),
        }
    }

    /// Begins anew with the current settings.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.settings.clone());
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.book.snapshot(self.tokens.live())
    }
}
