//! Thousands of histories of takes, publications, failures, crashes and endings, in any order, against a real Redis: each
//! answer is the one that a model of the store gives, and what replicas may rely on holds after each step.

use std::collections::BTreeSet;

use fastrand::Rng;
use redis::{FromRedisValue, Script, Value, aio::MultiplexedConnection};

use crate::redis_server::Redis;

const SCRIPT: &str = include_str!("../../src/token/store/store.lua");
const HISTORIES: u64 = 2000;
const STEPS: usize = 30;
const REPLICAS: usize = 4;
/// Small, so that it is used up in many histories.
const BUDGET: usize = 3;
/// Nothing ends by itself while a history runs; endings are steps.
const LONG: u64 = 600_000;

/// What the store should hold.
#[derive(Default)]
struct Model {
    token: Option<u64>,
    /// Whose it is, and whether it was taken over.
    lease: Option<(String, bool)>,
    failed: bool,
    throttled: bool,
    spent: BTreeSet<String>,
}

/// What a replica knows.
struct Replica {
    name: u64,
    turns: u64,
    held: u64,
    /// The version that its turn gives it, while it believes in it.
    turn: Option<u64>,
}

impl Replica {
    fn new(dice: &mut Rng) -> Self {
        let name = dice.u64(..);
        Self {
            name,
            turns: 0,
            held: 0,
            turn: None,
        }
    }

    fn owner(&self) -> String {
        format!("{:x}-{}", self.name, self.turns)
    }
}

impl Model {
    fn newer_than(&self, version: u64) -> Option<u64> {
        self.token.filter(|token| *token > version)
    }

    fn take(&mut self, replica: &Replica, insist: bool) -> &'static str {
        let owner = replica.owner();
        if self.newer_than(replica.held).is_some() {
            return "newer";
        }
        if self.failed {
            return "failed";
        }
        if self.throttled {
            return "throttled";
        }
        let theirs = self.lease.as_ref().filter(|(holder, _)| *holder != owner);
        let takes_over = theirs.is_some();
        if theirs.is_some_and(|(_, taken_over)| *taken_over || !insist) {
            return "busy";
        }
        if !self.spent.contains(&owner) && self.spent.len() >= BUDGET {
            return "spent";
        }
        self.spent.insert(owner.clone());
        self.lease = Some((owner, takes_over));
        "mine"
    }

    fn publish(&mut self, replica: &Replica, version: u64) -> &'static str {
        if self.token.is_none_or(|token| token < version) {
            self.token = Some(version);
            self.failed = false;
        }
        self.end_lease_of(&replica.owner());
        self.newer_than(version).map_or("none", |_| "newer")
    }

    fn fail(&mut self, replica: &Replica, throttled: bool, refund: bool) -> &'static str {
        let owner = replica.owner();
        if refund {
            self.spent.remove(&owner);
        }
        self.throttled |= throttled;
        let newer = self.newer_than(replica.held).is_some();
        let theirs = self
            .lease
            .as_ref()
            .is_some_and(|(holder, _)| *holder != owner);
        self.failed |= !newer && !theirs;
        self.end_lease_of(&owner);
        if newer { "newer" } else { "none" }
    }

    fn end_lease_of(&mut self, owner: &str) {
        self.lease.take_if(|(holder, _)| holder == owner);
    }

    fn look(&self, held: u64) -> &'static str {
        match self.token {
            Some(token) if token > held => "newer",
            Some(token) if token == held => "same",
            Some(_) => "older",
            None => "none",
        }
    }
}

/// One history: a store, its model, and replicas.
struct History {
    redis: MultiplexedConnection,
    script: Script,
    keys: [String; 5],
    model: Model,
    replicas: Vec<Replica>,
    dice: Rng,
}

impl History {
    fn new(redis: MultiplexedConnection, seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let names = ["token", "lease", "failure", "spent", "throttled"];
        Self {
            redis,
            script: Script::new(SCRIPT),
            keys: names.map(|name| format!("{seed}:{name}")),
            model: Model::default(),
            replicas: (0..REPLICAS).map(|_| Replica::new(&mut dice)).collect(),
            dice,
        }
    }

    /// Runs an operation: what, and the version or time that comes with it.
    async fn run(&mut self, operation: &str, held: u64, arguments: &[String]) -> (String, u64) {
        let mut script = self.script.key(&self.keys);
        script.arg(operation).arg(held).arg(arguments);
        let answer: Vec<Value> = script.invoke_async(&mut self.redis).await.unwrap();
        let what = String::from_redis_value_ref(&answer[1]).unwrap();
        let number = if what == "newer" {
            &answer[2]
        } else {
            &answer[0]
        };
        (what, u64::from_redis_value_ref(number).unwrap())
    }

    async fn step(&mut self) -> String {
        let place = self.dice.usize(..REPLICAS);
        let before: Vec<_> = self.replicas.iter().map(|replica| replica.held).collect();
        let token_before = self.model.token;
        let done = match self.dice.u8(..20) {
            0..8 => self.take(place).await,
            8..13 => self.publish(place).await,
            13..15 => self.fail(place).await,
            15..17 => self.look(place).await,
            17 => self.crash(place),
            _ => self.ending().await,
        };
        for (replica, before) in self.replicas.iter().zip(before) {
            assert!(
                replica.held >= before || replica.held == 0,
                "{done}: an older token was taken"
            );
        }
        let lost = done == "everything is lost";
        assert!(lost || self.model.token >= token_before, "{done}");
        assert!(self.model.spent.len() <= BUDGET, "{done}");
        done
    }

