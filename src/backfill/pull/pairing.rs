//! Which pulled entries are stored already. Pure.
//!
//! An entry with the id of a stored event is that event. Else it may be one that the webhook
//! brought in other words: then kind, trace, principal, outcome and second are the same. One
//! request leaves several such entries, so each stored event stands for one pulled entry only,
//! first for one of its own name and path.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::event::{AuditEvent, EventId};
use crate::journal::Twin;

/// The key of a stored event.
pub(super) type EventKey = (DateTime<Utc>, EventId);

/// What the journal has of a pulled entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nothing.
    No,
    /// The event, with its own id.
    Same,
    /// What the webhook brought of it, under this key.
    OtherWords(EventKey),
}

/// Finds out of `twins` what is stored of each of `events`. `taken` has the keys that stand for
/// another pulled entry already; what is found is added.
pub(super) fn pair(
    events: &[&AuditEvent],
    twins: &[Twin],
    taken: &mut HashSet<EventKey>,
) -> Vec<Stored> {
    let mut stored = vec![Stored::No; events.len()];
    let mut open: BTreeMap<usize, Vec<&Twin>> = BTreeMap::new();
    for twin in twins {
        let Some(event) = events.get(twin.place) else {
            continue;
        };
        if twin.id == event.id {
            stored[twin.place] = Stored::Same;
            taken.insert((twin.event_ts, twin.id));
        } else if !twin.is_pulled {
            // A pulled entry in other words is another entry.
            open.entry(twin.place).or_default().push(twin);
        }
    }
    open.retain(|place, _| stored[*place] == Stored::No);
    for by_name in [true, false] {
        for (place, twins) in &open {
            if stored[*place] != Stored::No {
                continue;
            }
            let fits = |twin: &&&Twin| {
                let is_free = !taken.contains(&(twin.event_ts, twin.id));
                is_free && (!by_name || is_named_alike(events[*place], twin))
            };
            if let Some(twin) = twins.iter().find(fits) {
                let key = (twin.event_ts, twin.id);
                taken.insert(key);
                stored[*place] = Stored::OtherWords(key);
            }
        }
    }
    stored
}

fn is_named_alike(event: &AuditEvent, twin: &Twin) -> bool {
    event.column("name") == twin.name && event.column("request") == twin.path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;

    fn event(resource: &str, rt: &str) -> AuditEvent {
        let line = format!(
            r#"{{"type":"authorization","ts":"2026-11-20T12:00:00.{rt}Z","trace_id":"1","principal_id":"p","service":"konnect","resource":"{resource}","action":"list","granted":true,"signature":"x"}}"#
        );
        parse(line.as_bytes()).unwrap()
    }

    fn twin(place: usize, of: &AuditEvent, is_pulled: bool) -> Twin {
        Twin {
            place,
            event_ts: of.event_ts,
            id: of.id,
            name: of.column("name"),
            path: None,
            is_pulled,
        }
    }

    #[test]
    fn each_stored_event_stands_for_one_pulled_entry() {
        let [portals, teams, new] = [
            event("portals", "1"),
            event("teams", "1"),
            event("new", "1"),
        ];
        // What the webhook brought of the first two, a little apart.
        let [other_teams, other_portals] = [event("teams", "2"), event("portals", "2")];
        let key = |event: &AuditEvent| (event.event_ts, event.id);
        let events = [&portals, &teams, &new];
        let mut twins = Vec::new();
        for place in 0..3 {
            twins.push(twin(place, &other_teams, false));
            twins.push(twin(place, &other_portals, false));
        }
        let mut taken = HashSet::new();
        let found = pair(&events, &twins, &mut taken);
        let expected = [
            Stored::OtherWords(key(&other_portals)),
            Stored::OtherWords(key(&other_teams)),
            Stored::No,
        ];
        assert_eq!(found, expected, "of three entries one is new");
        // The next page of the same pull.
        assert_eq!(pair(&[&new], &twins[..2], &mut taken), [Stored::No]);

        // The next pull: the third one is stored now, and stands for no other.
        for place in 0..3 {
            twins.push(twin(place, &new, true));
        }
        let found = pair(&events, &twins, &mut HashSet::new());
        assert_eq!(found, [expected[0], expected[1], Stored::Same]);
    }

    #[test]
    fn a_name_that_is_written_otherwise_is_no_obstacle() {
        let (pulled, delivered) = (event("krn:kong:portals", "1"), event("portals", "1"));
        let twins = [twin(0, &delivered, false)];
        let found = pair(&[&pulled], &twins, &mut HashSet::new());
        assert_eq!(
            found,
            [Stored::OtherWords((delivered.event_ts, delivered.id))]
        );
        let twins = [twin(0, &delivered, true)];
        assert_eq!(pair(&[&pulled], &twins, &mut HashSet::new()), [Stored::No]);
    }
}
