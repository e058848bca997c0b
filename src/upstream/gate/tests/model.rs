//! Random sequences of all that can happen to a gate, and what holds whatever happens.

use std::mem;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What can happen to a gate.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request of this caller comes for this photo, with a token or without.
    Come(u8, usize, bool),
    GetToken(usize),
    End(usize),
    EndFollowing(usize),
    GiveUp(usize),
    CallAgain(usize),
    Shrink,
    Grow,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..4_u8, 1..9_usize, any::<bool>())
            .prop_map(|(caller, record, has_token)| Event::Come(caller, record, has_token)),
        2 => any::<usize>().prop_map(Event::GetToken),
        4 => any::<usize>().prop_map(Event::End),
        1 => any::<usize>().prop_map(Event::EndFollowing),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => any::<usize>().prop_map(Event::CallAgain),
        1 => Just(Event::Shrink),
        1 => Just(Event::Grow),
    ]
}

/// A gate, and those who came to it and are not answered yet.
struct Model<'a> {
    gate: &'a Gate<Party>,
    calls: Vec<Call<'a, Party>>,
    /// Each with whether it has had a turn.
    in_line: Vec<(Waiting<'a, Party>, bool)>,
    aside: Vec<(Waiting<'a, Party>, bool)>,
    following: Vec<Following<Party>>,
    came: usize,
    answered: usize,
    again: usize,
}

/// Takes one of them out, whichever.
fn pick<T>(items: &mut Vec<T>, number: usize) -> Option<T> {
    (!items.is_empty()).then(|| items.swap_remove(number % items.len()))
}

impl Model<'_> {
    async fn happen(&mut self, event: Event) {
        match event {
            Event::Come(number, record, has_token) => self.come(number, record, has_token),
            Event::GetToken(number) => {
                if let Some((waiting, again)) = pick(&mut self.aside, number) {
                    self.gate.line_up(waiting.ticket());
                    self.in_line.push((waiting, again));
                }
            }
            Event::End(number) => self.end(|it| pick(&mut it.calls, number).is_some()),
            Event::EndFollowing(number) => {
                self.end(|it| pick(&mut it.following, number).is_some());
            }
            Event::GiveUp(number) => self.end(|it| pick(&mut it.in_line, number).is_some()),
            Event::CallAgain(number) => {
                if pick(&mut self.calls, number).is_some() {
                    self.again += 1;
                    self.aside.push((self.gate.wait_again(&caller(1)), true));
                }
            }
            Event::Shrink => {
                tokio::time::advance(Duration::from_millis(1)).await;
                self.gate.shrink(Instant::now());
            }
            Event::Grow => {
                tokio::time::advance(GROWS_EVERY).await;
                self.gate.grow();
            }
        }
        self.listen();
    }

    fn come(&mut self, number: u8, record: usize, has_token: bool) {
        self.came += 1;
        if has_token && let Some(call) = self.gate.try_enter() {
            self.calls.push(call);
            return;
        }
        let wish = (target_of(record), Instant::now());
        match self.gate.wait(&caller(number), wish.0, wish.1) {
            Ok(waiting) if has_token => {
                self.gate.line_up(waiting.ticket());
                self.in_line.push((waiting, false));
            }
            Ok(waiting) => self.aside.push((waiting, false)),
            Err(_) => self.answered += 1,
        }
    }

    fn end(&mut self, end: impl FnOnce(&mut Self) -> bool) {
        let ended = end(self);
        self.answered += usize::from(ended);
    }

    /// Everybody hears what it has been told.
    fn listen(&mut self) {
        let waiting = [mem::take(&mut self.in_line), mem::take(&mut self.aside)];
        let [in_line, aside] = waiting.map(|mut waiting| {
            waiting.retain_mut(|(waiting, again)| {
                match told(waiting) {
                    None => return true,
                    Some(Ok(Turn::Call(call, _))) => self.calls.push(call),
                    Some(Ok(Turn::Follow(following))) => {
                        assert!(!*again, "what has had a turn follows nobody");
                        self.following.push(following);
                    }
                    Some(Err(_)) => {
                        assert!(!*again, "what has had a turn is not shed");
                        self.answered += 1;
                    }
                }
                false
            });
            waiting
        });
        (self.in_line, self.aside) = (in_line, aside);
    }

    fn check(&self) {
        let waiting = self.in_line.len() + self.aside.len();
        assert_eq!(self.gate.in_flight(), self.calls.len());
        assert!(self.calls.len() <= MOST);
        assert_eq!(self.gate.waiting(), waiting);
        assert!(waiting <= QUEUE + self.again);
        assert!(self.following.len() <= QUEUE);
        assert!(self.in_line.is_empty() || self.calls.len() >= self.gate.cap());
        let left = self.calls.len() + waiting + self.following.len();
        assert_eq!(self.came, self.answered + left);
    }
}

const MOST: usize = 4;
const QUEUE: usize = 5;

proptest! {
    #[test]
    fn whatever_happens_nobody_waits_beside_a_free_place(events in vec(event(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let gate = gate_with(MOST, QUEUE);
            let mut model = Model {
                gate: &gate,
                calls: Vec::new(),
                in_line: Vec::new(),
                aside: Vec::new(),
                following: Vec::new(),
                came: 0,
                answered: 0,
                again: 0,
            };
            for event in events {
                model.happen(event).await;
                model.check();
            }
            drop(model);
            assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
            assert_eq!(gate.followers.available_permits(), QUEUE);
            assert!(gate.try_enter().is_some());
        });
    }
}
