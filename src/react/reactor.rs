//! The loop over the outbox: a batch is read, interpreted, and finished in the transaction that
//! adds its work items. Decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{DeveloperId, PortalId};
use tokio::sync::{Mutex as AsyncMutex, Notify, RwLock, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::act::{NewWork, Queue, RuleHolder, SignalSubscriptions, WorkScope, WorkSubject};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::event::AuditEvent;
use crate::journal::{
    Claims, Journal, JournalError, OutboxRow, ReaderName, StoredEvent, finish_in,
};
use crate::lifecycle::{backoff, pause};
use crate::react::calling_off::CallingOff;
use crate::react::custom::PendingLookups;
use crate::react::interpretation::{Hint, MAX_HINT_AGE, interpret};
use crate::rules::RuleSet;

/// Batches claimed at once.
const CLAIM: i64 = 16;
/// How long a claim lasts without renewal, which comes four times as often: what a crashed instance
/// had claimed waits that long.
pub(super) const HOLD: Duration = Duration::from_secs(15);
/// The claim of a batch that waits longer for one thing is not renewed: another instance may do
/// better.
const STANDS_STILL: Duration = Duration::from_secs(20);
/// How often the outbox is polled if nothing wakes the reader.
pub(super) const POLL: Duration = Duration::from_millis(250);
/// The header of an entry has whole seconds, and its own time may be a little later.
const MARGIN: TimeDelta = TimeDelta::minutes(1);
/// The wait after the database did not answer.
pub(super) const TROUBLE: Duration = Duration::from_secs(1);
/// The longest wait for another try of a batch that cannot be handled.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// What a [`Reactor`] is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// usher's account in Konnect: what it does gives no signal.
    pub own_principal: Option<Uuid>,
    /// How often pending people are decided again at the latest.
    pub redecide_every: Duration,
    /// Whether actions of rules that are not live are cancelled: not where no rules file is
    /// configured, beside an instance that has one.
    pub calls_off: bool,
    /// The portals about which it judges; none means all.
    pub portals: Option<Vec<Uuid>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            own_principal: None,
            redecide_every: Duration::from_hours(1),
            calls_off: true,
            portals: None,
        }
    }
}

/// Turns the events of the journal into actions.
#[derive(Debug)]
pub struct Reactor {
    pub(super) journal: Journal,
    pub(super) directory: Directory,
    pub(super) rules: watch::Receiver<Arc<RuleSet>>,
    pub(super) queue: Queue,
    clock: Clock,
    /// Milliseconds by which it was ahead of the database's when both were last read.
    ahead: AtomicI64,
    pub(super) settings: Settings,
    /// Requests that everyone pending is decided again soon.
    pub(super) again: Notify,
    /// Read-locked from the last check of the rules to the commit of what follows from them.
    pub(super) writing: RwLock<()>,
    pub(super) holder: RuleHolder,
    pub(super) calling_off: AsyncMutex<CallingOff>,
    /// How often a batch could not be handled.
    failures: Mutex<HashMap<Uuid, u32>>,
    /// A work item was added.
    pub(super) promised: Notify,
    /// The same, for everybody in a portal.
    pub(super) everyone: Notify,
    pub(super) waiting: PendingLookups,
    pub(super) trouble: watch::Sender<Troubles>,
}

/// Why a [`Reactor`] cannot work, as long as something is wrong; in plain words, without any name
/// or address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubles {
    /// From reading the outbox.
    pub(super) reading: Option<String>,
    /// From judging anything.
    pub(super) judging: Option<String>,
    /// From judging some of it.
    pub(super) failing: Option<String>,
}

impl Troubles {
    /// The worst of it.
    pub fn worst(&self) -> Option<&str> {
        let all = [&self.reading, &self.judging, &self.failing];
        all.into_iter().find_map(Option::as_deref)
    }
}

