//! One token request a token, whatever callers and Zoho do; and nobody waits for it while a token lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, Settings, TokenFault, When};

use crate::support::{TestApp, eventually};

/// Room for many callers at once.
const WIDE: &str = "upstream.max_in_flight = 1000\nupstream.queue = 2000";

async fn zoho_with(change: impl FnOnce(&mut Settings)) -> Sandbox {
    let zoho = Sandbox::start().await;
    zoho.change(|settings| {
        settings.concurrency = 10_000;
        change(settings);
    });
    zoho
}

#[tokio::test]
async fn fifty_callers_and_a_cold_start_cause_one_token_request() {
    let zoho = zoho_with(|_| {}).await;
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 200 });
    let app = TestApp::without_token(&zoho, "");

    let replies = join_all((1..=50).map(|id| app.delete_photo("Contacts", id))).await;

    assert!(
        replies.iter().all(|reply| reply.outcome() == "deleted"),
        "{replies:?}"
    );
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn a_token_is_asked_for_at_the_start_and_not_at_the_first_request() {
    let zoho = zoho_with(|_| {}).await;
    let app = TestApp::spawn(&zoho).await;

    assert_eq!(zoho.ledger().token_requests, 1);
    app.delete_photo("Contacts", 1).await;
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn the_credentials_travel_in_the_form_body_and_never_in_the_url() {
    let zoho = zoho_with(|_| {}).await;
    let _app = TestApp::spawn(&zoho).await;

    assert!(
        zoho.ledger()
            .token_log
            .iter()
            .all(|request| !request.used_query)
    );
}

#[tokio::test]
async fn revoking_the_token_under_200_callers_costs_one_token_request_and_no_caller_an_error() {
    let zoho = zoho_with(|_| {}).await;
    let app = Arc::new(TestApp::with(&zoho, WIDE).await);
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));

    let callers = (0..200).map(|caller| {
        let (app, stop, done) = (Arc::clone(&app), Arc::clone(&stop), Arc::clone(&done));
        tokio::spawn(async move {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let reply = app.delete_photo("Contacts", caller + 1).await;
                done.fetch_add(1, Ordering::Relaxed);
                if reply.outcome() != "deleted" {
                    failed.push(reply);
                }
            }
            failed
        })
    });
    let callers: Vec<_> = callers.collect();
    let served = async |more: usize| {
        let goal = done.load(Ordering::Relaxed) + more;
        eventually("callers are served", async || {
            done.load(Ordering::Relaxed) >= goal
        })
        .await;
    };
    served(400).await;
    let before = zoho.ledger();
    zoho.revoke_tokens();
    served(1000).await;
    stop.store(true, Ordering::Relaxed);
    let failed: Vec<_> = join_all(callers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();

    assert!(failed.is_empty(), "{failed:?}");
    let after = zoho.ledger();
    assert_eq!(after.token_requests - before.token_requests, 1);
    assert!(
        after.refused_for_token > before.refused_for_token,
        "nobody used the revoked token"
    );
}

#[tokio::test]
async fn a_slow_renewal_after_a_revocation_costs_no_caller_an_error() {
    let zoho = zoho_with(|settings| settings.delay_ms = 20).await;
    let app = TestApp::with(&zoho, "upstream.queue = 40").await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    zoho.on_token(When::Next(1), TokenFault::Slow { milliseconds: 2500 });
    zoho.revoke_tokens();

    // Ten calls in flight, and a full queue behind them that may wait for a place for one second alone.
    let replies = join_all((1..=50).map(|id| app.delete_photo("Contacts", id))).await;

    let failed: Vec<_> = replies
        .iter()
        .filter(|reply| reply.outcome() != "deleted")
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    let ledger = zoho.ledger();
    assert_eq!((ledger.token_requests, ledger.refused_for_token), (2, 10));
    assert!(ledger.highest_concurrency <= 10);
}

#[tokio::test]
async fn a_thousand_concurrent_refusals_of_one_token_cause_one_token_request() {
    let zoho = zoho_with(|_| {}).await;
    let app = TestApp::with(&zoho, WIDE).await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    // Zoho answers late, so that all calls are under way with the same token before the first is refused.
    zoho.change(|settings| settings.delay_ms = 2000);
    zoho.revoke_tokens();

    let replies = join_all((1..=1000).map(|id| app.delete_photo("Contacts", id))).await;

    assert!(replies.iter().all(|reply| reply.outcome() == "deleted"));
    let ledger = zoho.ledger();
    assert_eq!(ledger.token_requests, 2);
    assert_eq!(ledger.refused_for_token, 1000);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_is_told_as_such_and_stays() {
    let zoho = zoho_with(|_| {}).await;
    let app = TestApp::spawn(&zoho).await;
    let fault = ApiFaultKind::Answer {
        status: 401,
        code: "INVALID_TOKEN".into(),
        message: "invalid oauth token".to_owned(),
    };
    zoho.on_delete(When::Always, ApiFault::before(fault));

    for id in 1..=20 {
        let reply = app.delete_photo("Contacts", id).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (502, "TOKEN_REJECTED")
        );
        assert_eq!(reply.outcome(), "refused");
        assert_eq!(reply.json()["details"]["act"], "operator");
        let expected =
            "bigin-photo-proxy; error=proxy_configuration_error; details=\"TOKEN_REJECTED\"";
        assert_eq!(reply.header("proxy-status"), expected);
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=5).contains(&wait), "{wait}");
    }
    // The next renewal is due after 5 s, as after a transient failure, and callers are told so.
    assert_eq!(zoho.ledger().token_requests, 1);
    assert_eq!(
        app.delete_photo("Contacts", 1).await.header("retry-after"),
        "5"
    );

    // It ends when Zoho's incident does, with the token that is there.
    zoho.well();
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    assert_eq!(zoho.ledger().token_requests, 1);
}

