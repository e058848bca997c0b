//! The store that replicas share, as one keeper sees it: the newest token, whose turn it is to ask for the next one, why
//! the last try failed, and how many are left.
//!
//! It is an optimisation. Every answer may be [`Away`](Turn::Away), and a keeper then goes on alone. No request of a
//! caller's comes here. Invariants: what is read is sealed by a holder of the same credentials or is a miss; a token's
//! life is counted from before the store was asked, so that no replica uses it longer than the one that got it.

mod answer;
mod connection;
mod home;
mod seal;
mod shared;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ToRedisArgs};
use ring::rand::{self, SystemRandom};
use rustls::ClientConfig;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::access::{AccessToken, Trial};
use super::credentials::Pair;
use super::grant::Failure;
use super::schedule::between;
use crate::config::{AccountConfig, TokenConfig, TokenStoreConfig};
use crate::telemetry::TokenObserver;
use answer::Answer;
use connection::Connection;
use home::{FAILURE, Home, TOKEN};
use seal::Seal;

pub use connection::Away;
pub(super) use shared::Shared;

/// A lease outlives the token request that it is for by this: time to publish what came of it.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// Seconds from one look to the next: what one replica publishes, the others know within a second.
const LOOK_INTERVAL: Range<f64> = 0.7..0.9;

/// The store, for the token of one account.
pub struct Store {
    connection: Connection,
    script: Script,
    home: Home,
    /// The credentials that what is shared comes from, the names of its keys, and what seals it.
    pair: Pair,
    keys: [String; 5],
    seal: Seal,
    limits: Limits,
    observer: TokenObserver,
    /// This replica, for this run.
    replica: u64,
    /// How many turns it has ended: each is known to the others under its own name.
    turns: u64,
    next_look: Instant,
    /// The store's clock, in milliseconds, not later than at that moment.
    clock: Option<(u64, Instant)>,
    /// Why it was away last time, if it was.
    away: Option<Away>,
}

/// What holds for all replicas together.
struct Limits {
    lease: Duration,
    budget: usize,
    window: Duration,
}

impl Limits {
    fn new(token: &TokenConfig) -> Self {
        Self {
            lease: token.timeout + LEASE_MARGIN,
            budget: token.budget,
            window: token.budget_window,
        }
    }
}

/// Whether a token request may be made.
pub(super) enum Turn {
    /// It is this replica's turn. The token that comes of it has this version.
    Mine(u64),
    /// Another replica has been faster.
    Newer(Shared),
    /// Another replica is at it, for so long at most.
    Busy(Duration),
    /// Another replica has failed, and the next try is due then.
    Failed(Failure, Duration),
    /// All replicas together have used up the budget, for so long.
    Spent(Duration),
    /// The store does not answer.
    Away,
}

/// What a look at the store has shown.
pub(super) enum Seen {
    /// A newer token.
    Newer(Shared),
    /// No token, or an older one.
    Missing,
    /// The same token, which Zoho's API has accepted somewhere.
    Accepted,
    /// Nothing new.
    Nothing,
}

impl Store {
    /// The store for the token that the account's first credentials bring, with the TLS that it is reached by. `None` if
    /// there are no credentials, or no random numbers.
    #[must_use]
    pub fn of(
        account: &AccountConfig,
        token: &TokenConfig,
        (config, tls): (&Arc<TokenStoreConfig>, &Arc<ClientConfig>),
        observer: TokenObserver,
    ) -> Option<Self> {
        let pair = Pair::first_of(account)?;
        // The system's own: fastrand begins with the time and the thread, which replicas may have in common.
        let replica = rand::generate(&SystemRandom::new()).ok()?.expose();
        let home = Home::of(account, config);
        let (keys, seal) = home.names_and_seal(&pair);
        Some(Self {
            connection: Connection::new(Arc::clone(config), tls),
            script: Script::new(include_str!("store/store.lua")),
            home,
            pair,
            keys,
            seal,
            limits: Limits::new(token),
            observer,
            replica: u64::from_ne_bytes(replica),
            turns: 0,
            next_look: Instant::now(),
            clock: None,
            away: None,
        })
    }

