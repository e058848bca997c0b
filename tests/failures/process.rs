//! The process in trouble: killed, or left by its callers.

use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use super::row::{Expected, Request};
use super::scene::Scene;
use crate::support::{Program, Wire, client, config_for, eventually};

const REQUEST: &[u8] =
    b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\nX-Request-Id: left\r\n\r\n";

#[tokio::test]
async fn a_process_that_is_killed_says_nothing_rather_than_something_untrue() {
    let zoho = Sandbox::start().await;
    let mut program = Program::serve(&config_for(&zoho, ""));
    let (address, admin) = program.addresses();
    let ready = format!("http://{admin}/readyz");
    eventually("ready", async || {
        client().get(&ready).send().await.unwrap().status() == 200
    })
    .await;
    zoho.on_delete(When::Always, ApiFault::after(ApiFaultKind::Hang));

    let mut wire = Wire::to(address).await;
    wire.send(REQUEST).await;
    eventually("it is carried out", async || {
        zoho.ledger().deletions.len() == 1
    })
    .await;
    program.signal("KILL");

    assert!(wire.answer().await.is_none());
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing_and_its_outcome_is_logged() {
    let scene = Scene::new().await;
    let slow = ApiFaultKind::Slow { milliseconds: 200 };
    scene.zoho.on_delete(When::Next(1), ApiFault::before(slow));
    let before = scene.zoho.ledger();

    let mut wire = Wire::to(scene.app.address).await;
    wire.send(REQUEST).await;
    eventually("the call is under way", async || {
        scene.zoho.ledger().calls > before.calls
    })
    .await;
    wire.reset();

    let line = scene.app.log_line("left").await;
    assert_eq!(
        (&line["outcome"], &line["calls"]),
        (&"deleted".into(), &1.into())
    );
    eventually("the deletion is audited", async || {
        let events = scene.app.audit_events("left");
        events.iter().any(|event| event["outcome"] == "deleted")
    })
    .await;
    assert_eq!(
        scene.zoho.ledger().deletions.len(),
        before.deletions.len() + 1
    );
    scene.expect(&Request::photo(), &Expected::deleted()).await;
    assert_eq!(
        scene.zoho.ledger().connections,
        before.connections,
        "it was kept"
    );
}
