//! The loop over the outbox: a batch is read, understood, decided, and struck off in the same
//! transaction that enqueues what follows from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{DeveloperId, PortalId};
use serde_json::{Map, Value};
use tokio::sync::{Mutex as AsyncMutex, Notify, RwLock, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::act::decide::{self, Found, around, assemble, is_own};
use crate::act::{Enqueued, NewChain, Queue, RuleHolder};
use crate::clock::Clock;
use crate::directory::{Directory, Touched};
use crate::event::{AuditEvent, Signal, SignalKind};
use crate::journal::{
    Claims, Journal, JournalError, OutboxRow, Owed, ReaderName, StoredEvent, finish_in,
};
use crate::lifecycle::pause;
use crate::react::call_off::CallingOff;
use crate::react::custom::{self, Waiting};
use crate::react::meaning::{Hint, MAX_HINT_AGE, as_fact, meaning};
use crate::rules::RuleSet;

/// Batches claimed at once.
const CLAIM: i64 = 16;
/// How long a claim holds without renewal, which comes four times as often: what a crashed
/// instance had in hand waits that long.
const HOLD: Duration = Duration::from_secs(15);
/// A batch that waits longer for one thing is no longer held on to: another instance may do better.
const STANDS_STILL: Duration = Duration::from_secs(20);
/// How often the outbox is looked at when nothing wakes the reader.
const POLL: Duration = Duration::from_millis(250);
/// The header of an entry tells whole seconds, and its own time may be a little later.
const MARGIN: TimeDelta = TimeDelta::minutes(1);
/// The wait after the database did not answer.
pub(super) const TROUBLE: Duration = Duration::from_secs(1);
/// A batch that could not be handled this many times is logged and struck off: it must not hold
/// up the others for ever, and the sweeps find what it spoke of.
const POISON: u32 = 5;

/// What a [`Reactor`] goes by.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// usher's account in Konnect: what it does is no news.
    pub own_principal: Option<Uuid>,
    /// How often whoever is pending is decided again at the latest.
    pub redecide_every: Duration,
    /// Whether actions of rules that are not live are called off: not where no rules file is
    /// configured, beside an instance that has one.
    pub calls_off: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            own_principal: None,
            redecide_every: Duration::from_hours(1),
            calls_off: true,
        }
    }
}

/// Turns what the journal holds into actions.
#[derive(Debug)]
pub struct Reactor {
    pub(super) journal: Journal,
    pub(super) directory: Directory,
    pub(super) rules: watch::Receiver<Arc<RuleSet>>,
    pub(super) queue: Queue,
    clock: Clock,
    /// Milliseconds that it was ahead of the database's when both were last read.
    ahead: AtomicI64,
    pub(super) settings: Settings,
    /// Asks for everyone pending to be decided again soon.
    pub(super) again: Notify,
    /// Read-locked from the last look at the rules to the commit of what follows from them.
    pub(super) writing: RwLock<()>,
    pub(super) holder: RuleHolder,
    pub(super) calling_off: AsyncMutex<CallingOff>,
    /// How often a batch could not be handled.
    failures: Mutex<HashMap<Uuid, u32>>,
    waiting: Waiting,
    /// What keeps the outbox from being read, in plain words.
    trouble: watch::Sender<Option<String>>,
}

impl Reactor {
    /// A reactor that decides by whatever `rules` holds at the moment.
    pub fn new(
        journal: Journal,
        directory: Directory,
        rules: watch::Receiver<Arc<RuleSet>>,
        queue: Queue,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        Self {
            holder: queue.rule_holder(),
            calling_off: AsyncMutex::default(),
            journal,
            directory,
            rules,
            queue,
            clock,
            ahead: AtomicI64::new(0),
            settings,
            again: Notify::new(),
            writing: RwLock::new(()),
            failures: Mutex::default(),
            waiting: Waiting::default(),
            trouble: watch::Sender::default(),
        }
    }