    async fn take(&mut self, place: usize) -> String {
        let insist = self.dice.u8(..4) == 0;
        let owner = self.replicas[place].owner();
        let held = self.replicas[place].held;
        let arguments = [
            owner,
            LONG.to_string(),
            BUDGET.to_string(),
            LONG.to_string(),
            u8::from(insist).to_string(),
        ];
        let (what, number) = self.run("take", held, &arguments).await;
        assert_eq!(
            what,
            self.model.take(&self.replicas[place], insist),
            "take {place}"
        );
        let replica = &mut self.replicas[place];
        match what.as_str() {
            "mine" => replica.turn = Some(number.max(held + 1)),
            "newer" => (replica.held, replica.turn) = (number, None),
            _ => {}
        }
        format!("take {place} {insist}: {what}")
    }

    /// Also long after the lease was lost: whoever was stopped does not know.
    async fn publish(&mut self, place: usize) -> String {
        let replica = &self.replicas[place];
        let Some(version) = replica.turn else {
            return "nothing".to_owned();
        };
        // As the keeper does: its own version never goes back.
        let version = version.max(replica.held + 1);
        let expires = "9007199254740991".to_owned();
        let arguments = [
            replica.owner(),
            "0".to_owned(),
            "sealed".to_owned(),
            expires,
            LONG.to_string(),
        ];
        let (what, number) = self.run("publish", version, &arguments).await;
        assert_eq!(
            what,
            self.model.publish(&self.replicas[place], version),
            "publish {place}"
        );
        let replica = &mut self.replicas[place];
        replica.held = if what == "newer" { number } else { version };
        (replica.turn, replica.turns) = (None, replica.turns + 1);
        format!("publish {place}: {what}")
    }

    async fn fail(&mut self, place: usize) -> String {
        let replica = &self.replicas[place];
        if replica.turn.is_none() {
            return "nothing".to_owned();
        }
        let throttled = self.dice.u8(..4) == 0;
        let refund = !throttled && self.dice.bool();
        let arguments = [
            replica.owner(),
            "sealed".to_owned(),
            LONG.to_string(),
            if throttled { LONG } else { 0 }.to_string(),
            u8::from(refund).to_string(),
        ];
        let (what, number) = self.run("fail", replica.held, &arguments).await;
        let expected = self.model.fail(&self.replicas[place], throttled, refund);
        assert_eq!(what, expected, "fail {place}");
        let replica = &mut self.replicas[place];
        if what == "newer" {
            replica.held = number;
        }
        (replica.turn, replica.turns) = (None, replica.turns + 1);
        format!("fail {place}: {what}")
    }

    async fn look(&mut self, place: usize) -> String {
        let held = self.replicas[place].held;
        let (what, number) = self.run("look", held, &["0".to_owned()]).await;
        assert_eq!(what, self.model.look(held), "look {place}");
        if what == "newer" {
            self.replicas[place].held = number;
        }
        format!("look {place}: {what}")
    }

    fn crash(&mut self, place: usize) -> String {
        self.replicas[place] = Replica::new(&mut self.dice);
        format!("crash {place}")
    }

    /// Something's time is over, or the store has lost everything.
    async fn ending(&mut self) -> String {
        let (key, what) = match self.dice.u8(..10) {
            0..4 => {
                self.model.lease = None;
                (1, "the lease ends")
            }
            4..7 => {
                self.model.failed = false;
                (2, "the failure's wait ends")
            }
            7..9 => {
                self.model.throttled = false;
                (4, "the cool-down ends")
            }
            _ => {
                self.model = Model::default();
                let _: () = redis::cmd("DEL")
                    .arg(&self.keys)
                    .query_async(&mut self.redis)
                    .await
                    .unwrap();
                return "everything is lost".to_owned();
            }
        };
        let mut delete = redis::cmd("DEL");
        let _: () = delete
            .arg(&self.keys[key])
            .query_async(&mut self.redis)
            .await
            .unwrap();
        what.to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_does_what_its_model_does_in_thousands_of_histories() {
    let redis = Redis::start().await;
    let connection = redis.connection().await.unwrap();
    let first = fastrand::u64(..1 << 40);
    let histories = (0..HISTORIES).map(|number| {
        let mut history = History::new(connection.clone(), first + number);
        async move {
            let mut done = Vec::new();
            for _ in 0..STEPS {
                let steps = std::panic::AssertUnwindSafe(history.step());
                // The hook has already told what was wrong.
                let step = futures_util::FutureExt::catch_unwind(steps).await;
                let seed = first + number;
                done.push(step.unwrap_or_else(|_| panic!("history {seed}, after {done:#?}")));
            }
        }
    });
    let histories = futures_util::stream::iter(histories);
    futures_util::StreamExt::for_each_concurrent(histories, 20, |history| history).await;
}
