//! One sweep with rules and deeds, by the same parts as the service and beside it: they meet in the
//! database, so that nothing is done twice. Serves nothing and ends by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use konnect::PortalId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::act::{self, Action, ActionCounts, ActionState, Queue, RunStart, Worker};
use crate::app::{AppError, Database, build_client, database};
use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::directory::{Directory, Scope};
use crate::journal::{Journal, JournalError, ReaderName, Source};
use crate::lifecycle::pause;
use crate::observe::{self, ObserveError, Observer};
use crate::react::{self, Reactor};
use crate::rules::RuleSet;

/// A deed changes what rules see: a person who was let into a team may get an API for it. So the
/// sweep is repeated while something was done, and at most this often; the next run does what is
/// left then.
const ROUNDS: usize = 4;
/// How often the queue is asked how far it is.
const POLL: Duration = Duration::from_millis(150);

/// Everything that a sweep with deeds needs.
#[derive(Debug)]
pub struct Reconciler {
    journal: Journal,
    queue: Queue,
    observer: Observer,
    reactor: Reactor,
    worker: Worker,
    /// Keeps the rules that the reactor reads.
    _rules: watch::Sender<Arc<RuleSet>>,
}

/// Why a run ended early. What was decided stays in the queue.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The portals could not be listed.
    #[error("could not list the portals")]
    Portals(#[source] ObserveError),
    /// Portals could not be read, and nothing was decided about them; or they could be read in part
    /// only.
    #[error("{}", unread(.0, .1))]
    Looks(
        Vec<(PortalId, ObserveError)>,
        BTreeMap<PortalId, BTreeSet<String>>,
    ),
    /// The database failed.
    #[error("could not read or write the database")]
    Database(#[from] JournalError),
    /// A write was answered 401, or everything 403.
    #[error("the token is refused for a deed: no attempt was used up, what is open waits")]
    Refused,
    /// Deeds of one kind were answered 403, others were not.
    #[error(
        "{0} is forbidden to the token, it may lack a role: no attempt was used up, what needs it waits"
    )]
    Forbidden(String),
    /// A person lets no action be carried out.
    #[error("{0} paused all actions: what was decided waits for `usher actions resume`")]
    Paused(String),
    /// It was asked to stop.
    #[error(
        "stopped: what was decided and is not done waits for the next run, or for `usher serve`"
    )]
    Stopped,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many actions ended in which state.
    pub ended: BTreeMap<ActionState, usize>,
    /// Those over the limit of their rule.
    pub delayed: usize,
    /// Those that wait for another one.
    pub waiting: usize,
    /// The portals that are to be read.
    pub portals: usize,
    /// Those of them that could not be read.
    pub failed_portals: Vec<PortalId>,
    /// Those of which a part could not be read.
    pub partly_read_portals: Vec<PortalId>,
}

/// Each portal that could not be read, or not whole, with the reason.
fn unread(
    failed: &[(PortalId, ObserveError)],
    partly: &BTreeMap<PortalId, BTreeSet<String>>,
) -> String {
    let failed = failed
        .iter()
        .map(|(portal, error)| format!("could not sweep portal {portal}: {}", error.chain()));
    let partly = partly.iter().map(|(portal, lines)| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!(
            "not everything of portal {portal} could be read: {}",
            lines.join(", ")
        )
    });
    failed.chain(partly).collect::<Vec<_>>().join("; ")
}

/// How a run ended: with its summary in either case.
#[derive(Debug)]
pub struct Ended {
    /// Its result.
    pub summary: Summary,
    /// Why it ended early.
    pub error: Option<ReconcileError>,
}

impl Summary {
    /// How many actions ended in this state.
    pub fn count(&self, state: ActionState) -> usize {
        self.ended.get(&state).copied().unwrap_or_default()
    }
}

/// What a run has reported so far.
struct Progress<F> {
    tell: F,
    told: BTreeSet<Uuid>,
    summary: Summary,
}

impl<F: FnMut(&Action)> Progress<F> {
    /// Reports what ended; returns how many of it changed something.
    fn note(&mut self, standings: &ActionCounts) -> usize {
        let mut done = 0;
        for action in &standings.ended {
            (self.tell)(action);
            done += usize::from(action.state == ActionState::Done);
            *self.summary.ended.entry(action.state).or_default() += 1;
        }
        self.summary.delayed = standings.delayed;
        self.summary.waiting = standings.moving + standings.held_up;
        done
    }
}

impl Reconciler {
    /// Brings the schema up to date and makes the parts.
    ///
    /// # Errors
    /// If the database cannot be reached or is of a newer usher, or the client cannot be made.
    pub async fn prepare(
        config: &Config,
        database: &Database,
        rules: RuleSet,
        clock: Clock,
    ) -> Result<Self, AppError> {
        let journal = database.journal().clone();
        database::try_prepare(&journal, &[ReaderName::React])
            .await
            .map_err(AppError::Schema)?;
        let client = build_client(&config.konnect)?;
        let ids = Ids::new(clock.clone());
        let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
        let queue = Queue::new(journal.clone(), clock.clone(), ids.clone());
        let portals = config.konnect.portals.iter().copied();
        let rules = watch::Sender::new(Arc::new(rules));
        Ok(Self {
            observer: Observer::new(observe::Parts {
                journal: journal.clone(),
                directory: directory.clone(),
                client: client.clone(),
                config: config.observe.clone(),
                portals: portals.map(Into::into).collect(),
                clock: clock.clone(),
                holder: ids.next(),
            }),
            reactor: Reactor::new(
                journal.clone(),
                directory.clone(),
                rules.subscribe(),
                queue.clone(),
                clock,
                react::Settings {
                    own_principal: config.konnect.principal_id,
                    portals: (!config.konnect.portals.is_empty())
                        .then(|| config.konnect.portals.clone()),
                    ..react::Settings::default()
                },
            ),
            worker: Worker::new(queue.clone(), directory, client, act::Timings::default())
                .with_rules(rules.subscribe())
                .with_subject_limit(config.rules.limit_per_subject_per_day)
                .with_notify(config.notify.clone(), config.console.url.clone())
                .with_rate(config.konnect.requests_per_second),
            journal,
            queue,
            _rules: rules,
        })
    }

