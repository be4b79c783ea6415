//! Judges work items: rules decide about what an event reported and about everybody who waits. What
//! they want is enqueued in the transaction that notes the judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use konnect::{DeveloperId, PortalId};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::act::decide::{self, SubjectFacts, assemble, is_own, load_related};
use crate::act::{Enqueued, JudgingRuleSet, NewChain, Work, WorkScope, WorkSubject};
use crate::event::{Signal, SignalKind};
use crate::journal::{JournalError, StoredEvent};
use crate::lifecycle::{backoff, pause};
use crate::react::Reactor;
use crate::react::custom;
use crate::react::interpretation::{as_fact, interpret};
use crate::react::reactor::{HOLD, POLL, TROUBLE};
use crate::rules::RuleSet;

/// Work items claimed at once: one portal view a portal, one transaction.
const AT_ONCE: i64 = 200;
/// Between checks for what could not be judged.
const FAILING_EVERY: Duration = Duration::from_secs(1);
/// The longest wait for another try of what cannot be judged.
const MAX_WAIT: Duration = Duration::from_mins(5);

impl Reactor {
    /// Judges work items until `stop` fires.
    pub(super) async fn judge(&self, stop: &CancellationToken) {
        let mut looked: Option<Instant> = None;
        while !stop.is_cancelled() {
            // Begun before the claim, so that a work item that is added in between is not missed.
            let promised = self.promised.notified();
            let judged = Box::pin(self.judge_some(WorkScope::Single)).await;
            self.trouble.send_if_modified(|trouble| {
                let now = judged.as_ref().err().map(JournalError::plain);
                std::mem::replace(&mut trouble.judging, now.clone()) != now
            });
            match judged {
                Ok(0) => {
                    if looked.is_none_or(|at| at.elapsed() >= FAILING_EVERY) {
                        looked = Some(Instant::now());
                        self.look_for_failing().await;
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = promised => {}
                        () = tokio::time::sleep(POLL) => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(error = error.chain(), "could not judge work items");
                    pause(TROUBLE, stop).await;
                }
            }
        }
    }

    /// Reports what cannot be judged one by one.
    async fn look_for_failing(&self) {
        match self.queue.failing_work().await {
            Ok(count) => {
                let failing = (count > 0).then(|| {
                    format!(
                        "work items that could not be judged and are tried again: {count}, see the log"
                    )
                });
                self.trouble.send_if_modified(|trouble| {
                    std::mem::replace(&mut trouble.failing, failing.clone()) != failing
                });
            }
            Err(error) => debug!(error = error.chain(), "could not count what fails"),
        }
    }

    /// Judges some of what is due and that nobody else has claimed; returns how much.
    pub(super) async fn judge_some(&self, share: WorkScope) -> Result<usize, JournalError> {
        let rules = Arc::clone(&self.rules.borrow());
        // Without rules there is nothing to judge by, and other instances may have some.
        let Some(judge) = self.as_judge(&rules) else {
            return Ok(0);
        };
        let work = self.queue.claim_work(judge, share, (HOLD, AT_ONCE)).await?;
        if work.is_empty() {
            return Ok(0);
        }
        let (by_one, mut error) = match Box::pin(self.judge_all(&rules, judge, &work)).await {
            Ok(()) => return Ok(work.len()),
            Err(error) => (may_be_of_one(&error), error),
        };
        if by_one {
            match Box::pin(self.judge_each(&rules, judge, &work)).await {
                Ok(()) => return Ok(work.len()),
                Err(other) => error = other,
            }
        }
        if let Err(error) = self.queue.put_off(&work, Duration::ZERO, false).await {
            debug!(
                error = error.chain(),
                "could not release claimed work items, their claims expire"
            );
        }
        Err(error)
    }

    pub(super) fn as_judge<'a>(&'a self, rules: &'a RuleSet) -> Option<JudgingRuleSet<'a>> {
        Some(JudgingRuleSet {
            rule_set: rules.fingerprint()?,
            portals: self.settings.portals.as_deref(),
        })
    }

    /// Judges one by one, so that what cannot be judged delays nothing else. It is never dropped.
    async fn judge_each(
        &self,
        rules: &Arc<RuleSet>,
        judge: JudgingRuleSet<'_>,
        work: &[Work],
    ) -> Result<(), JournalError> {
        for one in work {
            let one = std::slice::from_ref(one);
            match Box::pin(self.judge_all(rules, judge, one)).await {
                Ok(()) => {}
                Err(error) if may_be_of_one(&error) => {
                    let failures = u32::try_from(one[0].failures).unwrap_or_default() + 1;
                    let wait = backoff(TROUBLE, failures, MAX_WAIT);
                    error!(
                        error = error.chain(),
                        event.id = %one[0].cause,
                        "a work item cannot be judged, trying again"
                    );
                    self.queue.put_off(one, wait, true).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn judge_all(
        &self,
        rules: &Arc<RuleSet>,
        judge: JudgingRuleSet<'_>,
        work: &[Work],
    ) -> Result<(), JournalError> {
        let signals = work
            .iter()
            .filter(|one| matches!(one.subject, WorkSubject::Signal(..)));
        let causes: Vec<Uuid> = signals.map(|one| one.cause).collect();
        let events = self.journal.events_by_id(&causes).await?;
        let mut judged = Vec::with_capacity(work.len());
        let mut heard = Vec::new();
        let mut touched: BTreeMap<PortalId, BTreeMap<DeveloperId, Uuid>> = BTreeMap::new();
        for one in work {
            let portal = PortalId(one.portal_id);
            match one.subject {
                WorkSubject::Signal(..) => {
                    match self
                        .check_signal(rules, one, events.get(&one.cause))
                        .await?
                    {
                        SignalCheck::Later(wait) => {
                            self.queue
                                .put_off(std::slice::from_ref(one), wait, false)
                                .await?;
                            continue;
                        }
                        SignalCheck::Nothing => {}
                        SignalCheck::MatchedSignal(signal) => heard.push(*signal),
                    }
                }
                WorkSubject::Developer(id) => {
                    let developers = touched.entry(portal).or_default();
                    developers.insert(DeveloperId(id), one.cause);
                }
                WorkSubject::Portal => {
                    self.decide_pending_in(portal).await?;
                }
            }
            judged.push(one.clone());
        }
        let mut chains = self.answer(rules, heard).await?;
        for (portal, developers) in touched {
            chains.extend(self.pending_of(rules, portal, &developers).await?);
        }
        if !self.write(rules, &chains, Some((judge, &judged))).await? {
            // The rules changed meanwhile: it is judged by the new ones.
            self.queue.put_off(&judged, Duration::ZERO, false).await?;
        }
        Ok(())
    }

    /// Reads the signal of an event, and whether it is one to be judged now.
    async fn check_signal(
        &self,
        rules: &RuleSet,
        work: &Work,
        stored: Option<&StoredEvent>,
    ) -> Result<SignalCheck, JournalError> {
        let event = stored.map(|stored| (stored.parse(), stored.verdict));
        let Some((Ok(event), verdict)) = event else {
            error!(event.id = %work.cause, "an event cannot be read any more, and is not judged");
            return Ok(SignalCheck::Nothing);
        };
        let meaning = interpret(&event, verdict, self.settings.own_principal, self.now());
        let is_heard = |signal: &Signal| rules.listening_to(&signal.kind.as_str()).next().is_some();
        let Some(mut signal) = meaning.signal.filter(is_heard) else {
            return Ok(SignalCheck::Nothing);
        };
        let mut is_lost = false;
        let evidence = if matches!(signal.kind, SignalKind::Custom(_)) {
            // Asked before the directory is: what a sweep shows later counts for the next try.
            let (directory, waiting) = (&self.directory, &self.waiting);
            let whose = (work.id, PortalId(signal.portal_id));
            let is_read = waiting.is_read(directory, whose).await?;
            let named = custom::find(directory, &event, &mut signal, meaning.kept).await?;
            is_lost = named.unknown.is_some();
            if let Some(unknown) = named.unknown.filter(|_| !is_read)
                && let Some(wait) = waiting.wait(directory, whose, &unknown).await?
            {
                return Ok(SignalCheck::Later(wait));
            }
            waiting.end(work.id);
            Some(named.event)
        } else {
            as_fact(&event, &signal)
        };
        Ok(SignalCheck::MatchedSignal(Box::new(MatchedSignal {
            signal,
            evidence,
            own: meaning.own,
            is_lost,
        })))
    }

    /// Decides about signals in the order in which they were received.
    async fn answer(
        &self,
        rules: &RuleSet,
        heard: Vec<MatchedSignal>,
    ) -> Result<Vec<NewChain>, JournalError> {
        let now = self.now();
        let mut by_portal: BTreeMap<Uuid, Vec<&Signal>> = BTreeMap::new();
        for MatchedSignal { signal, .. } in &heard {
            by_portal.entry(signal.portal_id).or_default().push(signal);
        }
        let mut views = BTreeMap::new();
        for (portal, signals) in by_portal {
            views.insert(portal, load_related(&self.directory, signals).await?);
        }
        let mut chains = Vec::new();
        for heard in heard {
            let signal = &heard.signal;
            let Some(view) = views.get(&signal.portal_id) else {
                continue;
            };
            let found = SubjectFacts::within(view, signal);
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

    /// Enqueues the chains and notes what was judged, in one transaction; if the rules that decided
    /// are no longer in force, it does neither and returns `false`.
    pub(super) async fn write(
        &self,
        rules: &Arc<RuleSet>,
        chains: &[NewChain],
        judged: Option<(JudgingRuleSet<'_>, &[Work])>,
    ) -> Result<bool, JournalError> {
        let _writing = self.writing.read().await;
        if !self.are_in_force(rules) {
            return Ok(false);
        }
        let mut tx = self.journal.pool().begin().await?;
        let enqueued = self.queue.enqueue(&mut tx, chains).await?;
        if let Some((judge, work)) = judged {
            self.queue.judged(&mut tx, judge.rule_set, work).await?;
        }
        tx.commit().await?;
        if enqueued.iter().any(|step| matches!(step, Enqueued::New(_))) {
            self.queue.wake();
        }
        Ok(true)
    }
}

/// Whether the rest of what was claimed is worth a try: one may be damaged, or violate a constraint
/// each time.
fn may_be_of_one(error: &JournalError) -> bool {
    error.is_of_data() || matches!(error, JournalError::Repeat(_))
}

/// A signal that rules are on.
#[derive(Debug)]
struct MatchedSignal {
    signal: Signal,
    /// The event, where it is itself the evidence.
    evidence: Option<Map<String, Value>>,
    /// Whether usher's account or Konnect itself did it.
    own: bool,
    /// Whether a trusted sender names somebody whom the directory does not have.
    is_lost: bool,
}

/// What an event means for a set of rules.
#[derive(Debug)]
enum SignalCheck {
    /// Something to be judged now.
    MatchedSignal(Box<MatchedSignal>),
    /// Something to be judged after the API was read.
    Later(Duration),
    /// Nothing.
    Nothing,
}
