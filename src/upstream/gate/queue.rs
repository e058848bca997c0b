//! Who waits, and whose turn it is: first-in-first-out inside a caller, and one after the other among callers.
//!
//! Those who want the same deletion have one turn together, because one call is enough for all of them.
//!
//! Knows nothing of clocks and threads. Invariants: a caller that waits for a place has one after as many turns as callers
//! wait; a request that finds the queue full costs the caller that has most in it; and what has had a turn is neither shed
//! nor shared, since it may have made a call.

use std::collections::VecDeque;
use std::mem;

use tokio::time::Instant;

use crate::caller::Caller;
use crate::target::Target;

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
    /// What it wants; nothing that concerns others once it has had a turn.
    wish: Option<Wish>,
    teller: T,
}

/// What a request wants that has not had a turn.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) target: Target,
    pub(super) deadline: Instant,
}

/// Those whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next<T> {
    /// Of those who want the same, the one that has most time: the others lose nothing if it makes the call.
    pub(super) leader: T,
    /// The others.
    pub(super) followers: Vec<T>,
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
        wish: Wish,
        teller: T,
    ) -> Result<(Ticket, Option<T>), Full> {
        let shed = if self.waiting < self.most {
            None
        } else {
            Some(self.shed_for(caller).ok_or(Full)?)
        };
        Ok((self.push(caller, Some(wish), teller), shed))
    }

    /// Lets a request wait that has had a turn, even if there is no room.
    pub(super) fn enter_again(&mut self, caller: &Caller, teller: T) -> Ticket {
        self.push(caller, None, teller)
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

    /// It waits no longer. Says whether it did.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        let is_it = |entry: &Entry<T>| entry.ticket == ticket;
        let found = self.lanes.iter().enumerate().find_map(|(lane, it)| {
            let entry = it.entries.iter().position(is_it)?;
            Some((lane, entry))
        });
        let left = found.and_then(|(lane, entry)| self.take(lane, entry));
        left.is_some()
    }

    /// Takes out the one whose turn it is, and with it others that want the same, as many as may follow. Its caller's next
    /// turn comes after those of all others.
    pub(super) fn next(&mut self, most_followers: usize) -> Option<Next<T>> {
        let (lane, entry) = self.lanes.iter().enumerate().find_map(|(lane, it)| {
            let in_line = |entry: &Entry<T>| entry.standing == Standing::InLine;
            Some((lane, it.entries.iter().position(in_line)?))
        })?;
        let callers = self.lanes.len();
        let mut leader = self.take(lane, entry)?;
        if self.lanes.len() == callers
            && let Some(lane) = self.lanes.remove(lane)
        {
            self.lanes.push_back(lane);
        }
        let mut followers = leader
            .wish
            .map(|wish| self.take_same(wish.target, most_followers))
            .unwrap_or_default();
        let deadline = |entry: &Entry<T>| entry.wish.map(|wish| wish.deadline);
        if let Some(longest) = followers.iter_mut().max_by_key(|entry| deadline(entry))
            && deadline(longest) > deadline(&leader)
        {
            mem::swap(longest, &mut leader);
        }
        Some(Next {
            leader: leader.teller,
            followers: followers.into_iter().map(|entry| entry.teller).collect(),
        })
    }

    /// Takes out those who want to delete this, in line or not.
    fn take_same(&mut self, target: Target, most: usize) -> VecDeque<Entry<T>> {
        let wants_it = |entry: &Entry<T>| entry.wish.is_some_and(|wish| wish.target == target);
        let mut same = VecDeque::new();
        for lane in &mut self.lanes {
            if !lane.entries.iter().any(wants_it) {
                continue;
            }
            let mut room = most - same.len();
            let follows = |entry: &Entry<T>| {
                let follows = room > 0 && wants_it(entry);
                room -= usize::from(follows);
                follows
            };
            let (mut taken, left) = mem::take(&mut lane.entries).into_iter().partition(follows);
            lane.entries = left;
            same.append(&mut taken);
        }
        self.lanes.retain(|lane| !lane.entries.is_empty());
        for entry in &same {
            self.forget(entry);
        }
        same
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
        let newest = it.entries.iter().rposition(|entry| entry.wish.is_some())?;
        Some(self.take(lane, newest)?.teller)
    }

    fn push(&mut self, caller: &Caller, wish: Option<Wish>, teller: T) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting += 1;
        let entry = Entry {
            ticket,
            standing: Standing::Aside,
            wish,
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
    fn take(&mut self, lane: usize, entry: usize) -> Option<Entry<T>> {
        let entries = &mut self.lanes.get_mut(lane)?.entries;
        let entry = entries.remove(entry)?;
        if entries.is_empty() {
            self.lanes.remove(lane);
        }
        self.forget(&entry);
        Some(entry)
    }

    /// Counts an entry that was taken out.
    fn forget(&mut self, entry: &Entry<T>) {
        self.waiting -= 1;
        self.in_line -= usize::from(entry.standing == Standing::InLine);
    }
}

impl<T> Lane<T> {
    /// How many wait here that have not had a turn.
    fn new_ones(&self) -> usize {
        let is_new = |entry: &&Entry<T>| entry.wish.is_some();
        self.entries.iter().filter(is_new).count()
    }
}

#[cfg(test)]
mod tests;
