//! Whoever is pending is decided again: when rules change, when facts about them change, and at
//! the latest every hour. What was decided before is not enqueued twice.

use chrono::TimeDelta;
use konnect::{DeveloperId, PortalId};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::act::NewChain;
use crate::directory::{Developer, Registration, Subjects};
use crate::event::{EventId, Signal, SignalKind};
use crate::journal::{EventFilter, JournalError};
use crate::react::Reactor;

/// People decided about at once: one excerpt, one transaction.
const AT_ONCE: usize = 500;

impl Reactor {
    /// Decides about everyone pending at once and then as often as needed, until `stop` fires.
    pub(super) async fn redecide(&self, stop: &CancellationToken) {
        let mut rules = self.rules.clone();
        // When nobody can change the rules any more there is nothing to wait for.
        let mut fixed = false;
        loop {
            rules.mark_unchanged();
            match Box::pin(self.decide_pending()).await {
                Ok(count) => debug!(count, "decided about everyone pending"),
                Err(error) => {
                    warn!(
                        error = error.chain(),
                        "could not decide about everyone pending"
                    );
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings.redecide_every) => {}
                () = self.again.notified() => {}
                changed = rules.changed(), if !fixed => fixed = changed.is_err(),
            }
        }
    }

    /// Decides about everyone pending in every portal; says how many there are.
    pub async fn decide_pending(&self) -> Result<usize, JournalError> {
        let mut count = 0;
        for portal in self.directory.portals().await? {
            count += self.decide_pending_in(portal.id).await?;
        }
        Ok(count)
    }

    /// Decides about everyone pending in one portal; says how many there are.
    pub async fn decide_pending_in(&self, portal: PortalId) -> Result<usize, JournalError> {
        let developers = self.directory.pending_developers(portal).await?;
        let mut signals: Vec<Signal> = developers.iter().map(signed_up).collect();
        let registrations = self.directory.pending_registrations(portal).await?;
        signals.extend(self.requests(portal, &registrations).await?);
        for some in signals.chunks(AT_ONCE) {
            let chains = self.with_causes(some).await?;
            // What the rules of before wanted is left out: a change has everybody decided again.
            let _is_written = self.write(&chains, None).await?;
        }
        Ok(signals.len())
    }

    /// Decides about what developers wait for: the facts about them changed.
    pub(super) async fn pending_of(
        &self,
        portal: PortalId,
        developers: &[DeveloperId],
    ) -> Result<Vec<NewChain>, JournalError> {
        let subjects = Subjects {
            developers: developers.to_vec(),
            ..Subjects::default()
        };
        let excerpt = self.directory.around(portal, &subjects).await?;
        let pending = excerpt.pending_developers();
        let mut signals: Vec<Signal> = pending.into_iter().map(signed_up).collect();
        let registrations = self.directory.pending_registrations_of(portal, developers);
        signals.extend(self.requests(portal, &registrations.await?).await?);
        let mut chains = Vec::new();
        for some in signals.chunks(AT_ONCE) {
            chains.extend(self.with_causes(some).await?);
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

    /// What newly follows from signals of one portal, with the event that told of the newcomer as
    /// its cause. What was decided before is left out.
    async fn with_causes(&self, signals: &[Signal]) -> Result<Vec<NewChain>, JournalError> {
        let decided = self.decide(signals).await?;
        let undecided = self.queue.undecided(&decided.concat()).await?;
        let mut all = Vec::new();
        for (signal, mut chains) in signals.iter().zip(decided) {
            if !undecided.contains(&signal.key) {
                continue;
            }
            let causes = self.causes(signal).await?;
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
