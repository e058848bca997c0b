//! One thing at a time with a paused clock, and threads that do everything at once.

mod model;
mod sharing;

use std::sync::atomic::AtomicBool;
use std::thread;

use futures_util::FutureExt;

use super::cap::GROWS_EVERY;
use super::*;
use crate::account::Accounts;

/// Those who share a call, and whether they have heard that nobody makes it.
#[derive(Default)]
struct Party {
    is_abandoned: AtomicBool,
}

impl Meeting for Party {
    fn abandoned(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }
}

fn gate(max_in_flight: usize) -> Gate<Party> {
    gate_with(max_in_flight, 64)
}

fn gate_with(max_in_flight: usize, queue: usize) -> Gate<Party> {
    Gate::new(&UpstreamConfig {
        connect_timeout: Duration::ZERO,
        pool_idle_timeout: Duration::ZERO,
        max_in_flight,
        queue,
        queue_timeout: Duration::ZERO,
        ca: rustls::RootCertStore::empty(),
        proxy: None,
    })
}

fn caller(number: u8) -> Caller {
    Caller::Address([127, 0, 0, number].into())
}

/// A photo that nobody else wants to delete.
fn target() -> Target {
    static NEXT: AtomicUsize = AtomicUsize::new(1000);
    target_of(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn target_of(record: usize) -> Target {
    let accounts = Accounts::new(vec!["main".to_owned()], "main").unwrap();
    Target::parse(&format!("/bigin/v2/Contacts/{record}/photo"), &accounts).unwrap()
}

fn wait(gate: &Gate<Party>, number: u8) -> Result<Waiting<'_, Party>, Overloaded> {
    gate.wait(&caller(number), target(), Instant::now())
}

/// Somebody that waits for a place.
fn in_line(gate: &Gate<Party>, number: u8) -> Waiting<'_, Party> {
    let waiting = wait(gate, number).unwrap();
    gate.line_up(waiting.ticket());
    waiting
}

/// What it has been told by now.
fn told<'a>(waiting: &mut Waiting<'a, Party>) -> Option<Result<Turn<'a, Party>, Overloaded>> {
    waiting.turn().now_or_never()
}

/// The place that it has got by now.
fn place<'a>(waiting: &mut Waiting<'a, Party>) -> Option<Call<'a, Party>> {
    match told(waiting) {
        Some(Ok(Turn::Call(call, _))) => Some(call),
        _ => None,
    }
}

fn enter_all(gate: &Gate<Party>) -> Vec<Call<'_, Party>> {
    std::iter::from_fn(|| gate.try_enter()).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_beyond_the_cap_give_no_place_back() {
    let gate = gate(10);
    let mut calls = enter_all(&gate);
    for _ in 0..2 {
        tokio::time::advance(Duration::from_millis(1)).await;
        gate.shrink(Instant::now());
    }
    assert_eq!((gate.cap(), gate.in_flight()), (8, 10));

    calls.truncate(8);
    assert_eq!(gate.in_flight(), 8);
    assert!(gate.try_enter().is_none());
    calls.truncate(7);
    assert!(gate.try_enter().is_some());
    drop(calls);

    assert_eq!((gate.in_flight(), enter_all(&gate).len()), (0, 8));
}

