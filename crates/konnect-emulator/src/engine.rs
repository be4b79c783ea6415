//! What all tasks of one emulator share: the organisation behind one lock, the clock, the faults,
//! the journal, the snapshots. It serves nothing; the gateway, the controls and the workers do.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use serde_json::{Map, Value};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    clock::{Clock, new_trace_id},
    entry::{Entry, Origin},
    faults::Faults,
    history::RETENTION,
    replay_faults::ForeignJob,
    request_log::RequestLog,
    resources::{auth_strategies, replay_jobs},
    rule::{Rule, Rules, Scope},
    seed,
    senders::Senders,
    snapshot::{Snapshot, SnapshotInfo, Snapshots},
    sso::{self, SsoSignIn, SsoSignedIn},
    state::World,
};

/// What all tasks of one emulator share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) token: String,
    pub(crate) clock: Clock,
    pub(crate) senders: Senders,
    pub(crate) tracker: TaskTracker,
    /// Ends every task.
    pub(crate) end: CancellationToken,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    log: Mutex<RequestLog>,
    snapshots: Mutex<Snapshots>,
}

/// A panic of one request leaves consistent data behind often enough to go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Makes an empty organisation that accepts one token.
    pub(crate) fn new(token: String) -> Self {
        let clock = Clock::default();
        let mut world = World::new();
        auth_strategies::build_in(&mut world, clock.now());
        Self {
            token,
            clock,
            senders: Senders::default(),
            tracker: TaskTracker::new(),
            end: CancellationToken::new(),
            world: Mutex::new(world),
            faults: Mutex::default(),
            log: Mutex::default(),
            snapshots: Mutex::default(),
        }
    }

    /// Locks what Konnect knows.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Locks the faults of calls.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// Locks the snapshots.
    pub(crate) fn snapshots(&self) -> MutexGuard<'_, Snapshots> {
        lock(&self.snapshots)
    }

    /// Locks the journal.
    pub(crate) fn log(&self) -> MutexGuard<'_, RequestLog> {
        lock(&self.log)
    }

    /// Says of what an entry tells that no request caused.
    fn origin(&self, org_id: Uuid) -> Origin {
        Origin {
            at: self.clock.now(),
            org_id,
            src: "127.0.0.1".to_owned(),
            user_agent: "konnect-emulator".to_owned(),
            trace_id: new_trace_id(),
        }
    }

    /// Makes the objects of a seed.
    pub(crate) fn seed(&self, seed: &Value) -> Result<Value, String> {
        let mut world = self.world();
        let origin = self.origin(world.org_id);
        seed::plant(&mut world, seed, &origin)
    }

    /// Adds entries as if something had happened.
    pub(crate) fn inject(
        &self,
        portal: Option<Uuid>,
        entries: &[Map<String, Value>],
    ) -> Result<(), String> {
        let mut world = self.world();
        world.expect_scope(portal.map(Scope::Portal))?;
        let origin = self.origin(world.org_id);
        for members in entries {
            world
                .audit
                .record(portal, Entry::injected(members, &origin, portal), origin.at);
        }
        Ok(())
    }

    /// Signs a developer in as an identity provider does.
    pub(crate) fn sso_sign_in(&self, asked: &SsoSignIn) -> Result<SsoSignedIn, String> {
        let mut world = self.world();
        let origin = self.origin(world.org_id);
        sso::sign_in(&mut world, asked, &origin)
    }

    /// Checks rules and puts all of them in force, or none.
    pub(crate) fn add_rules<R: Rule>(
        &self,
        of: fn(&mut World) -> &mut Rules<R>,
        replace: bool,
        rules: impl IntoIterator<Item = R>,
    ) -> Result<Vec<R>, String> {
        let mut world = self.world();
        let rules: Vec<R> = rules.into_iter().collect();
        for rule in &rules {
            rule.check()?;
            world.expect_scope(rule.when().portal)?;
        }
        let all = of(&mut world);
        if replace {
            all.clear();
        }
        all.add(rules);
        Ok(all.all())
    }

    /// Starts a job as if somebody else had asked for it, and shows it.
    pub(crate) fn start_foreign_job(&self, job: &ForeignJob) -> Result<Value, String> {
        let mut world = self.world();
        world.expect_scope(Some(job.portal))?;
        let now = self.clock.now();
        let end_at = job.end_at.unwrap_or(now);
        let start_at = job.start_at.unwrap_or(end_at - TimeDelta::hours(1));
        if start_at > end_at || end_at > now {
            return Err("start_at comes before end_at, and end_at is not in the future".to_owned());
        }
        if start_at < now - RETENTION {
            return Err("start_at is within the last 7 days".to_owned());
        }
        let source = job.portal.portal_id();
        let stream = world.audit.stream(source);
        if stream.destination.is_none() {
            return Err(format!("the webhook of {} is not configured", job.portal));
        }
        if stream
            .job
            .as_ref()
            .is_some_and(|job| job.status == "running")
        {
            return Err(format!("a replay job of {} is running", job.portal));
        }
        let window = (start_at, end_at);
        world.audit.start_course(source, window, job.into(), now);
        Ok(replay_jobs::view(world.audit.stream(source).job.as_ref()))
    }

    /// Takes a snapshot; one of the same name is replaced.
    pub(crate) fn take_snapshot(&self, name: &str) -> Result<SnapshotInfo, String> {
        self.snapshots().check(name)?;
        let snapshot = {
            let world = self.world();
            Snapshot::take(&world, &self.faults(), &self.clock)
        };
        Ok(self.snapshots().keep(name, snapshot))
    }

    /// Puts everything back as it was when a snapshot was taken.
    pub(crate) fn restore(&self, name: &str) -> Result<(), String> {
        let Snapshot {
            world: mut restored,
            faults,
            hands,
            ..
        } = self.snapshots().get(name)?;
        let mut world = self.world();
        restored.audit.take_over(&mut world.audit);
        *world = restored;
        *self.faults() = faults;
        self.clock.put(hands);
        Ok(())
    }

    /// Signs with a new key from now on and returns its id.
    pub(crate) fn rotate_keys(&self, drop_old: bool) -> String {
        let keys = &mut self.world().audit.keys;
        if drop_old { keys.replace() } else { keys.add() }
    }
}
