//! The data path: threads that share tokens, gates and telemetry, and have all else for themselves.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;
use tokio::sync::oneshot;

use super::{BLOCKING_THREADS, runtime};
use crate::account::Accounts;
use crate::config::{CallerConfig, CallerTokens, Networks, UpstreamConfig};
use crate::http::Front;
use crate::proxy::{Proxy, Route, Shared};
use crate::server::{HandedOver, Limits, Peer, Server, Spread};
use crate::shutdown::Shutdown;
use crate::telemetry::{Observer, Telemetry};
use crate::upstream::{Connector, Pool, Upstream};
use crate::zoho::Origin;

/// What the threads share, and what each makes its own parts of.
pub(super) struct DataPath {
    pub(super) accounts: Arc<Accounts>,
    /// The API of each account, in the order of their ids.
    pub(super) apis: Vec<Origin>,
    /// What the threads share of each account, in the same order.
    pub(super) shared: Vec<Arc<Shared>>,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) upstream: UpstreamConfig,
    /// How many threads there are.
    pub(super) threads: usize,
    pub(super) callers: CallerConfig,
    pub(super) request_deadline: Duration,
    pub(super) allowed_peers: Networks,
    pub(super) caller_tokens: Option<CallerTokens>,
    pub(super) limits: Limits,
    pub(super) observer: Arc<Observer>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) shutdown: Shutdown,
}

impl DataPath {
    /// Starts a thread with a runtime of its own. The receiver hears when it is over; an error there means that it failed.
    /// With it comes what the runtime tells of itself.
    pub(super) fn spawn(
        self: &Arc<Self>,
        listener: TcpListener,
        spread: (Spread, HandedOver),
    ) -> anyhow::Result<(oneshot::Receiver<()>, RuntimeMetrics)> {
        let (over, receiver) = oneshot::channel();
        let (data_path, runtime) = (Arc::clone(self), runtime(BLOCKING_THREADS)?);
        let metrics = runtime.handle().metrics();
        thread::Builder::new()
            .name("data-path".to_owned())
            .spawn(move || {
                let served = runtime.block_on(data_path.serve(listener, spread));
                // Drops the requests that are left, which report it.
                runtime.shutdown_background();
                match served {
                    // Nobody listens any more if somebody insisted on the end.
                    Ok(()) => drop(over.send(())),
                    Err(error) => tracing::error!(%error, "a data-path thread failed"),
                }
            })?;
        Ok((receiver, metrics))
    }

    /// Serves until everything that was accepted is answered, or cut.
    async fn serve(
        &self,
        listener: TcpListener,
        (spread, handed_over): (Spread, HandedOver),
    ) -> std::io::Result<()> {
        let pools = self.pools();
        let front = Arc::new(Front {
            proxy: Proxy::new(self.routes(&pools)),
            accounts: Arc::clone(&self.accounts),
            caller_tokens: self.caller_tokens.clone(),
            callers: self.callers.clone(),
            observer: Arc::clone(&self.observer),
            request_deadline: self.request_deadline,
            shutdown: self.shutdown.clone(),
        });
        let server = Server {
            listener: tokio::net::TcpListener::from_std(listener)?,
            answer: move |request, peer: &Peer| front.answer(&request, peer),
            limits: self.limits.clone(),
            allowed_peers: self.allowed_peers.clone(),
            spread,
            telemetry: Arc::clone(&self.telemetry),
            shutdown: self.shutdown.clone(),
        };
        tokio::select! {
            () = server.run(handed_over) => {}
            // Never ends.
            () = self.keep_sweeping(&pools) => {}
        }
        Ok(())
    }

    async fn keep_sweeping(&self, pools: &[Arc<Pool>]) {
        loop {
            let sweeping = sweep(pools, self.upstream.pool_idle_timeout);
            self.telemetry.contain("the sweep of pools", sweeping).await;
        }
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        // All threads together keep as many as may be used at once.
        let most = self.upstream.max_in_flight.div_ceil(self.threads);
        self.apis
            .iter()
            .map(|_| Arc::new(Pool::new(most)))
            .collect()
    }

    fn routes(&self, pools: &[Arc<Pool>]) -> Vec<Route> {
        let accounts = self.apis.iter().zip(pools).zip(&self.shared);
        let routes = accounts.map(|((api, pool), shared)| {
            let connector = Connector::new(api, &self.tls, &self.upstream);
            let upstream = Upstream::new(api, connector, Arc::clone(pool));
            Route {
                shared: Arc::clone(shared),
                upstream,
            }
        });
        routes.collect()
    }
}

/// Lets old connections go, for ever.
async fn sweep(pools: &[Arc<Pool>], idle_timeout: Duration) {
    loop {
        tokio::time::sleep(Pool::sweep_interval(idle_timeout)).await;
        for pool in pools {
            pool.sweep();
        }
    }
}
