//! What requests and the keeper see of each other, with a paused clock, and once with threads.

use http::HeaderValue;

use super::*;

const LONG: Duration = Duration::from_hours(1);

fn slot() -> Slot {
    Slot::new(0, Slot::cache(1))
}

fn token(version: u64) -> Arc<AccessToken> {
    let expires = Instant::now() + LONG;
    Arc::new(AccessToken::new(
        version,
        HeaderValue::from_static("x"),
        expires,
    ))
}

/// A slot with an accepted token and a keeper at rest.
fn slot_at_rest(version: u64) -> (Slot, Arc<AccessToken>) {
    let (slot, token) = (slot(), token(version));
    token.accepted();
    slot.put(Arc::clone(&token));
    slot.finished(Standing::Good);
    assert!(slot.rest(Instant::now()));
    (slot, token)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_not_handed_out_after_its_end() {
    let (slot, _) = slot_at_rest(1);
    tokio::time::advance(LONG / 2).await;
    assert!(slot.current().is_some());

    tokio::time::advance(LONG / 2).await;

    assert!(slot.current().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_dropped_once_and_a_late_refusal_does_not_touch_the_next() {
    let (slot, old) = slot_at_rest(1);
    assert_eq!(slot.reject(&old), Rejection::Dropped);
    assert!(slot.current().is_none());
    assert!(!old.is_usable());
    slot.put(token(2));

    assert_eq!(slot.reject(&old), Rejection::Dropped);

    assert_eq!(slot.current().map(|token| token.version()), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_never_accepted_stays_although_it_is_refused() {
    let slot = slot();
    let fresh = token(1);
    slot.put(Arc::clone(&fresh));

    assert_eq!(slot.reject(&fresh), Rejection::NeverAccepted(None));
    assert!(slot.current().is_some());
    slot.renews_refused(Instant::now() + LONG);
    assert_eq!(slot.reject(&fresh), Rejection::NeverAccepted(Some(LONG)));

    fresh.accepted();
    assert_eq!(slot.reject(&fresh), Rejection::Dropped);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_after_a_drop_waits_for_the_request_that_begins_at_once() {
    let (slot, token_1) = slot_at_rest(1);
    slot.reject(&token_1);

    let waiting = slot.wait(Instant::now() + LONG);
    let keeper = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        slot.put(token(2));
        slot.finished(Standing::Good);
        slot.rest(Instant::now());
    };
    let (found, ()) = tokio::join!(waiting, keeper);

    assert_eq!(found.map(|token| token.version()).ok(), Some(2));
}

#[test]
fn a_refusal_of_the_old_token_never_takes_the_new_one_away() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    for _ in 0..20_000 {
        let (slot, old) = slot_at_rest(1);
        let new = token(2);
        std::thread::scope(|scope| {
            scope.spawn(|| slot.reject(&old));
            slot.put(new);
        });

        assert_eq!(slot.current().map(|token| token.version()), Some(2));
        assert_eq!(slot.held().map(|token| token.version()), Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn between_tries_nobody_waits() {
    let slot = slot();
    let failure = Failure::Transient("test");
    slot.finished(Standing::Failed(failure));
    slot.rest(Instant::now() + Duration::from_secs(5));

    let unavailable = slot.wait(Instant::now() + LONG).await.err();

    let expected = Unavailable {
        cause: Some(failure),
        retry_after: Duration::from_secs(5),
    };
    assert_eq!(unavailable, Some(expected));
}

#[tokio::test(start_paused = true)]
async fn a_drop_between_tries_does_not_bring_the_next_try_forward() {
    let (slot, token) = slot_at_rest(1);
    slot.finished(Standing::Failed(Failure::Transient("test")));
    slot.rest(Instant::now() + Duration::from_secs(5));
    slot.reject(&token);

    let unavailable = slot.wait(Instant::now() + LONG).await.err();

    assert_eq!(
        unavailable.map(|it| it.retry_after),
        Some(Duration::from_secs(5))
    );
}

#[tokio::test(start_paused = true)]
async fn the_keeper_does_not_rest_while_a_request_is_owed() {
    let (slot, token) = slot_at_rest(1);
    slot.reject(&token);

    assert!(!slot.rest(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_token_past_its_end_is_still_the_one_that_is_held() {
    let (slot, _) = slot_at_rest(1);
    tokio::time::advance(LONG).await;

    assert!(slot.current().is_none());
    assert_eq!(slot.held().map(|token| token.version()), Some(1));
}

#[tokio::test(start_paused = true)]
async fn slots_that_share_a_cache_keep_their_tokens() {
    let cache = Slot::cache(3);
    let slots: Vec<_> = (0..3)
        .map(|number| Slot::new(number, cache.clone()))
        .collect();
    for (version, slot) in (1..).zip(&slots) {
        slot.put(token(version));
    }
    cache.run_pending_tasks();

    let held = slots.iter().filter_map(Slot::held);
    let versions: Vec<_> = held.map(|token| token.version()).collect();

    assert_eq!(versions, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_token_request_is_in_flight_waits_for_it_and_learns_how_long_it_may_take()
{
    let (slot, _) = slot_at_rest(1);
    tokio::time::advance(LONG).await;
    slot.requesting(Instant::now() + Duration::from_secs(10));

    let waited = slot.wait(Instant::now() + Duration::from_secs(3)).await;

    let expected = Unavailable {
        cause: None,
        retry_after: Duration::from_secs(7),
    };
    assert_eq!(waited.err(), Some(expected));
}

#[tokio::test(start_paused = true)]
async fn a_token_request_that_begins_ends_what_was_said_of_the_renewal_of_a_refused_token() {
    let (slot, fresh) = (slot(), token(1));
    slot.put(Arc::clone(&fresh));
    slot.renews_refused(Instant::now() + LONG);

    slot.requesting(Instant::now() + LONG);

    assert_eq!(slot.reject(&fresh), Rejection::NeverAccepted(None));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_wakes_the_keeper_also_if_it_looks_later() {
    let (slot, token) = slot_at_rest(1);
    let soon = Duration::from_secs(1);
    assert!(tokio::time::timeout(soon, slot.woken()).await.is_err());

    slot.reject(&token);

    assert!(tokio::time::timeout(soon, slot.woken()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn its_standing_is_the_latest_requests_and_a_token_once_brought_is_not_forgotten() {
    let slot = slot();
    let text = |slot: &Slot| slot.standing().to_string();
    assert_eq!(text(&slot), "the first token request has not ended yet");
    assert!(!slot.was_good());
    slot.finished(Standing::Good);
    assert_eq!(text(&slot), "the latest token request brought a token");

    let failure = Failure::Transient("no answer in time");
    slot.finished(Standing::Failed(failure));

    assert_eq!(text(&slot), failure.to_string());
    assert!(slot.was_good());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_its_deadline() {
    let slot = slot();
    let begun = Instant::now();

    assert!(slot.wait(begun + Duration::from_secs(3)).await.is_err());

    assert_eq!(begun.elapsed(), Duration::from_secs(3));
}