    /// How long one command may take.
    pub(super) fn command_timeout(&self) -> Duration {
        self.connection.command_timeout()
    }

    /// The pair whose token is shared.
    pub(super) fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Turns to what another pair brings, between two turns.
    pub(super) fn turn_to(&mut self, pair: &Pair) {
        if self.pair != *pair {
            (self.keys, self.seal) = self.home.names_and_seal(pair);
            self.pair = pair.clone();
        }
    }

    /// Asks for the turn to make a token request. `held` is the newest version that is known here; whoever insists takes
    /// over from a replica that is at it.
    pub(super) async fn take(&mut self, held: u64, insist: bool) -> Turn {
        let Limits {
            lease,
            budget,
            window,
        } = self.limits;
        let arguments = (
            self.owner(),
            milliseconds(lease),
            budget,
            milliseconds(window),
            u8::from(insist),
        );
        // A second time, after what did not open is out of the way.
        for _ in 0..2 {
            let Ok(answer) = self.run("take", held, &arguments).await else {
                break;
            };
            let turn = match answer.what.as_str() {
                "mine" => Some(Turn::Mine(answer.time.max(held + 1))),
                "busy" => Some(Turn::Busy(answer.wait(0, lease))),
                "spent" => Some(Turn::Spent(answer.wait(0, window))),
                "throttled" => {
                    let failure = Failure::Throttled(None);
                    Some(Turn::Failed(failure, answer.wait(0, window)))
                }
                "failed" => {
                    let failure = self.open_failure(&answer).await;
                    failure.map(|failure| Turn::Failed(failure, answer.wait(1, window)))
                }
                _ => self.open_token(&answer).await.map(Turn::Newer),
            };
            if let Some(turn) = turn {
                return turn;
            }
        }
        Turn::Away
    }

    /// Waits until a look is due, and looks. A dropped look is made good by the next one.
    pub(super) async fn look(&mut self, token: Option<&AccessToken>, held: u64) -> Seen {
        tokio::time::sleep_until(self.next_look).await;
        self.next_look = Instant::now() + Duration::from_secs_f64(between(LOOK_INTERVAL));
        let accepted = token.is_some_and(|token| token.trial() == Trial::Accepted);
        let arguments = (u8::from(accepted), token.map(milliseconds_left));
        let Ok(answer) = self.run("look", held, &arguments).await else {
            return Seen::Nothing;
        };
        match answer.what.as_str() {
            "none" | "older" => Seen::Missing,
            "accepted" => Seen::Accepted,
            "newer" => self
                .open_token(&answer)
                .await
                .map_or(Seen::Missing, Seen::Newer),
            _ => Seen::Nothing,
        }
    }

    /// Whether it can be reached, read and written: every operation needs all three.
    pub async fn probe(&mut self) -> Result<(), Away> {
        self.run("look", 0, &0).await.map(drop)
    }

    /// Lets the others have a token, and ends the turn. Returns a newer token, if there is one.
    pub(super) async fn publish(
        &mut self,
        token: &AccessToken,
        lifetime: Duration,
    ) -> Option<Shared> {
        let owner = self.end_turn();
        let (time, seen) = self.clock?;
        let version = token.version();
        let text = Shared::text_of(token, lifetime);
        let sealed = self.seal.seal(&self.keys[TOKEN], version, &text)?;
        let accepted = u8::from(token.trial() == Trial::Accepted);
        for _ in 0..2 {
            let expires = time + milliseconds(token.expires().saturating_duration_since(seen));
            let left = milliseconds_left(token);
            let arguments = (&owner, accepted, &sealed, expires, left);
            let answer = self.run("publish", version, &arguments).await.ok()?;
            if answer.what != "newer" {
                return None;
            }
            let newer = self.open_token(&answer).await;
            if newer.is_some() {
                return newer;
            }
        }
        None
    }