#[tokio::test]
async fn refusing_every_token_costs_one_renewal_a_token_in_growing_steps() {
    // A window of 12 s: the waits are 0.1, 0.3, 0.9 and then 2.2 to 2.4 s.
    let zoho = zoho_with(|settings| settings.window_seconds = 12.0).await;
    let app = TestApp::with(&zoho, "token.budget_window = \"12s\"").await;
    let fault = ApiFaultKind::Answer {
        status: 401,
        code: "INVALID_TOKEN".into(),
        message: String::new(),
    };
    zoho.on_delete(When::Always, ApiFault::before(fault));

    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        join_all((1..=8).map(|id| app.delete_photo("Contacts", id))).await;
    }

    let times: Vec<_> = zoho
        .ledger()
        .token_log
        .iter()
        .map(|request| request.at_ms)
        .collect();
    assert!((4..=5).contains(&times.len()), "{times:?}");
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        waits[0] >= 90 && waits[1] >= 290 && waits[2] >= 890,
        "{waits:?}"
    );
}

#[tokio::test]
async fn short_lived_tokens_are_renewed_in_the_background_and_nobody_ever_waits() {
    nobody_waits_for_successive_tokens(10, 1.0).await;
}

#[tokio::test]
async fn tokens_of_five_seconds_are_renewed_for_a_minute_and_nobody_ever_waits() {
    nobody_waits_for_successive_tokens(14, 5.0).await;
}

/// Load through the lives of so many tokens, with a budget that is scaled alike.
async fn nobody_waits_for_successive_tokens(tokens: u64, seconds: f64) {
    let zoho = zoho_with(|settings| {
        settings.token_lifetime_seconds = seconds;
        settings.tokens_per_window = 1000;
    })
    .await;
    let window = format!("token.budget_window = \"{seconds}s\"");
    let app = Arc::new(TestApp::with(&zoho, &window).await);
    let stop = Arc::new(AtomicBool::new(false));
    let callers = (1..=4).map(|id| {
        let (app, stop) = (Arc::clone(&app), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let reply = app.delete_photo("Contacts", id).await;
                assert_eq!(reply.outcome(), "deleted", "{reply:?}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    while zoho.ledger().tokens_issued < tokens + 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in join_all(callers).await {
        caller.unwrap();
    }

    let ledger = zoho.ledger();
    assert_eq!(
        (ledger.expired_token_uses, ledger.refused_for_token),
        (0, 0)
    );
    assert!(app.metric("bigin_token_waits_total", &[]).await.abs() < f64::EPSILON);
    // The first token, and one request for each that came after it, at 85 to 92 percent of the life before.
    assert_eq!(ledger.token_requests, tokens + 1);
    let times: Vec<_> = ledger
        .token_log
        .iter()
        .map(|request| request.at_ms)
        .collect();
    let waits = times
        .windows(2)
        .map(|pair| Duration::from_millis(pair[1] - pair[0]).as_secs_f64());
    let shares: Vec<_> = waits.map(|wait| wait / seconds).collect();
    assert!(
        shares.iter().all(|share| (0.845..0.96).contains(share)),
        "{shares:?}"
    );
}

#[tokio::test]
async fn the_budget_holds_however_tokens_die() {
    // 8 requests in any 3 s, while tokens are accepted once and then revoked, at once, again and again.
    let zoho = zoho_with(|settings| {
        settings.window_seconds = 3.0;
        settings.tokens_per_window = 1000;
    })
    .await;
    let app = TestApp::with(&zoho, "token.budget_window = \"3s\"").await;

    let end = Instant::now() + Duration::from_secs(7);
    let mut told_to_wait = 0;
    while Instant::now() < end {
        let reply = app.delete_photo("Contacts", 1).await;
        if reply.outcome() == "deleted" {
            zoho.revoke_tokens();
        } else {
            assert_eq!(reply.code(), "TOKEN_UNAVAILABLE");
            told_to_wait += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    let most = zoho
        .ledger()
        .most_token_requests_within(Duration::from_millis(2950));
    assert_eq!(most, 8);
    assert!(told_to_wait > 0);
    let remaining = app.metric("bigin_token_budget_remaining", &[]).await;
    assert!(remaining <= 8.0);
}
