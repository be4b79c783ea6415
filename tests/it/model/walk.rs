//! A random walk: what happens next, drawn from a seed.

use std::time::Duration;

use konnect_emulator::Fault;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::model::hands::{Hands, operator};
use crate::model::instance::Instance;
use crate::model::replay::LOST;
use crate::model::rules::Rules;
use crate::model::world::World;

/// Instances at the same time.
const INSTANCES: usize = 2;

/// What goes on in a walk.
pub(super) struct Walk {
    pub(super) hands: Hands,
    pub(super) world: World,
    instances: Vec<Instance>,
    /// The rules files that there are: instances may have different ones for a while.
    rules: Rules,
    pub(super) rng: StdRng,
    started: u32,
    is_in_trouble: bool,
}

impl Walk {
    pub(super) fn new(hands: Hands, rng: StdRng) -> Self {
        let mut walk = Self {
            hands,
            world: World::default(),
            instances: Vec::new(),
            rules: Rules::first(),
            rng,
            started: 0,
            is_in_trouble: false,
        };
        walk.start();
        walk
    }

    /// Does so many things, one after the other.
    pub(super) async fn go(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.rng.random_range(0..100) {
                0..14 => self.sign_up(),
                14..26 => self.ask_for_an_api(),
                26..32 => self.judge_a_person().await,
                32..36 => self.judge_a_registration().await,
                36..43 => self.move_somebody().await,
                43..46 => self.hand_over().await,
                46..50 => self.leave().await,
                50..60 => self.operate().await,
                60..68 => self.switch().await,
                68..77 => self.edit_rules(),
                77..84 => self.cause_or_end_trouble(),
                84..91 => self.begin_or_end().await,
                _ => {
                    let wait = self.rng.random_range(200..2_500);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
            }
            let wait = self.rng.random_range(0..150);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }

    /// Ends all trouble, and gives all instances the same rules.
    pub(super) async fn come_to_rest(&mut self) {
        self.hands.trouble(Vec::new());
        self.world.resumes(self.hands.clock.now());
        self.hands.queue.resume_all(&operator()).await.unwrap();
        self.rules = self.rules.last();
        if self.instances.is_empty() {
            self.start();
        }
        let all: Vec<usize> = (0..self.instances.len()).collect();
        self.give_rules(&all);
        let rules = self.rules.yaml();
        self.tell(&format!("the walk ends with\n{rules}"));
    }

    /// Ends all instances.
    pub(super) async fn end(&mut self) {
        for instance in self.instances.drain(..) {
            instance.stop().await;
        }
    }

    pub(super) fn tell(&mut self, what: &str) {
        let at = self.hands.clock.now().format("%H:%M:%S%.3f");
        let line = format!("{at} {} {what}", self.hands.place());
        self.world.story.push(line);
    }

    async fn switch(&mut self) {
        let queue = &self.hands.queue;
        if queue.paused().await.unwrap().is_some() {
            self.world.resumes(self.hands.clock.now());
            queue.resume_all(&operator()).await.unwrap();
            self.tell("ada resumes");
        } else {
            queue.pause_all(&operator()).await.unwrap();
            self.world.pauses(self.hands.clock.now());
            self.tell("ada pauses");
        }
    }

    fn edit_rules(&mut self) {
        let what = self.rules.edit(&mut self.rng);
        let all: Vec<usize> = (0..self.instances.len()).collect();
        let some = match self.any_index() {
            // A roll-out that takes a while.
            Some(one) if self.rng.random_bool(0.3) => vec![one],
            _ => all,
        };
        let numbers: Vec<u32> = some.iter().map(|one| self.instances[*one].number).collect();
        self.tell(&format!("{what}, at {numbers:?}"));
        self.give_rules(&some);
    }

    fn any_index(&mut self) -> Option<usize> {
        let count = self.instances.len();
        (count > 0).then(|| self.rng.random_range(0..count))
    }

    fn give_rules(&mut self, to: &[usize]) {
        let rules = self.rules.yaml();
        for index in to {
            let instance = &self.instances[*index];
            instance.reload(&rules);
            let now = self.hands.clock.now();
            self.world.governs(instance.number, &self.rules, now);
        }
    }

    fn cause_or_end_trouble(&mut self) {
        if self.is_in_trouble {
            self.tell("the trouble is over");
            self.is_in_trouble = false;
            return self.hands.trouble(Vec::new());
        }
        self.is_in_trouble = true;
        let kinds = trouble(&mut self.rng);
        self.tell(&format!("trouble: {kinds:?}"));
        self.hands.trouble(kinds);
    }

    async fn begin_or_end(&mut self) {
        let Some(index) = self.any_index() else {
            return self.start();
        };
        if self.instances.len() < INSTANCES && self.rng.random_bool(0.6) {
            return self.start();
        }
        let instance = self.instances.swap_remove(index);
        let (number, holder) = (instance.number, instance.holder);
        if self.rng.random_bool(0.25) {
            instance.stop().await;
            self.tell(&format!("instance {number} stops"));
        } else {
            instance.kill();
            self.tell(&format!("instance {number} is killed"));
            let was_alone = self.instances.is_empty();
            self.hands.end_the_turn_of(holder, was_alone).await;
        }
        let now = self.hands.clock.now();
        self.world.ends(number, now, true);
    }

    fn start(&mut self) {
        self.started += 1;
        let now = self.hands.clock.now();
        let instance = Instance::start(self.started, &self.hands.place, &self.rules.yaml());
        self.world.governs(self.started, &self.rules, now);
        self.instances.push(instance);
        self.tell(&format!("instance {} starts", self.started));
    }
}

/// Ways in which calls go wrong.
fn trouble(rng: &mut StdRng) -> Vec<Fault> {
    let writes = [
        "*/developers/*",
        "*/teams/*/developers",
        "*/registrations/*",
    ];
    let write = writes[rng.random_range(0..writes.len())].to_owned();
    let method = if write.ends_with("/developers") {
        "POST"
    } else {
        "PATCH"
    };
    let on_write = Fault {
        method: Some(method.to_owned()),
        path: write,
        ..Fault::default()
    };
    let status = |status| Some(status);
    match rng.random_range(0..10) {
        0 => vec![Fault {
            status: status(500),
            ..Fault::default()
        }],
        1 => vec![Fault {
            status: status(500),
            share: Some(0.4),
            ..Fault::default()
        }],
        2 => vec![Fault {
            status: status(429),
            share: Some(0.5),
            headers: [("Retry-After".to_owned(), "1".to_owned())].into(),
            ..Fault::default()
        }],
        3 => vec![Fault {
            status: status(401),
            ..Fault::default()
        }],
        4 => vec![Fault {
            status: status(403),
            ..on_write
        }],
        5 => vec![Fault {
            status: status(500),
            ..on_write
        }],
        6 => vec![Fault {
            status: status(LOST),
            after: true,
            ..on_write
        }],
        7 => vec![Fault {
            cut: true,
            after: true,
            ..on_write
        }],
        8 => vec![Fault {
            latency_ms: 400,
            ..on_write
        }],
        _ => vec![Fault {
            latency_ms: 100,
            ..Fault::default()
        }],
    }
}
