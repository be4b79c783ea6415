//! Whoever is pending is decided again: when rules change, when facts about them change, and at
//! the latest every hour. What was decided before is not enqueued twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{DeveloperId, PortalId};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::act::decide::{self, Found, around, assemble};
use crate::act::{NewChain, Redecided, RuleLimit, Share};
use crate::directory::{Developer, Registration, Subjects};
use crate::event::{EventId, Signal, SignalKind};
use crate::journal::{EventFilter, JournalError};
use crate::react::Reactor;
use crate::react::call_off::SOON;
use crate::react::reactor::TROUBLE;
use crate::rules::{Mode, Rule, RuleSet};

/// What another process did, such as taking a veto back, is heeded after at most this time.
const OTHERS_READ_EVERY: Duration = Duration::from_secs(2);
/// People decided about at once: one excerpt, one transaction.
const AT_ONCE: usize = 500;

impl Reactor {
    /// Decides about everyone pending at once and then as often as needed, until `stop` fires.
    pub(super) async fn redecide(&self, stop: &CancellationToken) {
        let mut rules = self.rules.clone();
        // When nobody can change the rules any more there is nothing to wait for.
        let mut fixed = false;
        // The rules by which everybody was decided about before.
        let mut before: Option<Arc<RuleSet>> = None;
        let mut lifted = None;
        let mut due = Instant::now();
        while !stop.is_cancelled() {
            self.decide_whole_portals().await;
            if Instant::now() >= due {
                due = Instant::now() + self.decide_again(&mut rules, &mut before).await;
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

    /// Decides about everyone in the portals where that was promised.
    async fn decide_whole_portals(&self) {
        if let Err(error) = Box::pin(self.judge_some(Share::Portals)).await {
            warn!(
                error = error.chain(),
                "could not decide about everyone in a portal, trying again"
            );
        }
    }
    /// Decides about everyone pending by the rules in force, where `before` were those of the last time; says
    /// how long that will do.
    async fn decide_again(
        &self,
        rules: &mut watch::Receiver<Arc<RuleSet>>,
        before: &mut Option<Arc<RuleSet>>,
    ) -> Duration {
        let current = Arc::clone(&rules.borrow_and_update());
        let is_new = before
            .as_ref()
            .is_none_or(|before| !Arc::ptr_eq(before, &current));
        let change = is_new.then(|| Change {
            before: before.clone(),
        });
        match Box::pin(self.decide_everywhere(&current, change.as_ref())).await {
            Ok(true) => {
                *before = Some(current);
                self.settings.redecide_every
            }
            Ok(false) => SOON,
            Err(error) => {
                warn!(
                    error = error.chain(),
                    "could not decide about everyone pending, trying again"
                );
                TROUBLE
            }
        }
    }

    /// Whether somebody took a veto back since `last`, in whichever process.
    async fn is_lifted(&self, last: &mut Option<DateTime<Utc>>) -> bool {
        match self.queue.last_lift().await {
            Ok(now) => std::mem::replace(last, now) < now,
            Err(error) => {
                debug!(error = error.chain(), "could not see what was lifted");
                false
            }
        }
    }

    /// Decides about everyone pending in every portal. Where the rules changed, withdraws what they no
    /// longer ask for, and has the rest go by their limits; says whether it is through with that.
    async fn decide_everywhere(
        &self,
        rules: &Arc<RuleSet>,
        change: Option<&Change>,
    ) -> Result<bool, JournalError> {
        if change.is_some() {
            // What was decided by the rules of before is written by then, or never will be.
            drop(self.writing.write().await);
        }
        let mut is_through = true;
        let mut count = 0;
        for portal in self.directory.portals().await? {
            let signals = self.waiting_in(portal.id).await?;
            count += signals.len();
            for some in signals.chunks(AT_ONCE) {
                is_through &= self.decide_some(rules, change, some).await?;
            }
        }
        if change.is_some() {
            let changed = self.queue.set_limits(&limits(rules)).await?;
            if changed > 0 {
                info!(
                    actions = changed,
                    "what waits goes by the limits of the new rules"
                );
            }
        }
        debug!(count, "decided about everyone pending");
        Ok(is_through)
    }

    /// Decides about everyone pending in one portal; says how many there are.
    pub async fn decide_pending_in(&self, portal: PortalId) -> Result<usize, JournalError> {
        let rules = Arc::clone(&self.rules.borrow());
        let signals = self.waiting_in(portal).await?;
        for some in signals.chunks(AT_ONCE) {
            self.decide_some(&rules, None, some).await?;
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

    /// Decides about signals of one portal; `false` while a worker has something in hand that is no longer
    /// asked for.
    async fn decide_some(
        &self,
        rules: &Arc<RuleSet>,
        change: Option<&Change>,
        signals: &[Signal],
    ) -> Result<bool, JournalError> {
        let before = change.and_then(|change| change.before.as_deref());
        let decided = self.decide(rules, before, signals).await?;
        let mut is_through = true;
        if let Some(change) = change {
            // Before anything new: another rule may want the same, and shared the action until now.
            is_through = self.withdraw(rules, change, signals, &decided).await?;
        }
        let chains = decided.into_iter().map(|one| one.chains).collect();
        let chains = self.with_causes(signals, chains).await?;
        // What the rules of before wanted is left out: a change has everybody decided again.
        let _is_written = self.write(rules, &chains, None).await?;
        Ok(is_through)
    }

    /// Withdraws what is open and no longer asked for; `false` while a worker has some of it in hand.
    async fn withdraw(
        &self,
        rules: &RuleSet,
        change: &Change,
        signals: &[Signal],
        decided: &[Decided],
    ) -> Result<bool, JournalError> {
        let Some(portal_id) = signals.first().map(|signal| signal.portal_id) else {
            return Ok(true);
        };
        let certain = signals
            .iter()
            .zip(decided)
            .filter(|(_, decided)| decided.is_certain)
            .map(|(signal, _)| (signal.kind.to_string(), signal.key.clone()));
        let certain: Vec<(String, String)> = certain.collect();
        let live: Vec<String> = live_at(rules, portal_id)
            .map(|rule| rule.name.clone())
            .collect();
        let chains = |of: fn(&Decided) -> &Vec<NewChain>| -> Vec<NewChain> {
            decided.iter().flat_map(of).cloned().collect()
        };
        let before = change.before.as_ref().map(|_| chains(|one| &one.before));
        let withdrawn = self
            .queue
            .withdraw(Redecided {
                portal_id,
                signals: &certain,
                rules: &live,
                wanted: &chains(|one| &one.chains),
                before: before.as_deref(),
            })
            .await?;
        if withdrawn.count > 0 {
            info!(
                actions = withdrawn.count,
                "what the rules no longer ask for was called off"
            );
        }
        Ok(!withdrawn.in_hand)
    }

    /// What follows from signals of one portal whose events are not at hand, and what would by the rules
    /// of before.
    async fn decide(
        &self,
        rules: &RuleSet,
        before: Option<&RuleSet>,
        signals: &[Signal],
    ) -> Result<Vec<Decided>, JournalError> {
        let is_heard = |signal: &Signal| {
            let kind = signal.kind.as_str();
            let mut sets = std::iter::once(rules).chain(before);
            sets.any(|rules| rules.listening_to(&kind).next().is_some())
        };
        let heard: Vec<&Signal> = signals.iter().filter(|signal| is_heard(signal)).collect();
        let excerpt = if heard.is_empty() {
            None
        } else {
            Some(around(&self.directory, heard).await?)
        };
        let now = self.now();
        let decided = signals.iter().map(|signal| {
            let Some(excerpt) = excerpt.as_ref().filter(|_| is_heard(signal)) else {
                // Whatever the facts are, nothing follows.
                return Decided {
                    chains: Vec::new(),
                    before: Vec::new(),
                    is_certain: true,
                };
            };
            let gathered = assemble(Found::within(excerpt, signal), signal, None, false, now);
            let chains = |rules| decide::chains(rules, signal, &[], &gathered);
            Decided {
                chains: chains(rules),
                before: before.map(chains).unwrap_or_default(),
                is_certain: gathered.is_complete(signal),
            }
        });
        Ok(decided.collect())
    }

    /// Decides about what developers wait for: the facts about them changed, as these events tell.
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
        let excerpt = self.directory.around(portal, &subjects).await?;
        let pending = excerpt.pending_developers();
        let mut signals: Vec<Signal> = pending.into_iter().map(signed_up).collect();
        signals.extend(self.requests(portal, &registrations).await?);
        for signal in &mut signals {
            let developer = signal.developer_id.map(DeveloperId);
            if let Some(cause) = developer.and_then(|id| touched.get(&id)) {
                signal.cause = EventId::from_uuid(*cause);
            }
        }
        let mut chains = Vec::new();
        for some in signals.chunks(AT_ONCE) {
            let decided = self.decide(rules, None, some).await?.into_iter();
            let decided = decided.map(|one| one.chains).collect();
            chains.extend(self.with_causes(some, decided).await?);
        }
        Ok(chains)
    }

    /// The signals of requests, with whoever owns the applications.
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
        let excerpt = self.directory.around(portal, &subjects).await?;
        let signal = |one: &Registration| requested(one, excerpt.owner_of(one.application_id));
        Ok(registrations.iter().map(signal).collect())
    }

    /// What is new of what follows from each signal of one portal, with the event that told of the
    /// newcomer as its cause. What was decided before is left out, and so is what just failed.
    async fn with_causes(
        &self,
        signals: &[Signal],
        mut decided: Vec<Vec<NewChain>>,
    ) -> Result<Vec<NewChain>, JournalError> {
        self.queue.leave_out_failing(&mut decided).await?;
        let undecided = self.queue.undecided(&decided.concat()).await?;
        let mut all = Vec::new();
        for (signal, mut chains) in signals.iter().zip(decided) {
            if !undecided.contains(&signal.key) {
                continue;
            }
            let mut causes = self.causes(signal).await?;
            // Whoever has it now may be another one than the event names that told of it.
            let cause = signal.cause.as_uuid();
            if causes.is_empty() && !cause.is_nil() {
                causes.push(cause);
            }
            for chain in &mut chains {
                chain.causes.clone_from(&causes);
            }
            all.extend(chains);
        }
        Ok(all)
    }

    async fn causes(&self, signal: &Signal) -> Result<Vec<Uuid>, JournalError> {
        // Without a principal the search would have no index to use.
        let Some(developer) = signal.developer_id else {
            return Ok(Vec::new());
        };
        let filter = EventFilter {
            portal_id: Some(signal.portal_id.to_string()),
            principal_id: Some(developer.to_string()),
            name: Some(signal.kind.to_string()),
            // The difference of two clocks is less than that.
            from: Some(signal.occurred_at - TimeDelta::days(1)),
            q: Some(signal.key.clone()),
            ..EventFilter::default()
        };
        let told = match self.journal.search(&filter, None, 1).await {
            Ok(told) => told,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                debug!(
                    error = error.chain(),
                    "the event that told of it could not be found"
                );
                Vec::new()
            }
        };
        Ok(told.iter().map(|event| event.id.as_uuid()).collect())
    }
}

/// Rules that are in force since everybody was decided about last.
struct Change {
    /// Those of before; none at the start.
    before: Option<Arc<RuleSet>>,
}

/// What rules make of one signal.
struct Decided {
    chains: Vec<NewChain>,
    /// What those of before would make of it, where they are asked.
    before: Vec<NewChain>,
    /// Whether nothing was missing.
    is_certain: bool,
}

fn live_at(rules: &RuleSet, portal: Uuid) -> impl Iterator<Item = &Rule> {
    let live = rules.rules().iter().filter(|rule| rule.mode == Mode::Live);
    live.filter(move |rule| {
        let portals = rule.portals.as_ref();
        portals.is_none_or(|portals| portals.contains(&portal))
    })
}

fn limits(rules: &RuleSet) -> Vec<RuleLimit> {
    let live = rules.rules().iter().filter(|rule| rule.mode == Mode::Live);
    let limit = |rule: &Rule| RuleLimit {
        rule: rule.name.clone(),
        limit_per_hour: rule.limit_per_hour,
        on_limit: decide::on_limit(rule),
    };
    live.map(limit).collect()
}

pub(super) fn signed_up(developer: &Developer) -> Signal {
    Signal {
        kind: SignalKind::DeveloperSignedUp,
        portal_id: developer.portal_id.0,
        developer_id: Some(developer.id.0),
        application_id: None,
        registration_id: None,
        key: Signal::key_of_object(developer.id.0),
        cause: EventId::from_uuid(Uuid::nil()),
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
        cause: EventId::from_uuid(Uuid::nil()),
        occurred_at: registration.requested_at(),
        from_status: None,
        membership: None,
    }
}
