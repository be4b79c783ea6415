//! Finds whom a trusted sender means. Somebody whom the directory does not have may have signed up
//! a moment ago. The work item waits until the API was read once, and is judged then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use konnect::{DeveloperId, PortalId, RegistrationId};
use metrics::counter;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::directory::{Directory, RefreshRequests, Subject};
use crate::event::{AuditEvent, Signal, place_of, render, replaced};
use crate::journal::JournalError;
use crate::react::interpretation::SubjectRefs;
use crate::telemetry::metrics as names;

/// How long a work item waits for a sweep of a portal that usher observes. If the API of the portal
/// does not answer for so long, rules decide by what is stored: they ignore what is older anyway.
const PATIENCE: Duration = Duration::from_hours(1);
/// The same for a portal that the directory does not have: usher has just started, or it is not one
/// of its portals.
const PATIENCE_UNKNOWN: Duration = Duration::from_mins(1);
/// Between two tries of a work item that waits: at first, and at most.
const TRY_EVERY: Duration = Duration::from_millis(250);
const TRY_EVERY_AT_MOST: Duration = Duration::from_secs(10);

/// The event as rules see it, and whether the directory has the person whom it names.
#[derive(Debug)]
pub(super) struct NamedSubject {
    /// Contains the address again: not to be stored.
    pub(super) event: Map<String, Value>,
    /// What a refresh should read, where the directory does not have the person whom it names.
    pub(super) unknown: Option<RefreshRequests>,
}

/// Finds whom a custom event names and makes them the subject of its signal. `kept` says where the
/// personal data is that does not stay in the event.
pub(super) async fn find(
    directory: &Directory,
    event: &AuditEvent,
    signal: &mut Signal,
    kept: SubjectRefs,
) -> Result<NamedSubject, JournalError> {
    let portal = PortalId(signal.portal_id);
    let told = match kept.told {
        Some(id) => directory.custom_subject(portal, id).await?,
        None => Map::new(),
    };
    if let Some(subject) = kept.subject {
        return find_by_address(directory, (event, told), signal, subject).await;
    }
    let unknown = if let Some(id) = signal.developer_id {
        let developers = vec![DeveloperId(id)];
        let is_known = is_there(directory, portal, id).await?;
        (!is_known).then(|| RefreshRequests {
            developers,
            ..RefreshRequests::default()
        })
    } else if let Some(id) = signal.registration_id {
        let found = directory
            .find_registration(portal, RegistrationId(id))
            .await?;
        let is_known = found.is_some_and(|found| !found.row_version.is_gone());
        // The lists of a sweep show it, if anything does: without its application nobody can read
        // it.
        (!is_known).then(RefreshRequests::default)
    } else {
        // No sweep shows a person whom the event does not name.
        None
    };
    let mut shown = render(event);
    put_back(&mut shown, told);
    Ok(NamedSubject {
        event: shown,
        unknown,
    })
}

/// The address must lead to one developer: an id beside it may be somebody else's, and of several
/// with one address nobody knows which is meant. Then nobody is taken, and rules see no address.
async fn find_by_address(
    directory: &Directory,
    (event, told): (&AuditEvent, Map<String, Value>),
    signal: &mut Signal,
    subject: Uuid,
) -> Result<NamedSubject, JournalError> {
    if signal.developer_id.is_some() || signal.registration_id.is_some() {
        // The ingest endpoint refuses it; the journal may contain one from before it did.
        warn!(event.id = %event.id, "a custom event has an id beside an address: nobody is taken");
        (signal.developer_id, signal.registration_id) = (None, None);
        return Ok(NamedSubject {
            event: shown(event, subject, Subject::default(), Map::new()),
            unknown: None,
        });
    }
    let portal = PortalId(signal.portal_id);
    let person = directory.subject(portal, DeveloperId(subject)).await?;
    let found = match &person.email {
        Some(email) => directory.find_developers_by_email(portal, email).await?,
        None if is_there(directory, portal, subject).await? => vec![DeveloperId(subject)],
        // A forgotten address leads to nobody.
        None => Vec::new(),
    };
    let unknown = (person.email.is_some() && found.len() != 1).then(|| RefreshRequests {
        addresses: vec![subject],
        ..RefreshRequests::default()
    });
    let (person, told) = match found[..] {
        [] => (person, told),
        [one] => {
            signal.developer_id = Some(one.0);
            (person, told)
        }
        _ => {
            warn!(event.id = %event.id, "several developers have the address of a custom event: nobody is taken");
            (Subject::default(), Map::new())
        }
    };
    Ok(NamedSubject {
        event: shown(event, subject, person, told),
        unknown,
    })
}

