//! The worker: claims actions and has them carried out, many at a time. Does not decide what is to
//! be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use konnect::{ListPortals, PortalId};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use url::Url;
use uuid::Uuid;

use crate::act::carry_out::{Executor, WorkerChannels};
use crate::act::claim::{Claimed, Kinds, Note};
use crate::act::group_commit::{CommitTogether, group_commit};
use crate::act::judge::{Cases, cases};
use crate::act::notify::Notifier;
use crate::act::outcome::Settlement;
use crate::act::pause::{Forbidden, Pause};
use crate::act::read_back::{AT_ONCE, keep_read_backs};
use crate::act::refusals::Probe;
use crate::act::timings::Timings;
use crate::act::{LiveRule, Queue, decide};
use crate::config::NotifyConfig;
use crate::directory::{Directory, Sweep};
use crate::journal::JournalError;
use crate::lifecycle::pause as wait;
use crate::rules::RuleSet;

/// Actions under way at the same time, at least: one slow call must not delay the others.
const MIN_IN_HAND: usize = 4;
/// The same, at most: their notes are written together, and more would gain nothing.
const MAX_IN_HAND: usize = 128;
/// Calls a second that one more action under way is worth. All of them share the rate, and none may
/// wait so long for a call that what it has read is old.
const CALLS_PER_HAND: usize = 8;
/// The wait after the database did not answer.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// How long a claim waits for a few more free places.
const COLLECT_FOR: Duration = Duration::from_millis(10);
/// How often actions that wait in vain are searched for; they are rare, and nothing depends on
/// them.
const STRANDED_EVERY: Duration = Duration::from_secs(5);
/// How long ago the action that they wait for may have ended.
const STRANDED_WITHIN: Duration = Duration::from_mins(2);
const EVER: Duration = Duration::from_hours(24 * 365 * 100);

/// Writes the write notes together.
struct WriteNotes<'a> {
    queue: &'a Queue,
    lease: Duration,
}

impl CommitTogether for WriteNotes<'_> {
    type Item = Note;

    async fn handle(&self, notes: &[Note]) -> Result<Vec<bool>, JournalError> {
        self.queue.about_to_write(self.lease, notes).await
    }
}

/// Stores together how actions ended.
struct Settlements<'a> {
    queue: &'a Queue,
}

impl CommitTogether for Settlements<'_> {
    type Item = Settlement;

    async fn handle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, JournalError> {
        self.queue.settle(settlements).await
    }
}

/// Actions that were claimed together, on their way to be carried out, with their places among
/// those under way.
type ClaimedGroup<'a> = (Vec<Claimed>, SemaphorePermit<'a>);

/// Carries out the actions of the queue.
#[derive(Debug)]
pub struct Worker {
    queue: Queue,
    directory: Directory,
    client: konnect::Client,
    notifier: Notifier,
    timings: Timings,
    pause: Pause,
    /// The rules by which every deed is decided once more right before it is done.
    rules: Option<watch::Receiver<Arc<RuleSet>>>,
    in_hand: usize,
    /// Writes to one target in a day; 0 means any number.
    limit_per_subject: u32,
}

impl Worker {
    /// A worker that calls the API with `client`. The client's observer should call
    /// [`note_call`](crate::act::note_call), so that the record of an attempt names its call.
    pub fn new(
        queue: Queue,
        directory: Directory,
        client: konnect::Client,
        timings: Timings,
    ) -> Self {
        let notifier = Notifier::new(NotifyConfig::default(), queue.clock.clone(), None);
        Self {
            queue,
            directory,
            client,
            notifier,
            timings,
            pause: Pause::new(timings.probe_every),
            rules: None,
            in_hand: MIN_IN_HAND,
            limit_per_subject: 0,
        }
    }

    /// Leaves to a person the writes over this number to one target in a day; 0 means any number.
    #[must_use]
    pub fn with_subject_limit(mut self, per_day: u32) -> Self {
        self.limit_per_subject = per_day;
        self
    }

