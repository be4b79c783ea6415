//! Whoever is pending is decided again: when rules change, when facts about them change, and at
//! the latest every hour. What was decided before is not enqueued twice.

use chrono::TimeDelta;
use konnect::{DeveloperId, PortalId, RegistrationStatus};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::act::NewChain;
use crate::directory::{Developer, Registration};
use crate::event::{EventId, Signal, SignalKind};
use crate::journal::{EventFilter, JournalError};
use crate::react::Reactor;

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
        let mut count = 0;
        for developer in self.directory.pending_developers(portal).await? {
            let signal = signed_up(&developer);
            let chains = self.with_cause(&signal).await?;
            self.write(&chains, None).await?;
            count += 1;
        }
        for registration in self.directory.pending_registrations(portal).await? {
            let application = self
                .directory
                .find_application(portal, registration.application_id)
                .await?;
            let owner = application.and_then(|found| found.owner?.developer());
            let chains = self.with_cause(&requested(&registration, owner)).await?;
            self.write(&chains, None).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Decides about what one developer waits for: the facts about them changed.
    pub(super) async fn pending_of(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<Vec<NewChain>, JournalError> {
        let mut chains = Vec::new();
        let found = self.directory.find_developer(portal, developer).await?;
        if let Some(found) = found.filter(|found| {
            !found.seen.is_gone() && found.status == konnect::DeveloperStatus::Pending
        }) {
            chains.extend(self.with_cause(&signed_up(&found)).await?);
        }
        for registration in self.directory.registrations_of(portal, developer).await? {
            if registration.status == RegistrationStatus::Pending {
                let signal = requested(&registration, Some(developer));
                chains.extend(self.with_cause(&signal).await?);
            }
        }
        Ok(chains)
    }

    /// Decides, and finds the event that told of the newcomer first where something follows.
    async fn with_cause(&self, signal: &Signal) -> Result<Vec<NewChain>, JournalError> {
        let mut chains = self.decide(signal, &[]).await?;
        // Without a principal the search would have no index to use.
        let Some(developer) = signal.developer_id.filter(|_| !chains.is_empty()) else {
            return Ok(chains);
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
        let causes: Vec<Uuid> = told.iter().map(|event| event.id.as_uuid()).collect();
        for chain in &mut chains {
            chain.causes.clone_from(&causes);
        }
        Ok(chains)
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
    }
}