async fn is_there(directory: &Directory, portal: PortalId, id: Uuid) -> Result<bool, JournalError> {
    let found = directory.find_developer(portal, DeveloperId(id)).await?;
    Ok(found.is_some_and(|found| !found.row_version.is_gone()))
}

/// The event as it was sent, with address and names where the sender put them.
fn shown(
    event: &AuditEvent,
    subject: Uuid,
    person: Subject,
    told: Map<String, Value>,
) -> Map<String, Value> {
    let mut shown = render(event);
    if let Some(email) = &person.email {
        shown = replaced(shown, &place_of(subject), email);
    }
    let mut members = Map::new();
    members.insert("email".to_owned(), person.email.into());
    // A name beside the address was reported too; an older event without one has the directory's.
    members.insert("full_name".to_owned(), person.full_name.into());
    members.extend(told);
    put_back(&mut shown, members);
    shown
}

/// Puts members into the data of an event.
fn put_back(event: &mut Map<String, Value>, members: Map<String, Value>) {
    if let Some(data) = event.get_mut("data").and_then(Value::as_object_mut) {
        data.extend(members);
    }
}

/// Reports that the person whom an event names could not be found, and that no rule decides about
/// it. The sender may send it again once they are there.
pub(super) fn lost(signal: &Signal) {
    counter!(names::CUSTOM_LOST).increment(1);
    warn!(
        event.id = %signal.cause,
        portal.id = %signal.portal_id,
        "a custom event names somebody whom the portal does not have, and leads to nothing"
    );
}

/// Work items that wait for sweeps. Of this process alone: another one requests a sweep of its own.
#[derive(Debug, Default)]
pub(super) struct PendingLookups(Mutex<HashMap<Uuid, PendingLookup>>);

#[derive(Debug)]
struct PendingLookup {
    since: Instant,
    /// The hint that was given, and what is to be read by its name.
    asked: Option<(i64, RefreshRequests)>,
}

impl PendingLookups {
    /// Whether the portal was read since the work item began to wait. To be asked before the
    /// directory is: what a sweep shows later counts for the next try.
    pub(super) async fn is_read(
        &self,
        directory: &Directory,
        (work, portal): (Uuid, PortalId),
    ) -> Result<bool, JournalError> {
        let asked = self.waits().get(&work).and_then(|wait| wait.asked.clone());
        match asked {
            Some((hint, named)) => directory.was_read(portal, hint, &named).await,
            None => Ok(false),
        }
    }

    /// How long the work item is to wait for a refresh that reads what is `unknown`; none if it is
    /// to be judged now.
    pub(super) async fn wait(
        &self,
        directory: &Directory,
        (work, portal): (Uuid, PortalId),
        unknown: &RefreshRequests,
    ) -> Result<Option<Duration>, JournalError> {
        let (waited, is_asked) = {
            let mut waits = self.waits();
            waits.retain(|_, wait| wait.since.elapsed() < 2 * PATIENCE);
            let wait = waits.entry(work).or_insert_with(|| PendingLookup {
                since: Instant::now(),
                asked: None,
            });
            (wait.since.elapsed(), wait.asked.is_some())
        };
        let known = directory.portals().await?;
        let is_known = known.iter().any(|known| known.id == portal);
        let patience = if is_known { PATIENCE } else { PATIENCE_UNKNOWN };
        if waited >= patience {
            warn!(portal.id = %portal, "a custom event is decided without a refresh of its person");
            return Ok(None);
        }
        if is_known && !is_asked {
            let hint = directory.request_refresh_by_name(portal, unknown).await?;
            debug!(portal.id = %portal, hint, "a custom event names somebody unknown");
            if let Some(wait) = self.waits().get_mut(&work) {
                wait.asked = Some((hint, unknown.clone()));
            }
        }
        Ok(Some((waited / 2).clamp(TRY_EVERY, TRY_EVERY_AT_MOST)))
    }

    /// The work item waits no longer.
    pub(super) fn end(&self, work: Uuid) {
        self.waits().remove(&work);
    }

    fn waits(&self) -> MutexGuard<'_, HashMap<Uuid, PendingLookup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
