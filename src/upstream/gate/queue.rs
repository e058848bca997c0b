//! Who waits, and whose turn it is: first-in-first-out inside a caller, and one after the other among callers.
//!
//! Knows nothing of time and threads. Invariants: a caller that waits for a place has one after as many turns as callers
//! wait; and a request that finds the queue full costs the caller that has most in it.

use std::collections::VecDeque;

use crate::caller::Caller;

/// Those who wait, and what each is told by.
pub(super) struct Queue<T> {
    /// One for each caller that has somebody here, in the order of their turns. There are at most as many as requests
    /// wait, so looking through them costs less than keeping them in order.
    lanes: VecDeque<Lane<T>>,
    most: usize,
    waiting: usize,
    in_line: usize,
    tickets: u64,
}

/// One caller's requests, in the order in which they came.
struct Lane<T> {
    caller: Caller,
    entries: VecDeque<Entry<T>>,
}

struct Entry<T> {
    ticket: Ticket,
    standing: Standing,
    /// Whether it has had a turn. Then it may have made a call, and must not be told that none was made.
    again: bool,
    teller: T,
}

/// What an entry waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A token.
    Aside,
    /// A place.
    InLine,
}

/// By what a request that waits is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// There is no room, and nobody that has more here than the one who came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Queue<T> {
    /// An empty queue for that many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            lanes: VecDeque::new(),
            most,
            waiting: 0,
            in_line: 0,
            tickets: 0,
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether anybody waits for a place.
    pub(super) fn has_line(&self) -> bool {
        self.in_line > 0
    }

    /// Lets a request wait, in line only once it has lined up. If there is no room, the newest one of the caller that
    /// has most must go, and is returned.
    pub(super) fn enter(
        &mut self,
        caller: &Caller,
        teller: T,
    ) -> Result<(Ticket, Option<T>), Full> {
        let shed = if self.waiting < self.most {
            None
        } else {
            Some(self.shed_for(caller).ok_or(Full)?)
        };
        Ok((self.push(caller, false, teller), shed))
    }

    /// Lets a request wait that has had a turn, even if there is no room.
    pub(super) fn enter_again(&mut self, caller: &Caller, teller: T) -> Ticket {
        self.push(caller, true, teller)
    }

    /// From now on it waits for a place.
    pub(super) fn line_up(&mut self, ticket: Ticket) {
        let mut entries = self.lanes.iter_mut().flat_map(|lane| &mut lane.entries);
        if let Some(entry) = entries.find(|entry| entry.ticket == ticket)
            && entry.standing == Standing::Aside
        {
            entry.standing = Standing::InLine;
            self.in_line += 1;
        }
    }

    /// It waits no longer.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        let is_it = |entry: &Entry<T>| entry.ticket == ticket;
        let found = self.lanes.iter().enumerate().find_map(|(lane, it)| {
            let entry = it.entries.iter().position(is_it)?;
            Some((lane, entry))
        });
        if let Some((lane, entry)) = found {
            drop(self.take(lane, entry));
        }
    }

    /// Takes out the one whose turn it is. Its caller's next turn comes after those of all others.
    pub(super) fn next(&mut self) -> Option<T> {
        let (lane, entry) = self.lanes.iter().enumerate().find_map(|(lane, it)| {
            let in_line = |entry: &Entry<T>| entry.standing == Standing::InLine;
            Some((lane, it.entries.iter().position(in_line)?))
        })?;
        let callers = self.lanes.len();
        let next = self.take(lane, entry)?;
        if self.lanes.len() == callers
            && let Some(lane) = self.lanes.remove(lane)
        {
            self.lanes.push_back(lane);
        }
        Some(next)
    }

    /// Takes out the newest one of the caller that has most, unless that is this one.
    fn shed_for(&mut self, caller: &Caller) -> Option<T> {
        let of_own = |lane: &&Lane<T>| lane.caller == *caller;
        let own = self.lanes.iter().find(of_own).map_or(0, Lane::new_ones);
        let (lane, it) = self
            .lanes
            .iter()
            .enumerate()
            .max_by_key(|(_, lane)| lane.new_ones())
            .filter(|(_, lane)| lane.new_ones() > own)?;
        let newest = it.entries.iter().rposition(|entry| !entry.again)?;
        self.take(lane, newest)
    }

    fn push(&mut self, caller: &Caller, again: bool, teller: T) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting += 1;
        let entry = Entry {
            ticket,
            standing: Standing::Aside,
            again,
            teller,
        };
        match self.lanes.iter_mut().find(|lane| lane.caller == *caller) {
            Some(lane) => lane.entries.push_back(entry),
            None => self.lanes.push_back(Lane {
                caller: caller.clone(),
                entries: VecDeque::from([entry]),
            }),
        }
        ticket
    }

    /// Takes an entry out, and its lane if that is empty then.
    fn take(&mut self, lane: usize, entry: usize) -> Option<T> {
        let entries = &mut self.lanes.get_mut(lane)?.entries;
        let entry = entries.remove(entry)?;
        if entries.is_empty() {
            self.lanes.remove(lane);
        }
        self.waiting -= 1;
        self.in_line -= usize::from(entry.standing == Standing::InLine);
        Some(entry.teller)
    }
}

impl<T> Lane<T> {
    /// How many wait here that have not had a turn.
    fn new_ones(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.again).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn caller(number: u8) -> Caller {
        Caller::Address([127, 0, 0, number].into())
    }

    /// Lets one of these callers after the other line up, each with its number and how many came before it.
    fn line(callers: &[u8]) -> Queue<(u8, usize)> {
        let mut queue = Queue::new(callers.len());
        for (place, number) in callers.iter().enumerate() {
            let (ticket, _) = queue.enter(&caller(*number), (*number, place)).unwrap();
            queue.line_up(ticket);
        }
        queue
    }

    fn turns(queue: &mut Queue<(u8, usize)>) -> Vec<(u8, usize)> {
        std::iter::from_fn(|| queue.next()).collect()
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
        let (aside, _) = queue.enter(&caller(1), (1, 0)).unwrap();
        let (second, _) = queue.enter(&caller(1), (1, 1)).unwrap();
        assert!(!queue.has_line() && queue.next().is_none());

        queue.line_up(second);
        assert_eq!(queue.next(), Some((1, 1)));
        queue.line_up(aside);
        queue.line_up(aside);

        assert_eq!(turns(&mut queue), [(1, 0)]);
        assert!(!queue.has_line());
    }

    #[test]
    fn the_newest_of_the_caller_with_most_makes_room_unless_that_is_the_one_who_came() {
        let mut queue = line(&[1, 2, 1, 2, 1, 3]);
        assert_eq!(queue.enter(&caller(1), (1, 6)).err(), Some(Full));

        for (newcomer, shed) in [(3, (1, 4)), (4, (3, 6)), (2, (2, 3))] {
            let entered = queue.enter(&caller(newcomer), (newcomer, 6));
            match entered {
                Ok((_, made_room)) => assert_eq!(made_room, Some(shed)),
                Err(Full) => assert_eq!(newcomer, 2),
            }
        }
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
                    let (ticket, _) = queue.enter(&caller(number), (number, moment)).unwrap();
                    queue.line_up(ticket);
                    let turns = waiting.len() + 1;
                    let own = waiting.entry(number).or_insert((turns, VecDeque::new()));
                    own.1.push_back(moment);
                    continue;
                }
                let next = queue.next();
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
                let Ok((_, shed)) = queue.enter(&caller(number), number) else {
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
}
