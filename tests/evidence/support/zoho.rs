//! A Zoho that does not share its thread with those who measure.

use std::sync::mpsc;

use zoho_sandbox::{Sandbox, Settings};

/// Starts a sandbox on a thread and a runtime of its own, until the process ends.
pub(crate) fn start_zoho(settings: Settings) -> Sandbox {
    let (sender, receiver) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let zoho = Sandbox::bind(([127, 0, 0, 1], 0).into(), settings).await;
            sender.send(zoho.unwrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
}