    /// Sweeps, decides and acts until nothing is left to do, and calls `tell` for every action as
    /// it ends. `stop` ends it early, after the deeds that have begun.
    pub async fn run(&self, stop: &CancellationToken, tell: impl FnMut(&Action)) -> Ended {
        let mut progress = Progress {
            tell,
            told: BTreeSet::new(),
            summary: Summary::default(),
        };
        let error = self.try_run(stop, &mut progress).await.err();
        Ended {
            summary: progress.summary,
            error,
        }
    }

    async fn try_run(
        &self,
        stop: &CancellationToken,
        progress: &mut Progress<impl FnMut(&Action)>,
    ) -> Result<(), ReconcileError> {
        let portals = tokio::select! {
            () = stop.cancelled() => return Err(ReconcileError::Stopped),
            portals = self.observer.portals() => portals.map_err(ReconcileError::Portals)?,
        };
        progress.summary.portals = portals.len();
        let mark = self.queue.mark(&portals).await?;
        let mut left = portals;
        let mut failed = Vec::new();
        for _ in 0..ROUNDS {
            let unread = tokio::select! {
                () = stop.cancelled() => return Err(ReconcileError::Stopped),
                decided = Box::pin(self.decide(&left)) => decided?,
            };
            // A portal that could not be read is not tried again: its actions are for the next run.
            left.retain(|portal| unread.iter().all(|(failed, _)| failed != portal));
            let unread_ids = unread.iter().map(|(portal, _)| *portal);
            progress.summary.failed_portals.extend(unread_ids);
            failed.extend(unread);
            if left.is_empty() {
                break;
            }
            let done = Box::pin(self.act(&mark, stop, progress)).await?;
            if done == 0 {
                break;
            }
        }
        let partly = self.observer.health().partly_read();
        progress.summary.partly_read_portals = partly.keys().copied().collect();
        if failed.is_empty() && partly.is_empty() {
            Ok(())
        } else {
            Err(ReconcileError::Looks(failed, partly))
        }
    }

    /// Sweeps every portal, and decides about those that could be read; returns the others.
    async fn decide(
        &self,
        portals: &[PortalId],
    ) -> Result<Vec<(PortalId, ObserveError)>, ReconcileError> {
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        for &portal in portals {
            match self.observer.sweep_once(portal, Scope::All).await {
                Ok(_) => read.push(portal),
                Err(error) => unread.push((portal, error)),
            }
        }
        self.decide_what_was_seen(&read).await?;
        Ok(unread)
    }

    /// Acts until no action can end soon, or `stop` fires; returns how many were done. Only now, so
    /// that what fails is not decided again in the same pass.
    async fn act(
        &self,
        mark: &RunStart,
        stop: &CancellationToken,
        progress: &mut Progress<impl FnMut(&Action)>,
    ) -> Result<usize, ReconcileError> {
        let at_work = CancellationToken::new();
        let settled = async {
            let settled = tokio::select! {
                () = stop.cancelled() => Err(ReconcileError::Stopped),
                settled = self.settle(mark, progress) => settled,
            };
            at_work.cancel();
            settled
        };
        let (settled, ()) = tokio::join!(settled, self.worker.run(at_work.clone()));
        // The deeds that had begun have ended meanwhile.
        let standings = self.queue.standings(mark, &mut progress.told, &[]).await?;
        let late = progress.note(&standings);
        settled.map(|done| done + late)
    }

    /// Decides about what the sweeps showed, and about everybody who waits.
    async fn decide_what_was_seen(&self, portals: &[PortalId]) -> Result<(), JournalError> {
        self.reactor.drain().await?;
        // A service beside may have claimed some of it.
        while self
            .journal
            .owes_any_of(ReaderName::React, Source::Observe)
            .await?
            || self.reactor.owes().await?
        {
            self.journal.appended(POLL).await;
            self.reactor.drain().await?;
        }
        for &portal in portals {
            self.reactor.decide_pending_in(portal).await?;
        }
        Ok(())
    }

    /// Waits until no action can end soon; returns how many were done.
    async fn settle(
        &self,
        mark: &RunStart,
        progress: &mut Progress<impl FnMut(&Action)>,
    ) -> Result<usize, ReconcileError> {
        let never = CancellationToken::new();
        let mut done = 0;
        loop {
            let forbidden = self.worker.forbidden().borrow().clone();
            let standings = self
                .queue
                .standings(mark, &mut progress.told, &forbidden)
                .await?;
            let is_held = standings.forbidden > 0;
            let moving = standings.moving;
            done += progress.note(&standings);
            if let Some(first) = forbidden.into_iter().next()
                && is_held
                && moving == 0
            {
                return Err(ReconcileError::Forbidden(first.call));
            }
            if moving == 0 {
                return Ok(done);
            }
            if *self.worker.paused().borrow() {
                return Err(ReconcileError::Refused);
            }
            if let Some(paused) = self.queue.paused().await? {
                return Err(ReconcileError::Paused(paused.by));
            }
            pause(POLL, &never).await;
        }
    }
}
