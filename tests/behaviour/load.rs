//! What Zoho cannot take is not sent: the cap gives way, and an API that cannot be reached is left alone.

use futures_util::future::join_all;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, Settings, When};

use crate::support::{TestApp, eventually};

#[tokio::test]
async fn the_cap_gives_way_until_zoho_takes_every_call_and_grows_back() {
    let settings = Settings {
        concurrency: 4,
        ..Settings::default()
    };
    let zoho = Sandbox::bind(([127, 0, 0, 1], 0).into(), settings)
        .await
        .unwrap();
    let keys = "upstream.queue = 1000\nupstream.queue_timeout = \"20s\"";
    let app = TestApp::with(&zoho, keys).await;
    let slow = ApiFaultKind::Slow { milliseconds: 20 };
    zoho.on_delete(When::Always, ApiFault::before(slow));

    // Calls that Zoho refused as one too many, and that were made again.
    let mut refused = Vec::new();
    for _ in 0..4 {
        let before = zoho.ledger().calls;
        join_all((1..=60).map(|id| app.delete_photo("Contacts", id))).await;
        refused.push(zoho.ledger().calls - before - 60);
    }

    assert!(refused[0] >= 5, "{refused:?}");
    assert!(refused[3] * 2 <= refused[0], "{refused:?}");
    let cap = app.metric("bigin_calls_limit", &[]).await;
    assert!((1.0..=7.0).contains(&cap), "{cap}");

    zoho.well();
    eventually("the cap is back", async || {
        app.delete_photo("Contacts", 1).await;
        app.metric("bigin_calls_limit", &[]).await > cap
    })
    .await;
}
