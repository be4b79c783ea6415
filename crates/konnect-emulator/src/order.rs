//! In which order rows were made, kind by kind and parent by parent: a list is counted and a page
//! of it found without looking at the rows before.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::state::{Kind, Row};

/// The ids of rows by kind and parent, in creation order. Rows without a parent have the nil id as
/// theirs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order(BTreeMap<(Kind, Uuid), Siblings>);

#[derive(Debug, Clone, Default)]
struct Siblings {
    rows: Vec<(u64, Uuid)>,
    /// The latest time at which one was made.
    latest: DateTime<Utc>,
    /// Whether one was made before an older one, by a clock that was moved back.
    is_mixed: bool,
}

impl Order {
    /// Adds a row, which comes after all others.
    pub(crate) fn push(&mut self, row: &Row) {
        let key = (row.kind, row.parent.unwrap_or_default());
        let siblings = self.0.entry(key).or_default();
        siblings.rows.push((row.sequence, row.id));
        siblings.is_mixed |= row.created_at < siblings.latest;
        siblings.latest = siblings.latest.max(row.created_at);
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: &Row) {
        let key = (row.kind, row.parent.unwrap_or_default());
        let Some(siblings) = self.0.get_mut(&key) else {
            return;
        };
        let rows = &mut siblings.rows;
        if let Ok(place) = rows.binary_search_by_key(&row.sequence, |(sequence, _)| *sequence) {
            rows.remove(place);
        }
        if rows.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Lists the rows of a kind below a parent.
    pub(crate) fn children(&self, kind: Kind, parent: Option<Uuid>) -> &[(u64, Uuid)] {
        let siblings = self.0.get(&(kind, parent.unwrap_or_default()));
        siblings.map_or(&[], |siblings| siblings.rows.as_slice())
    }

    /// Lists the rows of a kind below all parents, parent by parent.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = Uuid> {
        let siblings = self.0.range((kind, Uuid::nil())..=(kind, Uuid::max()));
        siblings.flat_map(|(_, siblings)| siblings.rows.iter().map(|(_, id)| *id))
    }

    /// Returns whether the rows of a kind below a parent are in the order of their times too.
    pub(crate) fn is_by_time(&self, kind: Kind, parent: Option<Uuid>) -> bool {
        let siblings = self.0.get(&(kind, parent.unwrap_or_default()));
        siblings.is_none_or(|siblings| !siblings.is_mixed)
    }
}