impl Reactor {
    /// A reactor that decides by the rules that `rules` contains at the moment.
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
            promised: Notify::new(),
            everyone: Notify::new(),
            waiting: PendingLookups::default(),
            trouble: watch::Sender::default(),
        }
    }

    /// Why it cannot work, to be watched.
    pub fn trouble(&self) -> watch::Receiver<Troubles> {
        self.trouble.subscribe()
    }

    /// Reads the outbox, judges what its events report, and decides about everyone pending now and
    /// then, until `stop` fires.
    ///
    /// Dropping the future is safe at any moment. What was not finished is read again, what was not
    /// noted as judged is judged again, and what follows from that is not enqueued twice.
    pub async fn run(&self, stop: CancellationToken) {
        let heed = self.heed_changes(&stop);
        tokio::join!(
            self.read(&stop),
            self.judge(&stop),
            self.redecide(&stop),
            heed
        );
    }

    async fn read(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            // Begun before the claim, so that a batch that is appended in between is not missed.
            let appended = self.journal.appended(POLL);
            let taken = Box::pin(self.take_some()).await;
            let trouble = taken.as_ref().err().map(JournalError::plain);
            self.trouble.send_if_modified(|said| {
                std::mem::replace(&mut said.reading, trouble.clone()) != trouble
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

    /// Handles some of what is owed; returns how many batches.
    async fn take_some(&self) -> Result<usize, JournalError> {
        // An instance with other rules may have more subscriptions.
        let listened = self.queue.listened(&self.listens()).await?;
        let rows = self.claim(listened.max_age()).await?;
        if !rows.is_empty() {
            self.take_all(&rows, &listened).await?;
        }
        Ok(rows.len())
    }

    /// Handles the batches one after the other, and renews the claims of those that are left
    /// meanwhile. If it cannot go on they stay owed.
    async fn take_all(
        &self,
        rows: &[OutboxRow],
        listened: &SignalSubscriptions,
    ) -> Result<(), JournalError> {
        let batches: Vec<Uuid> = rows.iter().map(|row| row.batch).collect();
        let claims = Claims::new(self.journal.clone(), ReaderName::React, HOLD);
        let work = async {
            for (index, row) in rows.iter().enumerate() {
                claims.are(&batches[index..]).await;
                if let Err(error) = Box::pin(self.take(row, listened)).await {
                    claims.are(&[]).await;
                    self.put_back(&batches[index..], Duration::ZERO).await;
                    return Err(error);
                }
            }
            Ok(())
        };
        claims.during(STANDS_STILL, work).await
    }

    /// Handles and judges what is owed at the moment and that nobody else has claimed, without
    /// waiting for more.
    pub async fn drain(&self) -> Result<(), JournalError> {
        loop {
            let mut count = Box::pin(self.take_some()).await?;
            for share in [WorkScope::Single, WorkScope::Portals] {
                count += Box::pin(self.judge_some(share)).await?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Whether there is something to judge, whoever has claimed it.
    pub async fn owes(&self) -> Result<bool, JournalError> {
        let rules = Arc::clone(&self.rules.borrow());
        match self.as_judge(&rules) {
            Some(judge) => self.queue.owes_work(judge).await,
            None => Ok(false),
        }
    }

    /// The subscriptions of its own rules.
    pub(super) fn listens(&self) -> SignalSubscriptions {
        let rules = self.rules.borrow();
        SignalSubscriptions::new(rules.signals().map(str::to_owned), rules.longest_max_age())
    }

    /// Claims what is to be read. Entries that are too old to be a hint or a signal, as a replay
    /// brings them by the million, are not even read. People who sign up meanwhile must not wait.
    async fn claim(&self, max_age: Option<Duration>) -> Result<Vec<OutboxRow>, JournalError> {
        let max_age = max_age.and_then(|age| TimeDelta::from_std(age).ok());
        let max_age = max_age.unwrap_or_default().max(MAX_HINT_AGE) + MARGIN;
        // One of the two clocks may be wrong, and a finished batch does not come again.
        let oldest = self.set_clock().await?.min(self.clock.now());
        if let Some(before) = oldest.checked_sub_signed(max_age) {
            let skipped = self.journal.skip_older(ReaderName::React, before).await?;
            if skipped > 0 {
                debug!(batches = skipped, "skipped batches that are too old");
            }
        }
        self.journal.claim(ReaderName::React, CLAIM, HOLD).await
    }

    /// Reads the clock that all instances share, which [`Self::now`] follows until the next time.
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

    /// Handles one batch, whatever the result.
    ///
    /// # Errors
    /// If no other batch is worth a try either: the database is not as usher needs it. The batch is
    /// not put back then.
    #[tracing::instrument(skip_all, fields(batch.id = %row.batch))]
    async fn take(
        &self,
        row: &OutboxRow,
        listened: &SignalSubscriptions,
    ) -> Result<(), JournalError> {
        let error = match self.handle(row, listened).await {
            Ok(()) => {
                self.failures().remove(&row.batch);
                return Ok(());
            }
            Err(error) if !error.is_outage() && !error.is_of_data() => return Err(error),
            Err(error) => error,
        };
        // An outage is no fault of the batch and does not count. Whatever the error is, the batch
        // is not finished for it.
        let wait = if error.is_transient() {
            TROUBLE
        } else {
            self.wait_after_failure(row.batch)
        };
        warn!(
            error = error.chain(),
            wait_s = wait.as_secs(),
            "could not handle a batch, trying again"
        );
        self.put_back(&[row.batch], wait).await;
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

    /// How long a batch waits that could not be handled again: others must not wait for it.
    fn wait_after_failure(&self, batch: Uuid) -> Duration {
        let mut failures = self.failures();
        let count = failures.entry(batch).or_default();
        *count += 1;
        backoff(TROUBLE, *count, MAX_WAIT)
    }

    /// Passes hints on, and finishes the batch with work items for everything else that it reports.
    async fn handle(
        &self,
        row: &OutboxRow,
        listened: &SignalSubscriptions,
    ) -> Result<(), JournalError> {
        let mut findings = BatchResult::default();
        // Own deeds give no signal: a difference reports what they changed.
        if !row.is_of_deeds() {
            for stored in &self.journal.events_of(row).await? {
                self.understand(stored, row.is_imported(), listened, &mut findings);
            }
        }
        self.give(&findings.hints).await?;
        self.add_who_waits(&mut findings).await?;
        let mut tx = self.journal.pool().begin().await?;
        if !findings.work.is_empty() {
            self.queue.add_work(&mut tx, &findings.work).await?;
        }
        finish_in(&mut tx, ReaderName::React, &[row.owed()]).await?;
        tx.commit().await?;
        self.promised.notify_one();
        if findings
            .work
            .iter()
            .any(|work| work.subject == WorkSubject::Portal)
        {
            self.everyone.notify_one();
        }
        Ok(())
    }

    /// Adds work items for people who wait for an answer and of whom something changed. About the
    /// others there is nothing to decide: the directory has the change by now.
    async fn add_who_waits(&self, findings: &mut BatchResult) -> Result<(), JournalError> {
        for (portal, touched) in std::mem::take(&mut findings.touched) {
            let developers: Vec<DeveloperId> = touched.keys().copied().collect();
            let waiting = self.directory.who_waits(portal, &developers).await?;
            let touched = touched.into_iter();
            let waiting = touched.filter(|(developer, _)| waiting.contains(developer));
            findings
                .work
                .extend(waiting.map(|(developer, cause)| NewWork {
                    portal_id: portal.0,
                    subject: WorkSubject::Developer(developer.0),
                    cause,
                }));
        }
        Ok(())
    }

    /// Reads one event. What it reports is not decided about here: another instance may have other
    /// rules.
    fn understand(
        &self,
        stored: &StoredEvent,
        is_imported: bool,
        listened: &SignalSubscriptions,
        findings: &mut BatchResult,
    ) {
        let Ok(event) = stored.parse() else {
            error!(event.id = %stored.id, "a stored event cannot be parsed");
            return;
        };
        let meaning = interpret(
            &event,
            stored.verdict,
            self.settings.own_principal,
            self.now(),
        );
        findings.hints.extend(meaning.hint);
        let cause = stored.id.as_uuid();
        let mut promise = |portal_id, matter| {
            findings.work.push(NewWork {
                portal_id,
                subject: matter,
                cause,
            });
        };
        // What a file contains happened before it was imported: at most a reason to read early.
        if let Some(signal) = meaning.signal.filter(|_| !is_imported)
            && listened.includes(&signal.kind.as_str())
        {
            let kind = signal.kind.as_str().into_owned();
            promise(signal.portal_id, WorkSubject::Signal(kind, signal.key));
        }
        if !listened.hears_who_waits() {
            return;
        }
        if let Some((portal, developer)) = meaning.touched {
            let touched = findings.touched.entry(PortalId(portal)).or_default();
            touched.insert(DeveloperId(developer), cause);
        }
        if let Some(portal) = event.portal_uuid().filter(|_| concerns_everyone(&event)) {
            promise(portal, WorkSubject::Portal);
        }
    }
}

/// What the events of a batch lead to.
#[derive(Debug, Default)]
struct BatchResult {
    hints: BTreeSet<Hint>,
    /// Of whom something changed, with the last event that reported it.
    touched: BTreeMap<PortalId, BTreeMap<DeveloperId, Uuid>>,
    work: Vec<NewWork>,
}

/// Whether an event changes what rules may decide about anybody who is pending.
fn concerns_everyone(event: &AuditEvent) -> bool {
    event.claims_own_product()
        && matches!(
            event.name().as_deref(),
            Some("team.changed" | "team.removed" | "portal.changed" | "application.changed")
        )
}
