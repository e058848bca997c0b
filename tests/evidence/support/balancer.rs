//! A small TCP balancer in front of replicas. It knows nothing of HTTP and asks nobody: its list is what it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// A running balancer. It serves until the runtime ends.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    replicas: Mutex<Vec<SocketAddr>>,
    connections: AtomicUsize,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let balancer = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
        };
        tokio::spawn(balance(listener, Arc::clone(&balancer.shared)));
        balancer
    }

    /// Sends new connections to this replica as well.
    pub(crate) fn add(&self, replica: SocketAddr) {
        self.shared.replicas.lock().unwrap().push(replica);
    }

    /// Sends it no new connections any more. Those that it has go on.
    pub(crate) fn remove(&self, replica: SocketAddr) {
        self.shared
            .replicas
            .lock()
            .unwrap()
            .retain(|it| *it != replica);
    }

    /// How many connections callers have made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

/// Spreads connections over the replicas in turn.
async fn balance(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (mut caller, _) = listener.accept().await.unwrap();
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let replica = {
            let mut replicas = shared.replicas.lock().unwrap();
            replicas.rotate_left(1);
            replicas[0]
        };
        tokio::spawn(async move {
            // A replica that refuses or cuts is no error of the balancer's: the caller learns of it.
            if let Ok(mut replica) = TcpStream::connect(replica).await {
                replica.set_nodelay(true).unwrap();
                caller.set_nodelay(true).unwrap();
                drop(copy_bidirectional(&mut caller, &mut replica).await);
            }
        });
    }
}