    /// Ends the turn without a token, and lets the others know why, if there is a reason. Returns a newer token, if there
    /// is one.
    pub(super) async fn fail(
        &mut self,
        held: u64,
        failure: Option<(Failure, Duration)>,
    ) -> Option<Shared> {
        let owner = self.end_turn();
        let wait = failure.map_or(0, |(_, wait)| milliseconds(wait));
        let throttled = matches!(failure, Some((Failure::Throttled(_), _)));
        // No request was made, or it surely never reached Zoho.
        let refund = matches!(failure, None | Some((Failure::Unreached(_), _)));
        let text = failure.map_or_else(String::new, |(failure, _)| failure.to_text());
        let sealed = self.seal.seal(&self.keys[FAILURE], 0, text.as_bytes())?;
        let cool_down = if throttled { wait } else { 0 };
        let arguments = (owner, sealed, wait, cool_down, u8::from(refund));
        let answer = self.run("fail", held, &arguments).await.ok()?;
        if answer.what == "newer" {
            self.open_token(&answer).await
        } else {
            None
        }
    }

    /// The name of the turn that is under way or comes next.
    fn owner(&self) -> String {
        format!("{:016x}-{}", self.replica, self.turns)
    }

    fn end_turn(&mut self) -> String {
        let owner = self.owner();
        self.turns += 1;
        owner
    }

    /// Runs an operation of the script.
    async fn run(
        &mut self,
        operation: &'static str,
        held: u64,
        arguments: &impl ToRedisArgs,
    ) -> Result<Answer, Away> {
        let mut script = self.script.key(&self.keys);
        script.arg(operation).arg(held).arg(arguments);
        let asked = Instant::now();
        let answer = self.connection.run(&script).await;
        let answer = answer.and_then(|answer| Answer::parse(answer, asked).ok_or(Away::Odd));
        self.note(asked, operation, answer.as_ref().err().copied());
        if let Ok(answer) = &answer {
            self.clock = Some((answer.time, Instant::now()));
        }
        answer
    }

    /// Tells once that the store is away, once for each cause, and once that it is back.
    fn note(&mut self, asked: Instant, operation: &'static str, away: Option<Away>) {
        if away == Some(Away::Resting) {
            return;
        }
        self.observer
            .stored(asked, operation, away.map_or("ok", Away::as_str));
        let account = self.observer.account();
        match away {
            Some(cause) if self.away != away => {
                warn!(account, %cause, "the token store does not answer; this replica goes on alone");
            }
            None if self.away.is_some() => info!(account, "the token store answers again"),
            _ => {}
        }
        self.away = away;
    }

    /// The token in an answer. One that does not open is deleted.
    async fn open_token(&mut self, answer: &Answer) -> Option<Shared> {
        let sealed = answer.bytes(2);
        let version = answer.number(0);
        let token = version.and_then(|version| {
            let text = self.seal.open(&self.keys[TOKEN], version, sealed)?;
            Shared::parse(&text, version, answer)
        });
        if token.is_none() {
            self.discard(sealed).await;
        }
        token
    }

    async fn open_failure(&mut self, answer: &Answer) -> Option<Failure> {
        let sealed = answer.bytes(0);
        let text = self.seal.open(&self.keys[FAILURE], 0, sealed);
        let failure = text.and_then(|text| Failure::from_text(&text));
        if failure.is_none() {
            self.discard(sealed).await;
        }
        failure
    }

    /// Deletes what does not open.
    async fn discard(&mut self, sealed: &[u8]) {
        self.observer.tampered();
        error!(
            account = self.observer.account(),
            "the token store holds an entry that no holder of these credentials has sealed: it is deleted"
        );
        // If it cannot be deleted, it is found again.
        drop(self.run("discard", 0, &sealed).await);
    }
}

fn milliseconds_left(token: &AccessToken) -> u64 {
    milliseconds(token.expires().saturating_duration_since(Instant::now()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