    /// What keeps the outbox from being read, as long as something does; in plain words, without any name or address.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Reads the outbox, and decides about everyone pending now and then, until `stop` fires.
    ///
    /// Dropping the future is safe at any moment: a batch that was not struck off is read again,
    /// and what it led to is not enqueued twice.
    pub async fn run(&self, stop: CancellationToken) {
        let heed = self.heed_changes(&stop);
        tokio::join!(self.read(&stop), self.redecide(&stop), heed);
    }

    async fn read(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            // Begun before the look, so that nothing appended in between is slept through.
            let appended = self.journal.appended(POLL);
            let taken = Box::pin(self.take_some()).await;
            let trouble = taken.as_ref().err().map(JournalError::plain);
            self.trouble.send_if_modified(|said| {
                let news = *said != trouble;
                *said = trouble;
                news
            });
            match taken {
                Ok(0) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = appended => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(error = error.chain(), "could not read the outbox");
                    pause(TROUBLE, stop).await;
                }
            }
        }
    }

    /// Handles some of what is owed; answers how many batches.
    async fn take_some(&self) -> Result<usize, JournalError> {
        let rows = self.claim().await?;
        if !rows.is_empty() {
            self.take_all(&rows).await?;
        }
        Ok(rows.len())
    }

    /// Handles the batches one after the other, and holds on to those that are left meanwhile. Where it cannot go on
    /// they are owed as they were.
    async fn take_all(&self, rows: &[OutboxRow]) -> Result<(), JournalError> {
        let batches: Vec<Uuid> = rows.iter().map(|row| row.batch).collect();
        let claims = Claims::new(self.journal.clone(), ReaderName::React, HOLD);
        let work = async {
            for (index, row) in rows.iter().enumerate() {
                claims.are(&batches[index..]).await;
                if let Err(error) = Box::pin(self.take(row)).await {
                    claims.are(&[]).await;
                    self.put_back(&batches[index..], Duration::ZERO).await;
                    return Err(error);
                }
            }
            Ok(())
        };
        claims.during(STANDS_STILL, work).await
    }

    /// Handles what is owed at the moment and in nobody else's hands, without waiting for more.
    pub async fn drain(&self) -> Result<(), JournalError> {
        while Box::pin(self.take_some()).await? > 0 {}
        Ok(())
    }

    /// Claims what is to be read. Entries that are too old to be a hint or a signal, as a replay
    /// brings them by the million, are not even read: people who sign up meanwhile must not wait.
    async fn claim(&self) -> Result<Vec<OutboxRow>, JournalError> {
        let max_age = self.rules.borrow().longest_max_age();
        let max_age = max_age.and_then(|age| TimeDelta::from_std(age).ok());
        let max_age = max_age.unwrap_or_default().max(MAX_HINT_AGE) + MARGIN;
        // One of the two clocks may be wrong, and what is struck off does not come again.
        let oldest = self.set_clock().await?.min(self.clock.now());
        if let Some(before) = oldest.checked_sub_signed(max_age) {
            let skipped = self.journal.skip_older(ReaderName::React, before).await?;
            if skipped > 0 {
                debug!(batches = skipped, "too old to be news");
            }
        }
        self.journal.claim(ReaderName::React, CLAIM, HOLD).await
    }

    /// Reads the clock that all instances share, by which [`Self::now`] goes until the next time.
    async fn set_clock(&self) -> Result<DateTime<Utc>, JournalError> {
        let theirs = self.journal.now().await?;
        let ahead = self.clock.now() - theirs;
        self.ahead
            .store(ahead.num_milliseconds(), Ordering::Relaxed);
        Ok(theirs)
    }

    /// The time by the database's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now() - TimeDelta::milliseconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Handles one batch, whatever becomes of it.
    ///
    /// # Errors
    /// When no other batch is worth a try either: the database is not as usher needs it. The batch is not put back then.
    #[tracing::instrument(skip_all, fields(batch.id = %row.batch))]
    async fn take(&self, row: &OutboxRow) -> Result<(), JournalError> {
        let error = match self.handle(row).await {
            Ok(Handled::Done) => {
                self.failures().remove(&row.batch);
                self.waiting.end(row.batch);
                return Ok(());
            }
            Ok(Handled::Later(wait)) => {
                self.put_back(&[row.batch], wait).await;
                return Ok(());
            }
            Err(error) if !error.is_outage() && !error.is_of_data() => return Err(error),
            Err(error) => error,
        };
        // An outage is nobody's fault and counts for nothing.
        if error.is_transient() || self.count_failure(row.batch) < POISON {
            warn!(
                error = error.chain(),
                "could not handle a batch, trying again"
            );
            self.put_back(&[row.batch], TROUBLE).await;
            return Ok(());
        }
        error!(
            error = error.chain(),
            "a batch cannot be handled and is left out"
        );
        match self.journal.finish(ReaderName::React, &[row.owed()]).await {
            Ok(()) => {
                self.failures().remove(&row.batch);
            }
            Err(error) => warn!(error = error.chain(), "could not strike a batch off"),
        }
        Ok(())
    }

    /// Gives batches back for a while.
    async fn put_back(&self, batches: &[Uuid], wait: Duration) {
        let released = self.journal.release(ReaderName::React, batches, wait).await;
        if let Err(error) = released {
            debug!(
                error = error.chain(),
                "could not release batches, their claims run out"
            );
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_failure(&self, batch: Uuid) -> u32 {
        let mut failures = self.failures();
        let count = failures.entry(batch).or_default();
        *count += 1;
        *count
    }

    async fn handle(&self, row: &OutboxRow) -> Result<Handled, JournalError> {
        let rules = Arc::clone(&self.rules.borrow());
        let directory = &self.directory;
        let looked_at = self.waiting.looked_at(directory, row.batch).await?;
        let events = self.journal.events_of(row).await?;
        let mut findings = Findings::default();
        for stored in &events {
            self.understand(stored, &mut findings).await?;
        }
        findings
            .unknown
            .retain(|portal, _| !looked_at.contains(portal));
        let unknown = &findings.unknown;
        if let Some(wait) = self.waiting.wait(directory, row.batch, unknown).await? {
            return Ok(Handled::Later(wait));
        }
        self.give(&findings.hints).await?;
        let mut chains = self.answer(&rules, findings.heard).await?;
        for (portal, developers) in findings.touched {
            chains.extend(self.pending_of(&rules, portal, &developers).await?);
        }
        if self.write(&rules, &chains, Some(row.owed())).await? {
            Ok(Handled::Done)
        } else {
            // The rules changed meanwhile: it is decided by the new ones.
            Ok(Handled::Later(Duration::ZERO))
        }
    }

    /// Reads one event.
    async fn understand(
        &self,
        stored: &StoredEvent,
        findings: &mut Findings,
    ) -> Result<(), JournalError> {
        let Ok(event) = stored.parse() else {
            error!(event.id = %stored.id, "a stored event cannot be parsed");
            return Ok(());
        };
        let now = self.now();
        let meaning = meaning(&event, stored.verdict, self.settings.own_principal, now);
        findings.hints.extend(meaning.hint);
        if let Some((portal, developer)) = meaning.touched {
            let touched = findings.touched.entry(PortalId(portal)).or_default();
            touched.push(DeveloperId(developer));
        }
        if concerns_everyone(&event) {
            self.again.notify_one();
        }
        let Some(mut signal) = meaning.signal else {
            return Ok(());
        };
        let is_heard = {
            let rules = self.rules.borrow();
            rules.listening_to(&signal.kind.as_str()).next().is_some()
        };
        if !is_heard {
            return Ok(());
        }
        let mut is_lost = false;
        let evidence = if matches!(signal.kind, SignalKind::Custom(_)) {
            let named = custom::find(&self.directory, &event, &mut signal, meaning.kept).await?;
            if let Some(named) = named.unknown {
                is_lost = true;
                let unknown = findings.unknown.entry(PortalId(signal.portal_id));
                let unknown = unknown.or_default();
                unknown.developers.extend(named.developers);
                unknown.addresses.extend(named.addresses);
            }
            Some(named.event)
        } else {
            as_fact(&event, &signal)
        };
        findings.heard.push(Heard {
            signal,
            evidence,
            own: meaning.own,
            is_lost,
        });
        Ok(())
    }

    /// Decides about signals in the order in which they were heard.
    async fn answer(
        &self,
        rules: &RuleSet,
        heard: Vec<Heard>,
    ) -> Result<Vec<NewChain>, JournalError> {
        let now = self.now();
        let mut by_portal: BTreeMap<Uuid, Vec<&Signal>> = BTreeMap::new();
        for Heard { signal, .. } in &heard {
            by_portal.entry(signal.portal_id).or_default().push(signal);
        }
        let mut excerpts = BTreeMap::new();
        for (portal, signals) in by_portal {
            excerpts.insert(portal, around(&self.directory, signals).await?);
        }
        let mut chains = Vec::new();
        for heard in heard {
            let signal = &heard.signal;
            let Some(excerpt) = excerpts.get(&signal.portal_id) else {
                continue;
            };
            let found = Found::within(excerpt, signal);
            let own = heard.own || is_own(&self.queue, signal, &found, None).await?;
            let mut gathered = assemble(found, signal, heard.evidence, own, now);
            gathered.keep_invitee(&self.directory, rules).await?;
            let causes = [signal.cause.as_uuid()];
            let follow = decide::chains(rules, signal, &causes, &gathered);
            if heard.is_lost && follow.is_empty() {
                custom::lost(signal);
            }
            chains.extend(follow);
        }
        Ok(chains)
    }

    /// Enqueues the chains and strikes the batch off, in one transaction; does neither and says
    /// `false` when the rules that decided are no longer in force.
    pub(super) async fn write(
        &self,
        rules: &Arc<RuleSet>,
        chains: &[NewChain],
        done: Option<Owed>,
    ) -> Result<bool, JournalError> {
        let _writing = self.writing.read().await;
        if !self.are_in_force(rules) {
            return Ok(false);
        }
        let mut tx = self.journal.pool().begin().await?;
        let mut enqueued = Vec::new();
        for chain in chains {
            enqueued.extend(self.queue.enqueue(&mut tx, chain).await?);
        }
        if let Some(done) = done {
            finish_in(&mut tx, ReaderName::React, &[done]).await?;
        }
        tx.commit().await?;
        if enqueued.iter().any(|step| matches!(step, Enqueued::New(_))) {
            self.queue.wake();
        }
        Ok(true)
    }
}

/// A signal that rules listen to.
#[derive(Debug)]
struct Heard {
    signal: Signal,
    /// The event, where it is itself the evidence.
    evidence: Option<Map<String, Value>>,
    /// Whether usher's account or Konnect itself did it.
    own: bool,
    /// Whether a trusted sender names somebody whom the directory does not know.
    is_lost: bool,
}

/// What the events of a batch lead to.
#[derive(Debug, Default)]
struct Findings {
    hints: BTreeSet<Hint>,
    heard: Vec<Heard>,
    touched: BTreeMap<PortalId, Vec<DeveloperId>>,
    /// Whom trusted senders name and the directory does not know.
    unknown: BTreeMap<PortalId, Touched>,
}

/// What became of a batch.
#[derive(Debug)]
enum Handled {
    /// It is struck off.
    Done,
    /// It waits for a look at the API.
    Later(Duration),
}

/// Whether an event changes what rules may make of anybody who is pending.
fn concerns_everyone(event: &AuditEvent) -> bool {
    event.claims_own_product()
        && matches!(
            event.name().as_deref(),
            Some("team.changed" | "team.removed" | "portal.changed" | "application.changed")
        )
}
