//! What the emulated Konnect holds: rows of every kind in creation order, and who is a member of
//! which team. It checks nothing; the table and its special cases do.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    audit::Audit,
    clock::{new_id, timestamp},
    portal_api::Accounts,
    rule::Scope,
};

/// The kinds of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Portal,
    Developer,
    Team,
    Role,
    Application,
    Registration,
    Credential,
    Api,
    Destination,
}

impl Kind {
    /// The kinds whose rows end with another.
    const WITH_PARENT: [Self; 6] = [
        Self::Developer,
        Self::Team,
        Self::Role,
        Self::Application,
        Self::Registration,
        Self::Credential,
    ];
}

/// One object: what the API shows and what only the emulator needs, in `value`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    /// The row whose end is also the end of this one.
    pub(crate) parent: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) value: Map<String, Value>,
    sequence: u64,
}

impl Row {
    /// Returns a member, null when absent.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.value.get(name).unwrap_or(&Value::Null)
    }

    /// Returns a text member, empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default()
    }

    /// Returns the place in creation order.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns whether a member is `true`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name) == &Value::Bool(true)
    }

    /// Returns a member that holds a row's id.
    pub(crate) fn reference(&self, name: &str) -> Option<Uuid> {
        self.get(name)
            .as_str()
            .and_then(|text| Uuid::try_parse(text).ok())
    }

    /// Shows id, times and the named members.
    pub(crate) fn show(&self, members: &[&str]) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("id".to_owned(), json!(self.id));
        shown.insert("created_at".to_owned(), json!(timestamp(self.created_at)));
        shown.insert("updated_at".to_owned(), json!(timestamp(self.updated_at)));
        for member in members {
            shown.insert((*member).to_owned(), self.get(member).clone());
        }
        shown
    }
}

/// Everything the emulator knows, behind one lock.
#[derive(Debug)]
pub(crate) struct World {
    /// The organisation that the audit entries name.
    pub(crate) org_id: Uuid,
    /// The principal of the one API token.
    pub(crate) principal_id: Uuid,
    /// The one way in which applications authenticate.
    pub(crate) auth_strategy_id: Uuid,
    pub(crate) audit: Audit,
    pub(crate) accounts: Accounts,
    rows: HashMap<Uuid, Row>,
    /// Children in creation order; rows without parent have the nil id here.
    order: BTreeMap<(Kind, Uuid, u64), Uuid>,
    /// (team, developer) in the order they were added.
    members: BTreeMap<(Uuid, Uuid), u64>,
    /// (portal, address in lower case) of every developer.
    addresses: HashMap<(Uuid, String), Uuid>,
    sequence: u64,
}

impl World {
    /// Makes an empty organisation.
    pub(crate) fn new() -> Self {
        Self {
            org_id: new_id(),
            principal_id: new_id(),
            auth_strategy_id: new_id(),
            audit: Audit::new(),
            accounts: Accounts::default(),
            rows: HashMap::new(),
            order: BTreeMap::new(),
            members: BTreeMap::new(),
            addresses: HashMap::new(),
            sequence: 0,
        }
    }

