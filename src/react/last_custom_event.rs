//! The last custom event of a kind about somebody: a rule on such events is explained by it. Reads
//! only.

use konnect::DeveloperId;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::directory::{DeveloperRecord, Directory, Registration};
use crate::event::{Kind, Signal, SignalKind};
use crate::journal::{EventFilter, Journal, JournalError, StoredEvent};
use crate::react::custom;
use crate::react::interpretation::interpret;

/// Events that name one id are searched up to this many: most are about the person whom they name.
const LOOKED_THROUGH: i64 = 20;

/// The custom event.
#[derive(Debug)]
pub(super) struct LastCustomEvent {
    /// The event as it is stored.
    stored: StoredEvent,
    /// Its signal, about the developer.
    pub(super) signal: Signal,
    /// The event as rules see it. Contains the address again.
    pub(super) event: Map<String, Value>,
}

impl LastCustomEvent {
    fn is_newer(&self, than: Option<&Self>) -> bool {
        than.is_none_or(|than| self.stored.event_ts > than.stored.event_ts)
    }
}

/// The newest event of the kind `on` about a developer: by their id, their address, or one of their
/// registrations.
pub(super) async fn last_custom_event(
    (journal, directory): (&Journal, &Directory),
    known: &DeveloperRecord,
    registrations: &[Registration],
    on: &str,
) -> Result<Option<LastCustomEvent>, JournalError> {
    let developer = &known.developer;
    let mut names = vec![developer.id.0];
    let told = directory.custom_subjects_of(developer.portal_id, developer.id);
    names.extend(told.await?);
    names.extend(registrations.iter().map(|registration| registration.id.0));
    let mut last: Option<LastCustomEvent> = None;
    for name in &names {
        let filter = EventFilter {
            portal_id: Some(developer.portal_id.to_string()),
            name: Some(on.to_owned()),
            kind: Some(Kind::Custom.as_str().to_owned()),
            q: Some(name.to_string()),
            ..EventFilter::default()
        };
        for stored in journal.search(&filter, None, LOOKED_THROUGH).await? {
            let told = about(directory, stored, developer.id, &names).await?;
            if let Some(told) = told {
                if told.is_newer(last.as_ref()) {
                    last = Some(told);
                }
                break;
            }
        }
    }
    Ok(last)
}

/// The signal of an event, if it is about this developer.
async fn about(
    directory: &Directory,
    stored: StoredEvent,
    developer: DeveloperId,
    names: &[Uuid],
) -> Result<Option<LastCustomEvent>, JournalError> {
    let Ok(event) = stored.parse() else {
        return Ok(None);
    };
    let meaning = interpret(&event, stored.verdict, None, stored.received_at);
    let custom = |signal: &Signal| matches!(signal.kind, SignalKind::Custom(_));
    let Some(mut signal) = meaning.signal.filter(custom) else {
        return Ok(None);
    };
    let found = custom::find(directory, &event, &mut signal, meaning.kept).await?;
    let is_about = match (signal.developer_id, signal.registration_id) {
        (Some(id), _) => id == developer.0,
        (None, Some(registration)) => names.contains(&registration),
        (None, None) => false,
    };
    Ok(is_about.then_some(LastCustomEvent {
        stored,
        signal,
        event: found.event,
    }))
}