    /// Checks by these rules whether a deed is still wanted, right before it is done.
    #[must_use]
    pub fn with_rules(mut self, rules: watch::Receiver<Arc<RuleSet>>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Has as many actions under way as so many calls a second are enough for.
    #[must_use]
    pub fn with_rate(mut self, calls_per_second: u32) -> Self {
        let rate = usize::try_from(calls_per_second).unwrap_or(usize::MAX);
        self.in_hand = (rate / CALLS_PER_HAND).clamp(MIN_IN_HAND, MAX_IN_HAND);
        self
    }

    /// Sends notices as configured, which lead to the pages of `console` where people reach it;
    /// else unsigned ones to public addresses only.
    #[must_use]
    pub fn with_notify(mut self, config: NotifyConfig, console: Option<Url>) -> Self {
        self.notifier = Notifier::new(config, self.queue.clock.clone(), console);
        self
    }

    /// Whether the worker pauses because its token is refused, to be watched by `/readyz`.
    pub fn paused(&self) -> watch::Receiver<bool> {
        self.pause.watch()
    }

    /// The kinds of deeds that wait because Konnect forbids them while it accepts the token.
    pub fn forbidden(&self) -> watch::Receiver<Vec<Forbidden>> {
        self.pause.watch_forbidden()
    }

    /// Works until `stop` fires; actions under way are finished first.
    ///
    /// Dropping the future is safe at any moment: actions under way are claimed again when their
    /// lease ends, and nothing is written twice.
    pub async fn run(&self, stop: CancellationToken) {
        let (notes, noting) = group_commit();
        let (endings, ending) = group_commit();
        let (read_backs, to_be_kept) = mpsc::channel(AT_ONCE);
        let channels = WorkerChannels {
            notes,
            endings,
            read_backs,
        };
        let room = Semaphore::new(self.in_hand);
        let (hand, handed) = mpsc::channel(self.in_hand);
        let (queue, lease) = (&self.queue, self.timings.lease);
        tokio::join!(
            self.hand_out(hand, &room, &stop),
            self.carry_out(handed, channels),
            Box::pin(noting.handle(WriteNotes { queue, lease })),
            Box::pin(ending.handle(Settlements { queue })),
            Box::pin(keep_read_backs(to_be_kept, &self.directory)),
            self.probe(&stop),
            self.cancel_stranded(&stop),
        );
    }

    /// Cancels now and then the actions that wait in vain.
    async fn cancel_stranded(&self, stop: &CancellationToken) {
        // An earlier process may have left some.
        let mut within = EVER;
        loop {
            match self.queue.cancel_stranded(within).await {
                Ok(_) => within = STRANDED_WITHIN,
                Err(error) => debug!(
                    error = error.chain(),
                    "could not find actions that wait in vain"
                ),
            }
            if wait(STRANDED_EVERY, stop).await {
                return;
            }
        }
    }

    /// Claims due actions whenever there is a free place, until `stop` fires.
    async fn hand_out<'a>(
        &self,
        hand: mpsc::Sender<ClaimedGroup<'a>>,
        room: &'a Semaphore,
        stop: &CancellationToken,
    ) {
        let mut paused = self.pause.watch();
        while !stop.is_cancelled() {
            let is_paused = *paused.borrow_and_update();
            let place = stop.run_until_cancelled(room.acquire()).await;
            let Some(Ok(mut places)) = place else { return };
            self.collect_places(room, &mut places).await;
            // Begun before the claim, so that nothing enqueued in between is missed.
            let woken = self.queue.woken();
            match self.claim(places.num_permits(), is_paused).await {
                Ok((claimed, is_left)) if claimed.is_empty() => {
                    drop(places);
                    if is_paused {
                        // What is due waits, so that the time of the next one says nothing.
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = woken => {}
                            _ = paused.changed() => {}
                            () = tokio::time::sleep(self.timings.poll) => {}
                        }
                    } else if !is_left {
                        self.rest(woken, stop).await;
                    }
                }
                Ok((claimed, _)) => {
                    let Some(places) = places.split(claimed.len()) else {
                        continue;
                    };
                    // Its receiver lives until this sender is gone.
                    let _is_taken = hand.send((claimed, places)).await;
                }
                Err(error) => {
                    drop(places);
                    warn!(error = error.chain(), "could not claim actions");
                    wait(AFTER_TROUBLE.min(self.timings.probe_every), stop).await;
                }
            }
        }
    }

    /// Claims due actions, and one of each forbidden kind where it is time to try it. While the
    /// token is refused (`is_paused`), it claims only notices about usher itself. Returns whether
    /// more actions lack the reason why they wait.
    async fn claim(
        &self,
        at_most: usize,
        is_paused: bool,
    ) -> Result<(Vec<Claimed>, bool), JournalError> {
        if is_paused {
            return Ok((self.claim_notices(at_most).await?, false));
        }
        let lease = self.timings.lease;
        let rules = self.live_rules();
        let rules = rules.as_deref();
        let held = self.pause.blocked_kinds();
        let is_left = self.queue.let_start(rules, &held).await?;
        let mut claimed = Vec::new();
        for kind in self.pause.due().into_iter().take(at_most) {
            let one = self
                .queue
                .claim(lease, 1, Kinds::Only(&kind), rules)
                .await?;
            match one.first() {
                Some(one) => self.pause.tries(kind, one.row.id),
                None if !self.queue.is_waiting(kind).await? => self.pause.forget(kind),
                None => {}
            }
            claimed.extend(one);
        }
        let held = self.pause.blocked_kinds();
        let others = Kinds::AllBut(&held);
        match self
            .queue
            .claim(lease, at_most - claimed.len(), others, rules)
            .await
        {
            Ok(others) => claimed.extend(others),
            // What was claimed would else wait until its lease ends.
            Err(error) if !claimed.is_empty() => {
                warn!(error = error.chain(), "could not claim actions");
            }
            Err(error) => return Err(error),
        }
        Ok((claimed, is_left))
    }

    /// Claims notices about usher itself, which need no token.
    async fn claim_notices(&self, at_most: usize) -> Result<Vec<Claimed>, JournalError> {
        let Some(rules) = &self.rules else {
            return Ok(Vec::new());
        };
        let rules = Arc::clone(&rules.borrow());
        let mut live = decide::live_at(&rules);
        live.retain(|rule| rules.is_about_usher(&rule.name));
        if live.is_empty() {
            return Ok(Vec::new());
        }
        self.queue.let_start(Some(&live), &[]).await?;
        let (lease, kinds) = (self.timings.lease, Kinds::OfOperation);
        self.queue.claim(lease, at_most, kinds, Some(&live)).await
    }

    /// The rules whose deeds it may do, and their portals; none means all rules.
    fn live_rules(&self) -> Option<Vec<LiveRule>> {
        let rules = self.rules.as_ref()?.borrow();
        Some(decide::live_at(&rules))
    }

    /// Takes other free places too. A claim costs the same for any number, so that it waits a
    /// moment for a few of them.
    async fn collect_places<'a>(&self, room: &'a Semaphore, places: &mut SemaphorePermit<'a>) {
        let few = u32::try_from(self.in_hand / 4).unwrap_or(u32::MAX);
        if places_left(room) < few
            && let Ok(Ok(more)) = timeout(COLLECT_FOR, room.acquire_many(few)).await
        {
            places.merge(more);
        }
        if let Ok(more) = room.try_acquire_many(places_left(room)) {
            places.merge(more);
        }
    }

    /// The cases of the claimed actions; none where they cannot be loaded, and then all claims are
    /// given back.
    async fn cases_of(&self, claimed: &[Claimed]) -> Option<Cases> {
        let Some(rules) = &self.rules else {
            return Some(Cases::new());
        };
        let rules = Arc::clone(&rules.borrow());
        let rooms = (&self.queue, &self.directory);
        let error = match cases(rooms, &rules, claimed).await {
            Ok(cases) => return Some(cases),
            Err(error) => error,
        };
        warn!(
            error = error.chain(),
            "could not load the cases of the claimed actions"
        );
        for one in claimed {
            if let Err(error) = self.queue.put_back(one, AFTER_TROUBLE).await {
                debug!(error = error.chain(), "could not give an action back");
            }
        }
        None
    }

    /// Begins a sweep of each portal before the reads, so that sweeps begun earlier do not
    /// overwrite what will be read.
    async fn begin_sweeps(&self, claimed: &[Claimed]) -> BTreeMap<Uuid, Sweep> {
        let portals = claimed.iter().map(|one| one.row.portal_id);
        let portals: BTreeSet<Uuid> = portals.filter(|portal| !portal.is_nil()).collect();
        let mut sweeps = BTreeMap::new();
        for portal in portals {
            match self.directory.begin(PortalId(portal)).await {
                Ok(sweep) => {
                    sweeps.insert(portal, sweep);
                }
                Err(error) => debug!(error = error.chain(), "what deeds read will not be stored"),
            }
        }
        sweeps
    }

    /// Carries out the actions of all groups at once, until no group comes any more.
    async fn carry_out(
        &self,
        mut handed: mpsc::Receiver<ClaimedGroup<'_>>,
        channels: WorkerChannels,
    ) {
        let mut in_hand = FuturesUnordered::new();
        loop {
            tokio::select! {
                next = handed.recv() => match next {
                    Some((claimed, places)) => {
                        in_hand.push(self.carry_out_some(claimed, places, &channels));
                    }
                    None => break,
                },
                Some(()) = in_hand.next() => {}
            }
        }
        while in_hand.next().await.is_some() {}
    }

    /// Carries out a group of claimed actions.
    async fn carry_out_some(
        &self,
        claimed: Vec<Claimed>,
        mut places: SemaphorePermit<'_>,
        channels: &WorkerChannels,
    ) {
        let sweeps = self.begin_sweeps(&claimed).await;
        let Some(cases) = self.cases_of(&claimed).await else {
            return;
        };
        let executor = self.executor();
        let mut in_hand = FuturesUnordered::new();
        for one in &claimed {
            let case = cases.get(&one.row.id);
            let sweep = sweeps.get(&one.row.portal_id).copied();
            let place = places.split(1);
            in_hand.push(async move {
                if let Err(error) = Box::pin(executor.work(channels, (one, case), sweep)).await {
                    // The lease ends by itself, and reading before writing makes up for it.
                    warn!(
                        action.id = %one.row.id,
                        error = error.chain(),
                        "could not record an action"
                    );
                }
                drop(place);
            });
        }
        while in_hand.next().await.is_some() {}
    }

    fn executor(&self) -> Executor<'_> {
        Executor {
            queue: &self.queue,
            directory: &self.directory,
            client: &self.client,
            notifier: &self.notifier,
            timings: &self.timings,
            pause: &self.pause,
            rules: self.rules.as_ref(),
            limit_per_subject: self.limit_per_subject,
        }
    }

    /// Waits until something may be due.
    async fn rest(&self, woken: impl Future<Output = ()>, stop: &CancellationToken) {
        let due = self.queue.next_due().await.unwrap_or_default();
        let at_most = due.map_or(self.timings.poll, |due| due.min(self.timings.poll));
        tokio::select! {
            () = stop.cancelled() => {}
            () = woken => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Checks whether the token is accepted: now and then while the worker pauses, and at once when
    /// the token is in doubt.
    async fn probe(&self, stop: &CancellationToken) {
        let mut paused = self.pause.watch();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.pause.doubted() => {}
                () = paused_for(&mut paused, self.timings.probe_every) => {}
            }
            let options = ListPortals {
                page_size: Some(1),
                ..ListPortals::default()
            };
            match self.client.portals().list_page(&options, 1).await {
                Ok(_) => self.pause.probed(Probe::Reads),
                Err(error) => {
                    debug!(%error, "the token could not read");
                    self.pause.probed(match error.status() {
                        Some(401) => Probe::Unauthorized,
                        Some(403) => Probe::Forbidden,
                        _ => Probe::Unclear,
                    });
                }
            }
        }
    }
}

/// Completes when the worker pauses, and `time` has passed.
async fn paused_for(paused: &mut watch::Receiver<bool>, time: Duration) {
    // The sender lives as long as the worker.
    let _is_paused = paused.wait_for(|paused| *paused).await.is_ok();
    tokio::time::sleep(time).await;
}

/// How many places are free.
fn places_left(room: &Semaphore) -> u32 {
    u32::try_from(room.available_permits()).unwrap_or(u32::MAX)
}
