//! The end of the process, in steps: leaving, closing, cut.
//!
//! *Leaving*: unready, still serving, each response asks its caller to connect elsewhere. *Closing*: no new connections;
//! what was accepted is finished. *Cut*: what is left is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The steps of the end, for everyone who must know. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Steps>);

#[derive(Default)]
struct Steps {
    asked: CancellationToken,
    in_haste: AtomicBool,
    leaving: AtomicBool,
    closing: CancellationToken,
    cut: CancellationToken,
}

impl Shutdown {
    /// Asks the process to end: in haste (Ctrl-C), or so that load balancers can notice first.
    pub fn ask(&self, in_haste: bool) {
        self.0.in_haste.store(in_haste, Ordering::Relaxed);
        self.0.asked.cancel();
    }

    /// Whether the process is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    /// Waits until no new connections are wanted.
    pub async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    /// Waits until nothing is waited for any more.
    pub async fn cut(&self) {
        self.0.cut.cancelled().await;
    }

    /// Waits to be asked, goes on serving for `delay`, and then begins to close.
    pub async fn close_when_asked(&self, delay: Duration) {
        self.0.asked.cancelled().await;
        self.0.leaving.store(true, Ordering::Relaxed);
        if !self.0.in_haste.load(Ordering::Relaxed) {
            tracing::info!(
                drain_delay_s = delay.as_secs_f64(),
                "leaving: still serving, no longer ready"
            );
            tokio::time::sleep(delay).await;
        }
        tracing::info!("closing: finishing what was accepted");
        self.0.closing.cancel();
    }

    /// Drops what is left.
    pub fn cut_now(&self) {
        self.0.cut.cancel();
    }
}

/// Receives SIGTERM and SIGINT from now on, inside a runtime: before, one would kill the process, or be lost if it is
/// process 1. What is returned asks for the end at the first signal, and returns at the second.
pub fn on_signals(shutdown: Shutdown) -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        for _ in 0..2 {
            // A signal that comes while the other one is handled stays pending in its stream.
            tokio::select! {
                _ = terminate.recv() => shutdown.ask(false),
                _ = interrupt.recv() => shutdown.ask(true),
            }
        }
    })
}
