//! What operators are shown, and the listener that shows it.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context;
use tower::Service;

use super::ADMIN_CONNECTIONS;
use crate::admin::{Account, Admin};
use crate::config::{AccountConfig, Networks, ServerConfig};
use crate::proxy::Shared;
use crate::server::{Limits, Peer, Server, Spread};
use crate::shutdown::Shutdown;
use crate::telemetry::{AccountGauges, AccountReading, Telemetry};
use crate::token::Kept;

/// The operators' listener, running.
pub(super) fn operators(
    listener: TcpListener,
    shows: Arc<Admin>,
    config: &ServerConfig,
    telemetry: &Arc<Telemetry>,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let (history, router) = (shows.history(), shows.router());
    let (spread, handed_over) = Spread::over(1).pop().context("one thread was asked for")?;
    let server = Server {
        spread,
        listener: tokio::net::TcpListener::from_std(listener)?,
        answer: move |request, _: &Peer| {
            let mut router = router.clone();
            async move {
                let Ok(response) = router.call(request).await;
                response
            }
        },
        limits: Limits::new(ADMIN_CONNECTIONS, config),
        allowed_peers: Networks::default(),
        telemetry: Arc::clone(telemetry),
        // It answers to the very end.
        shutdown: Shutdown::default(),
    };
    let telemetry = Arc::clone(telemetry);
    Ok(async move {
        let following = telemetry.contain("the history of deletions", history.follow());
        tokio::join!(server.run(handed_over), following);
    })
}

/// What operators are shown.
pub(super) fn shown(accounts: &[AccountConfig], kept: Vec<Kept>) -> Vec<Account> {
    let accounts = accounts.iter().zip(kept);
    let accounts = accounts.map(|(account, kept)| Account {
        name: account.name.clone(),
        api: account.api.clone(),
        slot: kept.slot,
    });
    accounts.collect()
}

/// What changes without an event.
pub(super) fn gauges(
    accounts: &[AccountConfig],
    kept: &[Kept],
    shared: &[Arc<Shared>],
) -> Arc<[AccountGauges]> {
    let gauges = accounts
        .iter()
        .zip(kept)
        .zip(shared)
        .map(|((account, kept), shared)| {
            let (budget, shared) = (kept.budget.clone(), Arc::clone(shared));
            let read = move || {
                let Shared { slot, gate, .. } = &*shared;
                let token = slot.current();
                AccountReading {
                    token_expiry: token.as_ref().map_or(0.0, |token| token.expiry_timestamp()),
                    token_version: token.as_ref().map_or(0, |token| token.version()),
                    tokens_live: slot.live() as u64,
                    token_budget: budget.remaining() as u64,
                    token_cooldown: slot.cooldown(),
                    in_flight: gate.in_flight() as u64,
                    waiting: gate.waiting() as u64,
                    cap: gate.cap() as u64,
                    breaker_open: shared.breaker.is_open(),
                    retries_refused: shared.retries.refused(),
                    credits_remaining: shared.credits.remaining(),
                    daily_calls_remaining: shared
                        .daily
                        .as_ref()
                        .map(|daily| daily.remaining() as u64),
                }
            };
            AccountGauges {
                account: account.name.clone(),
                read: Box::new(read),
            }
        });
    gauges.collect()
}
