//! Turns and room, one sequence of events at a time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::account::Accounts;

fn caller(number: u8) -> Caller {
    Caller::Address([127, 0, 0, number].into())
}

/// To delete the photo of a record, with a second for it.
fn wish(record: usize) -> Wish {
    let accounts = Accounts::new(vec!["main".to_owned()], "main").unwrap();
    let path = format!("/bigin/v2/Contacts/{}/photo", record + 1);
    Wish {
        target: Target::parse(&path, &accounts).unwrap(),
        deadline: Instant::now() + Duration::from_secs(1),
    }
}

/// Whose turn it is, where nobody wants the same.
fn next<T: Debug + PartialEq>(queue: &mut Queue<T>) -> Option<T> {
    let next = queue.next(usize::MAX)?;
    assert_eq!(next.followers, []);
    Some(next.leader)
}

/// Lets one of these callers after the other line up, each with its number and how many came before it.
fn line(callers: &[u8]) -> Queue<(u8, usize)> {
    let mut queue = Queue::new(callers.len());
    for (place, number) in callers.iter().enumerate() {
        let (ticket, _) = queue
            .enter(&caller(*number), wish(place), (*number, place))
            .unwrap();
        queue.line_up(ticket);
    }
    queue
}

fn turns(queue: &mut Queue<(u8, usize)>) -> Vec<(u8, usize)> {
    std::iter::from_fn(|| next(queue)).collect()
}

#[test]
fn callers_take_turns() {
    let mut queue = line(&[1, 1, 1, 2, 2, 3]);

    let callers: Vec<_> = turns(&mut queue).iter().map(|turn| turn.0).collect();

    assert_eq!(callers, [1, 2, 3, 1, 2, 1]);
}

#[test]
fn a_lone_caller_has_every_turn() {
    assert_eq!(turns(&mut line(&[1; 9])).len(), 9);
}

#[test]
fn who_stands_aside_is_passed_over_and_loses_nothing() {
    let mut queue = line(&[]);
    queue.most = 3;
    let (aside, _) = queue.enter(&caller(1), wish(0), (1, 0)).unwrap();
    let (second, _) = queue.enter(&caller(1), wish(1), (1, 1)).unwrap();
    assert!(!queue.has_line() && next(&mut queue).is_none());

    queue.line_up(second);
    assert_eq!(next(&mut queue), Some((1, 1)));
    queue.line_up(aside);
    queue.line_up(aside);

    assert_eq!(turns(&mut queue), [(1, 0)]);
    assert!(!queue.has_line());
}

#[test]
fn the_newest_of_the_caller_with_most_makes_room_unless_that_is_the_one_who_came() {
    let mut queue = line(&[1, 2, 1, 2, 1, 3]);
    assert_eq!(queue.enter(&caller(1), wish(6), (1, 6)).err(), Some(Full));

    for (newcomer, shed) in [(3, (1, 4)), (4, (3, 6)), (2, (2, 3))] {
        let entered = queue.enter(&caller(newcomer), wish(6), (newcomer, 6));
        match entered {
            Ok((_, made_room)) => assert_eq!(made_room, Some(shed)),
            Err(Full) => assert_eq!(newcomer, 2),
        }
    }
}

/// Lets these callers line up for these records.
fn line_for(wishes: &[(u8, usize)]) -> Queue<usize> {
    let mut queue = Queue::new(wishes.len());
    for (place, (number, record)) in wishes.iter().enumerate() {
        let (ticket, _) = queue.enter(&caller(*number), wish(*record), place).unwrap();
        queue.line_up(ticket);
    }
    queue
}

#[test]
fn those_who_want_the_same_have_one_turn_whoever_they_are() {
    let mut queue = line_for(&[(1, 7), (1, 8), (2, 7), (3, 9), (2, 7)]);

    let Next { leader, followers } = queue.next(9).unwrap();

    // The last one has most time.
    let mut followers = followers;
    followers.sort_unstable();
    assert_eq!((leader, followers), (4, vec![0, 2]));
    assert_eq!(queue.waiting(), 2);
    assert_eq!(next(&mut queue), Some(3));
    assert_eq!(next(&mut queue), Some(1));
    assert!(!queue.has_line());
}

#[test]
fn no_more_follow_than_may() {
    let mut queue = line_for(&[(1, 7); 5]);

    assert_eq!(queue.next(3).unwrap().followers.len(), 3);
    assert_eq!(queue.next(0).unwrap().followers.len(), 0);
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn what_has_had_a_turn_neither_follows_nor_is_followed() {
    let mut queue = line_for(&[(1, 7)]);
    let again = queue.enter_again(&caller(1), 1);
    queue.line_up(again);

    assert_eq!(next(&mut queue), Some(0));
    assert_eq!(next(&mut queue), Some(1));
}

proptest! {
    #[test]
    fn each_of_k_callers_has_one_of_k_turns_and_each_caller_its_own_order(
        // A caller comes, or a place is free.
        events in vec(prop::option::of(0..6_u8), 1..200)
    ) {
        let mut queue = Queue::new(events.len());
        // For each caller that waits: how many turns may pass until one is its own, and who is next of it.
        let mut waiting = BTreeMap::<u8, (usize, VecDeque<usize>)>::new();
        for (moment, event) in events.into_iter().enumerate() {
            if let Some(number) = event {
                let (ticket, _) = queue.enter(&caller(number), wish(moment), (number, moment)).unwrap();
                queue.line_up(ticket);
                let turns = waiting.len() + 1;
                let own = waiting.entry(number).or_insert((turns, VecDeque::new()));
                own.1.push_back(moment);
                continue;
            }
            let next = next(&mut queue);
            prop_assert_eq!(next.is_none(), waiting.is_empty());
            let Some((number, came)) = next else { continue };
            for (turns, _) in waiting.values_mut() {
                prop_assert!(*turns > 0);
                *turns -= 1;
            }
            let (_, mut own) = waiting.remove(&number).unwrap();
            prop_assert_eq!(own.pop_front(), Some(came));
            if !own.is_empty() {
                waiting.insert(number, (waiting.len() + 1, own));
            }
        }
    }

    #[test]
    fn nobody_is_shed_for_a_caller_that_has_as_much(
        callers in vec(0..4_u8, 1..100),
        most in 1..20_usize,
    ) {
        let mut queue = Queue::new(most);
        let mut held = BTreeMap::<u8, usize>::new();
        for number in callers {
            let greediest = held.values().copied().max().unwrap_or_default();
            let own = held.get(&number).copied().unwrap_or_default();
            let is_full = queue.waiting() == most;
            let Ok((_, shed)) = queue.enter(&caller(number), wish(0), number) else {
                prop_assert_eq!((is_full, own), (true, greediest));
                continue;
            };
            prop_assert_eq!(shed.is_some(), is_full);
            if let Some(shed) = shed {
                prop_assert!(own < greediest);
                prop_assert_eq!(held.get(&shed), Some(&greediest));
                *held.get_mut(&shed).unwrap() -= 1;
            }
            *held.entry(number).or_default() += 1;
            prop_assert!(queue.waiting() <= most);
        }
    }
}
