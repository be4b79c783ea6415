//! Check (d): every deed has its reason on record, by the actions that the database has.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::model::checks::{Account, gift_of, told};
use crate::model::replay::Thing;

impl Account<'_> {
    /// (d) Every deed has its reason on record: an action that wrote, with what its rule saw and
    /// the events that led to it; what went with a person who was revoked is in that action's
    /// report.
    pub(in crate::model) fn unexplained(&self, record: &[Recorded]) -> Vec<String> {
        let mut written: BTreeMap<(&str, Uuid), usize> = BTreeMap::new();
        let mut found = Vec::new();
        for change in self.replay.changes.iter().filter(|one| one.by.is_usher()) {
            let deed = match (gift_of(change), change.thing) {
                (Some(gift), _) => (gift.deed(), gift.target()),
                (None, Thing::Status(id)) => ("revoke_developer", id),
                (None, thing) => {
                    if !record.iter().any(|one| one.accounts_for(thing)) {
                        found.push(format!("{}: no report tells of it", told(change)));
                    }
                    continue;
                }
            };
            // Of a write whose answer was lost the same action may make another one, if somebody
            // undid it meanwhile.
            *written.entry(deed).or_default() += usize::from(!change.is_lost);
        }
        for ((deed, target), count) in written {
            let explained = record
                .iter()
                .filter(|one| one.explains(deed, target))
                .count();
            if explained < count {
                let on_record: Vec<_> = record.iter().filter(|one| one.target == target).collect();
                found.push(format!(
                    "{deed} {target}: written {count} times, explained {explained} times, on \
                     record: {on_record:?}"
                ));
            }
        }
        found
    }
}

/// An action, as the database has it.
#[derive(Debug)]
pub(in crate::model) struct Recorded {
    deed: String,
    target: Uuid,
    has_written: bool,
    has_causes: bool,
    /// Whether it says what its rule saw.
    has_facts: bool,
    report: Value,
}

impl Recorded {
    pub(in crate::model) async fn all(pool: &PgPool) -> Vec<Self> {
        let rows: Vec<(String, Uuid, bool, bool, bool, Option<Value>)> = sqlx::query_as(
            "SELECT deed, target_id, write_sent_at IS NOT NULL,
                 cardinality(causes) > 0, facts <> '{}'::jsonb, report
             FROM actions",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let row = |row: (String, Uuid, bool, bool, bool, Option<Value>)| Self {
            deed: row.0,
            target: row.1,
            has_written: row.2,
            has_causes: row.3,
            has_facts: row.4,
            report: row.5.unwrap_or_default(),
        };
        rows.into_iter().map(row).collect()
    }

    fn explains(&self, deed: &str, target: Uuid) -> bool {
        self.deed == deed
            && self.target == target
            && self.has_written
            && self.has_facts
            && self.has_causes
    }

    /// Whether it tells of something that went with a person's access.
    fn accounts_for(&self, thing: Thing) -> bool {
        let has = |what: &str, id: Uuid| self.report[what].get(id.to_string()).is_some();
        self.deed == "revoke_developer"
            && self.has_causes
            && self.has_facts
            && match thing {
                Thing::Registration(id) => has("registrations", id),
                Thing::Membership(person, team) => self.target == person && has("teams", team),
                Thing::Status(_) | Thing::Owner(_) => false,
            }
    }
}
