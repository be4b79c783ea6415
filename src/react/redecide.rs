//! Pending people are decided again: when rules change, when facts about them change, and at the
//! latest every hour. What was decided before is not enqueued twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use konnect::{DeveloperId, PortalId};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::act::decide::{self, SubjectFacts, assemble, load_related};
use crate::act::{NewChain, WorkScope};
use crate::directory::{Developer, Registration, Subjects};
use crate::event::{Signal, SignalKind};
use crate::journal::JournalError;
use crate::react::Reactor;
use crate::react::reactor::TROUBLE;
use crate::rules::RuleSet;

/// An act of another process, such as lifting a veto, takes effect after at most this time.
const OTHERS_READ_EVERY: Duration = Duration::from_secs(2);
/// People decided about at once: one portal view, one transaction.
const AT_ONCE: usize = 500;

impl Reactor {
    /// Decides about everyone pending at once and then as often as needed, until `stop` fires.
    pub(super) async fn redecide(&self, stop: &CancellationToken) {
        let mut rules = self.rules.clone();
        // If nobody can change the rules any more there is nothing to wait for.
        let mut fixed = false;
        // The rules by which everybody was decided about last.
        let mut last: Option<Arc<RuleSet>> = None;
        let mut lifted = None;
        let mut due = Instant::now();
        while !stop.is_cancelled() {
            self.decide_whole_portals().await;
            if Instant::now() >= due {
                due = Instant::now() + self.decide_again(&mut rules, &mut last).await;
            }
            let is_wanted = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => true,
                () = self.again.notified() => true,
                () = self.everyone.notified() => false,
                () = tokio::time::sleep(OTHERS_READ_EVERY) => self.is_lifted(&mut lifted).await,
                changed = rules.changed(), if !fixed => {
                    fixed = changed.is_err();
                    true
                }
            };
            if is_wanted {
                due = Instant::now();
            }
        }
    }

    /// Decides about everyone in the portals that have a work item for it.
    async fn decide_whole_portals(&self) {
        if let Err(error) = Box::pin(self.judge_some(WorkScope::Portals)).await {
            warn!(
                error = error.chain(),
                "could not decide about everyone in a portal, trying again"
            );
        }
    }
    /// Decides about everyone pending by the rules in force; returns how long that is good for.
    /// `last` are the rules of the last time.
    async fn decide_again(
        &self,
        rules: &mut watch::Receiver<Arc<RuleSet>>,
        last: &mut Option<Arc<RuleSet>>,
    ) -> Duration {
        let current = Arc::clone(&rules.borrow_and_update());
        let is_new = last
            .as_ref()
            .is_none_or(|last| !Arc::ptr_eq(last, &current));
        match Box::pin(self.decide_everywhere(&current, is_new)).await {
            Ok(()) => {
                *last = Some(current);
                self.settings.redecide_every
            }
            Err(error) => {
                warn!(
                    error = error.chain(),
                    "could not decide about everyone pending, trying again"
                );
                TROUBLE
            }
        }
    }

    /// Whether somebody lifted a veto since `last`, in whichever process.
    async fn is_lifted(&self, last: &mut Option<DateTime<Utc>>) -> bool {
        match self.queue.last_lift().await {
            Ok(now) => std::mem::replace(last, now) < now,
            Err(error) => {
                debug!(
                    error = error.chain(),
                    "could not read which vetoes were lifted"
                );
                false
            }
        }
    }

    /// Cancels what the rules do not want, decides about everyone pending in every portal, and puts
    /// what waits under the limits of the new rules.
    async fn decide_everywhere(
        &self,
        rules: &Arc<RuleSet>,
        is_new: bool,
    ) -> Result<(), JournalError> {
        if is_new {
            // What the old rules decided is written by then, or never will be.
            drop(self.writing.write().await);
        }
        // Before anything new: another rule may want the same, and shared the action until now.
        let unwanted = self.queue.sift(&self.directory, rules).await?;
        if unwanted > 0 {
            info!(
                actions = unwanted,
                "what the rules do not want was called off"
            );
        }
        let mut count = 0;
        for portal in self.directory.portals().await? {
            let signals = self.waiting_in(portal.id).await?;
            count += signals.len();
            for some in signals.chunks(AT_ONCE) {
                self.decide_some(rules, some).await?;
            }
        }
        if is_new {
            let changed = self.queue.set_limits(rules).await?;
            if changed > 0 {
                info!(
                    actions = changed,
                    "what waits goes by the limits of the new rules"
                );
            }
        }
        debug!(count, "decided about everyone pending");
        Ok(())
    }

    /// Decides about everyone pending in one portal; returns how many there are.
    pub async fn decide_pending_in(&self, portal: PortalId) -> Result<usize, JournalError> {
        let rules = Arc::clone(&self.rules.borrow());
        let signals = self.waiting_in(portal).await?;
        for some in signals.chunks(AT_ONCE) {
            self.decide_some(&rules, some).await?;
        }
        Ok(signals.len())
    }

    /// What everyone pending in one portal waits for.
    async fn waiting_in(&self, portal: PortalId) -> Result<Vec<Signal>, JournalError> {
        let developers = self.directory.pending_developers(portal).await?;
        let mut signals: Vec<Signal> = developers.iter().map(signed_up).collect();
        let registrations = self.directory.pending_registrations(portal).await?;
        signals.extend(self.requests(portal, &registrations).await?);
        Ok(signals)
    }

    /// Decides about signals of one portal.
    async fn decide_some(
        &self,
        rules: &Arc<RuleSet>,
        signals: &[Signal],
    ) -> Result<(), JournalError> {
        let decided = self.decide(rules, signals).await?;
        let chains = self.with_causes(signals, decided, &BTreeMap::new()).await?;
        // What the old rules wanted is left out: a change has everybody decided again.
        let _is_written = self.write(rules, &chains, None).await?;
        Ok(())
    }

    /// Decides about signals of one portal whose events are not loaded.
    async fn decide(
        &self,
        rules: &RuleSet,
        signals: &[Signal],
    ) -> Result<Vec<Vec<NewChain>>, JournalError> {
        let is_heard = |signal: &Signal| rules.listening_to(&signal.kind.as_str()).next().is_some();
        let heard: Vec<&Signal> = signals.iter().filter(|signal| is_heard(signal)).collect();
        if heard.is_empty() {
            return Ok(vec![Vec::new(); signals.len()]);
        }
        let view = load_related(&self.directory, heard).await?;
        let now = self.now();
        let decided = signals.iter().map(|signal| {
            if !is_heard(signal) {
                return Vec::new();
            }
            let found = SubjectFacts::within(&view, signal);
            let gathered = assemble(found, signal, None, false, now);
            decide::chains(rules, signal, &[], &gathered)
        });
        Ok(decided.collect())
    }

    /// Decides about what developers wait for: these events report that the facts about them
    /// changed.
    pub(super) async fn pending_of(
        &self,
        rules: &RuleSet,
        portal: PortalId,
        touched: &BTreeMap<DeveloperId, Uuid>,
    ) -> Result<Vec<NewChain>, JournalError> {
        let developers: Vec<DeveloperId> = touched.keys().copied().collect();
        let registrations = self.directory.pending_registrations_of(portal, &developers);
        let registrations = registrations.await?;
        let subjects = Subjects {
            developers,
            ..Subjects::default()
        };
        let view = self.directory.load_related(portal, &subjects).await?;
        let pending = view.pending_developers();
        let mut signals: Vec<Signal> = pending.into_iter().map(signed_up).collect();
        signals.extend(self.requests(portal, &registrations).await?);
        let mut chains = Vec::new();
        for some in signals.chunks(AT_ONCE) {
            let decided = self.decide(rules, some).await?;
            chains.extend(self.with_causes(some, decided, touched).await?);
        }
        Ok(chains)
    }

    /// The signals of requests, with the owners of the applications.
    async fn requests(
        &self,
        portal: PortalId,
        registrations: &[Registration],
    ) -> Result<Vec<Signal>, JournalError> {
        if registrations.is_empty() {
            return Ok(Vec::new());
        }
        let subjects = Subjects {
            applications: registrations.iter().map(|one| one.application_id).collect(),
            ..Subjects::default()
        };
        let view = self.directory.load_related(portal, &subjects).await?;
        let signal = |one: &Registration| requested(one, view.owner_of(one.application_id));
        Ok(registrations.iter().map(signal).collect())
    }

    /// What is new of what follows from each signal, caused by the event that reported the object
    /// first, and by the one that reported a change of its person. What was decided before is left
    /// out, and so is what just failed.
    async fn with_causes(
        &self,
        signals: &[Signal],
        mut decided: Vec<Vec<NewChain>>,
        touched: &BTreeMap<DeveloperId, Uuid>,
    ) -> Result<Vec<NewChain>, JournalError> {
        self.queue.leave_out_failing(&mut decided).await?;
        let undecided = self.queue.undecided(&decided.concat()).await?;
        let is_new = |signal: &&Signal| undecided.contains(&signal.key);
        let reports = signals.iter().filter(is_new);
        let reports: Vec<Uuid> = reports.map(|signal| signal.cause.as_uuid()).collect();
        let stored = self.journal.stored_of(&reports).await?;
        let mut all = Vec::new();
        for (signal, mut chains) in signals.iter().zip(decided) {
            if !undecided.contains(&signal.key) {
                continue;
            }
            let report = Some(signal.cause.as_uuid()).filter(|report| stored.contains(report));
            let developer = signal.developer_id.map(DeveloperId);
            let change = developer.and_then(|id| touched.get(&id)).copied();
            for chain in &mut chains {
                chain.causes.extend(report);
                chain.causes.extend(change.filter(|_| change != report));
            }
            all.extend(chains);
        }
        Ok(all)
    }
}

pub(super) fn signed_up(developer: &Developer) -> Signal {
    Signal {
        kind: SignalKind::DeveloperSignedUp,
        portal_id: developer.portal_id.0,
        developer_id: Some(developer.id.0),
        application_id: None,
        registration_id: None,
        key: Signal::key_of_object(developer.id.0),
        cause: developer.reported_by(),
        occurred_at: developer.signed_up_at(),
        from_status: None,
        membership: None,
    }
}

pub(super) fn requested(registration: &Registration, developer: Option<DeveloperId>) -> Signal {
    Signal {
        kind: SignalKind::RegistrationRequested,
        portal_id: registration.portal_id.0,
        developer_id: developer.map(|id| id.0),
        application_id: Some(registration.application_id.0),
        registration_id: Some(registration.id.0),
        key: Signal::key_of_object(registration.id.0),
        cause: registration.reported_by(),
        occurred_at: registration.requested_at(),
        from_status: None,
        membership: None,
    }
}