#[tokio::test(start_paused = true)]
async fn growing_forgives_what_is_beyond_the_cap() {
    let gate = gate(10);
    let calls = enter_all(&gate);
    gate.shrink(Instant::now());
    tokio::time::advance(GROWS_EVERY).await;

    gate.grow();
    drop(calls);

    assert_eq!((gate.cap(), enter_all(&gate).len()), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn a_place_goes_to_who_stands_in_line_and_not_to_who_comes_later() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let mut waiting = in_line(&gate, 1);
    assert!(told(&mut waiting).is_none());

    drop(call);

    assert!(gate.try_enter().is_none());
    let call = place(&mut waiting).unwrap();
    assert_eq!((gate.in_flight(), gate.waiting()), (1, 0));
    drop(call);
    assert!(gate.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_token_keeps_nobody_from_a_place() {
    let gate = gate(1);
    let aside = wait(&gate, 1).unwrap();
    assert_eq!(gate.waiting(), 1);

    let call = gate.try_enter().unwrap();
    let mut waiting = in_line(&gate, 2);
    drop(call);

    assert!(place(&mut waiting).is_some());
    drop(aside);
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_free_when_somebody_lines_up_is_its_own() {
    let gate = gate(1);

    assert!(place(&mut in_line(&gate, 1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_place_given_to_one_that_gives_up_goes_to_the_next() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let first = in_line(&gate, 1);
    let mut second = in_line(&gate, 2);
    drop(call);

    drop(first);

    assert!(place(&mut second).is_some());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_does_not_stop_the_others() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let first = in_line(&gate, 1);
    let mut second = in_line(&gate, 1);
    drop(first);
    drop(call);
    assert!(place(&mut second).is_some());

    let call = gate.try_enter().unwrap();
    drop(in_line(&gate, 1));
    drop(call);

    assert!(gate.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn growing_lets_the_next_one_in() {
    let gate = gate(2);
    gate.shrink(Instant::now());
    let _call = gate.try_enter().unwrap();
    let mut waiting = in_line(&gate, 1);
    tokio::time::advance(GROWS_EVERY).await;
    assert!(told(&mut waiting).is_none());

    gate.grow();

    assert!(place(&mut waiting).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_costs_the_caller_that_has_most_in_it() {
    let gate = gate_with(1, 3);
    let _call = gate.try_enter().unwrap();
    let mut greedy = [in_line(&gate, 1), in_line(&gate, 1), in_line(&gate, 1)];
    assert_eq!(wait(&gate, 1).err(), Some(Overloaded::QueueFull));

    let mut modest = in_line(&gate, 2);

    let [first, second, newest] = &mut greedy;
    assert_eq!(told(newest).unwrap().err(), Some(Overloaded::QueueFull));
    assert!(told(first).is_none() && told(second).is_none() && told(&mut modest).is_none());
    assert_eq!(gate.waiting(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_had_a_turn_finds_room_in_a_full_queue_and_is_never_shed() {
    let gate = gate_with(1, 1);
    let call = gate.try_enter().unwrap();
    let mut again = gate.wait_again(&caller(1));
    gate.line_up(again.ticket());
    let mut more = gate.wait_again(&caller(1));
    assert_eq!(gate.waiting(), 2);

    assert_eq!(wait(&gate, 2).err(), Some(Overloaded::QueueFull));

    assert!(told(&mut again).is_none() && told(&mut more).is_none());
    drop(call);
    assert!(place(&mut again).is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_stands_in_line_beyond_its_patience_or_its_deadline() {
    let mut gate = gate(1);
    gate.timeout = Duration::from_secs(1);
    let now = Instant::now();
    let after = |milliseconds| now + Duration::from_millis(milliseconds);

    assert_eq!(gate.patience(after(999)), (after(999), Overloaded::NoTime));
    let too_long = (after(1000), Overloaded::WaitedTooLong);
    assert_eq!(gate.patience(after(1001)), too_long);
}

#[test]
fn no_place_and_no_turn_is_lost_among_threads() {
    const THREADS: u8 = 4;
    const TURNS: usize = 5000;
    let gate = gate_with(2, 1000);
    let most = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (gate, most) = (&gate, &most);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for turn in 0..TURNS {
                        let call = match gate.try_enter() {
                            Some(call) => call,
                            // Some give up at once: perhaps in the moment in which they get a place.
                            None if turn % 7 == 0 => {
                                drop(in_line(gate, number));
                                continue;
                            }
                            None => match in_line(gate, number).turn().await {
                                Ok(Turn::Call(call, _)) => call,
                                _ => panic!("there is room for all, and each wants another photo"),
                            },
                        };
                        most.fetch_max(gate.in_flight(), Ordering::Relaxed);
                        thread::yield_now();
                        drop(call);
                    }
                });
            });
        }
    });

    assert!(most.into_inner() <= 2);
    assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
    assert!(gate.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_place_for_one_that_is_gone_goes_to_the_next() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let (mut gone, mut next) = (in_line(&gate, 1), in_line(&gate, 1));
    gone.turn.close();

    drop(call);

    assert!(place(&mut next).is_some());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_when_its_turn_has_come_has_its_turn() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let (mut early, mut late) = (in_line(&gate, 1), in_line(&gate, 1));
    assert!(late.give_up().await.is_none());

    drop(call);

    assert!(matches!(early.give_up().await, Some(Ok(Turn::Call(..)))));
}
