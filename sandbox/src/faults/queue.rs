//! The queue of faults of one endpoint: which request meets which fault.

use std::collections::VecDeque;

use fastrand::Rng;

use super::When;

/// Faults in the order in which they were queued. The first whose time it is hits; one request meets at most one.
#[derive(Debug)]
pub(crate) struct FaultQueue<F> {
    entries: VecDeque<(When, F)>,
    dice: Rng,
}

impl<F: Clone> FaultQueue<F> {
    /// An empty queue with a generator of its own, so that the traffic of one endpoint does not change the luck of the
    /// other.
    pub(crate) fn new(dice: Rng) -> Self {
        Self {
            entries: VecDeque::new(),
            dice,
        }
    }

    pub(crate) fn push(&mut self, when: When, fault: F) {
        self.entries.push_back((when, fault));
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The fault that this request meets, if any.
    pub(crate) fn draw(&mut self) -> Option<F> {
        let Self { entries, dice } = self;
        let hit = entries
            .iter_mut()
            .find_map(|(when, fault)| strikes(when, dice).then(|| fault.clone()));
        entries.retain(|(when, _)| !matches!(when, When::Next(0)));
        hit
    }
}

fn strikes(when: &mut When, dice: &mut Rng) -> bool {
    match when {
        When::Next(0) => false,
        When::Next(left) => {
            *left -= 1;
            true
        }
        When::Always => true,
        When::Share(share) => dice.f64() < *share,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> FaultQueue<char> {
        FaultQueue::new(Rng::with_seed(7))
    }

    fn draw(queue: &mut FaultQueue<char>, times: usize) -> String {
        (0..times).map(|_| queue.draw().unwrap_or('.')).collect()
    }

    #[test]
    fn faults_hit_in_the_order_in_which_they_were_queued() {
        let mut queue = queue();
        queue.push(When::Next(2), 'a');
        queue.push(When::Next(1), 'b');

        assert_eq!(draw(&mut queue, 5), "aab..");
    }

    #[test]
    fn a_fault_for_always_stays() {
        let mut queue = queue();
        queue.push(When::Next(1), 'a');
        queue.push(When::Always, 'b');

        assert_eq!(draw(&mut queue, 4), "abbb");
    }

    #[test]
    fn a_share_is_about_that_share_and_the_same_for_the_same_seed() {
        let (mut one, mut other) = (queue(), queue());
        one.push(When::Share(0.25), 'a');
        other.push(When::Share(0.25), 'a');

        let drawn = draw(&mut one, 1000);

        assert_eq!(drawn, draw(&mut other, 1000));
        assert!((200..300).contains(&drawn.matches('a').count()));
    }
}