    /// Adds a row and returns its id.
    pub(crate) fn insert(
        &mut self,
        kind: Kind,
        parent: Option<Uuid>,
        value: Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Uuid {
        let id = new_id();
        self.insert_with_id(id, kind, parent, value, now);
        id
    }

    /// Adds a row whose id the caller chose.
    pub(crate) fn insert_with_id(
        &mut self,
        id: Uuid,
        kind: Kind,
        parent: Option<Uuid>,
        value: Map<String, Value>,
        now: DateTime<Utc>,
    ) {
        self.sequence += 1;
        let row = Row {
            id,
            kind,
            parent,
            created_at: now,
            updated_at: now,
            value,
            sequence: self.sequence,
        };
        self.order
            .insert((kind, parent.unwrap_or_default(), row.sequence), id);
        if kind == Kind::Developer {
            self.addresses.insert(address_key(&row), id);
        }
        self.rows.insert(id, row);
    }

    /// Returns the row of a kind.
    pub(crate) fn find(&self, kind: Kind, id: Uuid) -> Option<&Row> {
        self.rows.get(&id).filter(|row| row.kind == kind)
    }

    /// Refuses a portal that does not exist.
    pub(crate) fn expect_scope(&self, scope: Option<Scope>) -> Result<(), String> {
        match scope {
            Some(Scope::Portal(id)) if self.find(Kind::Portal, id).is_none() => {
                Err(format!("portal {id} does not exist"))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether any row has this id.
    pub(crate) fn knows(&self, id: Uuid) -> bool {
        self.rows.contains_key(&id)
    }

    /// Merges members into a row and marks it updated.
    pub(crate) fn update(&mut self, id: Uuid, members: Map<String, Value>, now: DateTime<Utc>) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.value.extend(members);
            row.updated_at = now;
        }
    }

    /// Removes a row with all rows below it and its memberships.
    pub(crate) fn remove(&mut self, id: Uuid) {
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        self.order
            .remove(&(row.kind, row.parent.unwrap_or_default(), row.sequence));
        self.members
            .retain(|(team, developer), _| *team != id && *developer != id);
        if row.kind == Kind::Developer {
            self.addresses.remove(&address_key(&row));
        }
        let below: Vec<Uuid> = Kind::WITH_PARENT
            .iter()
            .flat_map(|kind| self.children(*kind, Some(id)))
            .map(|row| row.id)
            .collect();
        for child in below {
            self.remove(child);
        }
        self.accounts.forget(id);
        self.audit.forget(id);
    }

    /// Finds a developer by address; case does not count.
    pub(crate) fn find_by_email(&self, portal: Uuid, email: &str) -> Option<Uuid> {
        self.addresses.get(&(portal, email.to_lowercase())).copied()
    }

    /// Lists the rows of a kind below a parent in creation order.
    pub(crate) fn children(&self, kind: Kind, parent: Option<Uuid>) -> impl Iterator<Item = &Row> {
        let parent = parent.unwrap_or_default();
        self.order
            .range((kind, parent, 0)..=(kind, parent, u64::MAX))
            .filter_map(|(_, id)| self.rows.get(id))
    }

    /// Puts a developer into a team; `false` if they are in it.
    pub(crate) fn join(&mut self, team: Uuid, developer: Uuid) -> bool {
        if self.members.contains_key(&(team, developer)) {
            return false;
        }
        self.sequence += 1;
        self.members.insert((team, developer), self.sequence);
        true
    }

    /// Takes a developer out of a team; `false` if they are not in it.
    pub(crate) fn leave(&mut self, team: Uuid, developer: Uuid) -> bool {
        self.members.remove(&(team, developer)).is_some()
    }

    /// Returns whether a developer is in a team.
    pub(crate) fn is_member(&self, team: Uuid, developer: Uuid) -> bool {
        self.members.contains_key(&(team, developer))
    }

    /// Lists a team's developers in the order they were added.
    pub(crate) fn members_of(&self, team: Uuid) -> Vec<&Row> {
        let mut members: Vec<(u64, Uuid)> = self
            .members
            .range((team, Uuid::nil())..=(team, Uuid::max()))
            .map(|((_, developer), sequence)| (*sequence, *developer))
            .collect();
        members.sort_unstable();
        members
            .iter()
            .filter_map(|(_, id)| self.rows.get(id))
            .collect()
    }

    /// Lists a developer's teams in creation order of the teams.
    pub(crate) fn teams_of(&self, portal: Uuid, developer: Uuid) -> Vec<&Row> {
        self.children(Kind::Team, Some(portal))
            .filter(|team| self.is_member(team.id, developer))
            .collect()
    }
}

fn address_key(developer: &Row) -> (Uuid, String) {
    (
        developer.parent.unwrap_or_default(),
        developer.text("email").to_lowercase(),
    )
}
