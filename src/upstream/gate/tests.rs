//! Paused clocks, random sequences of events, and threads.

use std::thread;

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::cap::GROWS_EVERY;
use super::*;

fn gate(max_in_flight: usize) -> Gate {
    gate_with(max_in_flight, 64)
}

fn gate_with(max_in_flight: usize, queue: usize) -> Gate {
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

/// Somebody that waits for a place.
fn in_line(gate: &Gate, number: u8) -> Waiting<'_> {
    let waiting = gate.wait(&caller(number)).unwrap();
    gate.line_up(waiting.ticket());
    waiting
}

/// What it has been told by now.
fn told<'a>(waiting: &mut Waiting<'a>) -> Option<Result<Call<'a>, Overloaded>> {
    waiting.turn().now_or_never()
}

fn has_turn(waiting: &mut Waiting<'_>) -> bool {
    matches!(told(waiting), Some(Ok(_)))
}

fn enter_all(gate: &Gate) -> Vec<Call<'_>> {
    std::iter::from_fn(|| gate.try_enter()).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_beyond_the_cap_give_no_place_back() {
    let gate = gate(10);
    let mut calls = enter_all(&gate);
    gate.shrink();
    gate.shrink();
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
    gate.shrink();
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
    let call = told(&mut waiting).unwrap().unwrap();
    assert_eq!((gate.in_flight(), gate.waiting()), (1, 0));
    drop(call);
    assert!(gate.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_token_keeps_nobody_from_a_place() {
    let gate = gate(1);
    let aside = gate.wait(&caller(1)).unwrap();
    assert_eq!(gate.waiting(), 1);

    let call = gate.try_enter().unwrap();
    let mut waiting = in_line(&gate, 2);
    drop(call);

    assert!(has_turn(&mut waiting));
    drop(aside);
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_free_when_somebody_lines_up_is_its_own() {
    let gate = gate(1);

    assert!(has_turn(&mut in_line(&gate, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_place_given_to_one_that_gives_up_goes_to_the_next() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let first = in_line(&gate, 1);
    let mut second = in_line(&gate, 2);
    drop(call);

    drop(first);

    assert!(has_turn(&mut second));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_does_not_stop_the_others() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let first = in_line(&gate, 1);
    let mut second = in_line(&gate, 1);
    drop(first);
    drop(call);
    assert!(has_turn(&mut second));

    let call = gate.try_enter().unwrap();
    drop(in_line(&gate, 1));
    drop(call);

    assert!(gate.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn growing_lets_the_next_one_in() {
    let gate = gate(2);
    gate.shrink();
    let _call = gate.try_enter().unwrap();
    let mut waiting = in_line(&gate, 1);
    tokio::time::advance(GROWS_EVERY).await;
    assert!(told(&mut waiting).is_none());

    gate.grow();

    assert!(has_turn(&mut waiting));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_costs_the_caller_that_has_most_in_it() {
    let gate = gate_with(1, 3);
    let _call = gate.try_enter().unwrap();
    let mut greedy = [in_line(&gate, 1), in_line(&gate, 1), in_line(&gate, 1)];
    assert_eq!(gate.wait(&caller(1)).err(), Some(Overloaded::QueueFull));

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

    assert_eq!(gate.wait(&caller(2)).err(), Some(Overloaded::QueueFull));

    assert!(told(&mut again).is_none() && told(&mut more).is_none());
    drop(call);
    assert!(has_turn(&mut again));
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

/// What can happen to a gate.
#[derive(Clone, Copy, Debug)]
enum Event {
    Come(u8),
    ComeWithoutToken(u8),
    GetToken(usize),
    End(usize),
    GiveUp(usize),
    CallAgain(usize),
    Shrink,
    Grow,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Event::Come),
        2 => (0..4_u8).prop_map(Event::ComeWithoutToken),
        2 => any::<usize>().prop_map(Event::GetToken),
        4 => any::<usize>().prop_map(Event::End),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => any::<usize>().prop_map(Event::CallAgain),
        1 => Just(Event::Shrink),
        1 => Just(Event::Grow),
    ]
}

/// Takes one of them out, whichever.
fn pick<T>(items: &mut Vec<T>, number: usize) -> Option<T> {
    (!items.is_empty()).then(|| items.swap_remove(number % items.len()))
}

proptest! {
    #[test]
    fn whatever_happens_nobody_waits_beside_a_free_place(events in vec(event(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            const QUEUE: usize = 5;
            let gate = gate_with(4, QUEUE);
            let (mut calls, mut in_line, mut aside) = (Vec::new(), Vec::new(), Vec::new());
            let (mut came, mut answered, mut again) = (0, 0, 0);
            for event in events {
                match event {
                    Event::Come(number) => {
                        came += 1;
                        match gate.try_enter() {
                            Some(call) => calls.push(call),
                            None => match gate.wait(&caller(number)) {
                                Ok(waiting) => {
                                    gate.line_up(waiting.ticket());
                                    in_line.push(waiting);
                                }
                                Err(_) => answered += 1,
                            },
                        }
                    }
                    Event::ComeWithoutToken(number) => {
                        came += 1;
                        match gate.wait(&caller(number)) {
                            Ok(waiting) => aside.push(waiting),
                            Err(_) => answered += 1,
                        }
                    }
                    Event::GetToken(number) => {
                        if let Some(waiting) = pick(&mut aside, number) {
                            gate.line_up(waiting.ticket());
                            in_line.push(waiting);
                        }
                    }
                    Event::End(number) => {
                        answered += usize::from(pick(&mut calls, number).is_some());
                    }
                    Event::GiveUp(number) => {
                        answered += usize::from(pick(&mut in_line, number).is_some());
                    }
                    Event::CallAgain(number) => {
                        if pick(&mut calls, number).is_some() {
                            again += 1;
                            aside.push(gate.wait_again(&caller(1)));
                        }
                    }
                    Event::Shrink => gate.shrink(),
                    Event::Grow => {
                        tokio::time::advance(GROWS_EVERY).await;
                        gate.grow();
                    }
                }
                for waiting in [&mut in_line, &mut aside] {
                    waiting.retain_mut(|waiting| match told(waiting) {
                        Some(Ok(call)) => {
                            calls.push(call);
                            false
                        }
                        Some(Err(_)) => {
                            answered += 1;
                            false
                        }
                        None => true,
                    });
                }
                assert_eq!(gate.in_flight(), calls.len());
                assert!(calls.len() <= 4);
                assert_eq!(gate.waiting(), in_line.len() + aside.len());
                assert!(gate.waiting() <= QUEUE + again);
                assert!(in_line.is_empty() || calls.len() >= gate.cap());
                assert_eq!(came, answered + calls.len() + in_line.len() + aside.len());
            }
            drop((in_line, aside, calls));
            assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
            assert!(gate.try_enter().is_some());
        });
    }
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
                            None => in_line(gate, number).turn().await.unwrap(),
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
