//! Those who want the same deletion have one call together.

use super::*;

#[tokio::test(start_paused = true)]
async fn those_who_want_the_same_have_one_turn_and_one_place() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let wait = |number, seconds| {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        gate.wait(&caller(number), target_of(1), deadline).unwrap()
    };
    let (mut first, mut longest, mut aside) = (wait(1, 1), wait(2, 3), wait(3, 2));
    gate.line_up(first.ticket());
    gate.line_up(longest.ticket());
    let mut other = in_line(&gate, 1);
    drop(call);

    let Some(Ok(Turn::Call(call, Some(shared)))) = told(&mut longest) else {
        panic!("it has most time");
    };
    for follower in [&mut first, &mut aside] {
        let Some(Ok(Turn::Follow(following))) = told(follower) else {
            panic!("it need not make a call");
        };
        assert!(Arc::ptr_eq(&following.shared, &shared));
    }
    assert_eq!((gate.in_flight(), gate.waiting()), (1, 1));
    drop(call);
    assert!(place(&mut other).is_some());
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_seat_among_those_who_follow_waits_for_a_turn_of_its_own() {
    let gate = gate_with(1, 2);
    let call = gate.try_enter().unwrap();
    let in_line = || {
        let waiting = gate.wait(&caller(1), target_of(1), Instant::now()).unwrap();
        gate.line_up(waiting.ticket());
        waiting
    };
    let _seats = Arc::clone(&gate.followers)
        .try_acquire_many_owned(2)
        .unwrap();
    let (mut first, mut second) = (in_line(), in_line());

    drop(call);

    let call = place(&mut first).unwrap();
    assert!(told(&mut second).is_none());
    drop(call);
    assert!(place(&mut second).is_some());
}

#[tokio::test(start_paused = true)]
async fn of_those_who_share_a_call_the_first_that_is_still_there_makes_it() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let wait = || gate.wait(&caller(1), target_of(1), Instant::now()).unwrap();
    let (mut gone, mut left) = (wait(), wait());
    gate.line_up(gone.ticket());
    gone.turn.close();

    drop(call);

    assert!(place(&mut left).is_some());
}

#[tokio::test(start_paused = true)]
async fn those_who_follow_hear_of_one_that_goes_when_its_turn_has_come() {
    let gate = gate(1);
    let call = gate.try_enter().unwrap();
    let wait = || gate.wait(&caller(1), target_of(1), Instant::now()).unwrap();
    let (goes, mut follows) = (wait(), wait());
    gate.line_up(goes.ticket());
    drop(call);
    let Some(Ok(Turn::Follow(following))) = told(&mut follows) else {
        panic!("it need not make a call");
    };

    drop(goes);

    assert!(following.shared.is_abandoned.load(Ordering::Relaxed));
    assert_eq!(gate.in_flight(), 0);
}
