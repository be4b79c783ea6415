//! What the emulated Konnect holds: rows of every kind in creation order, and who is a member of
//! which team. It checks nothing; the table and its special cases do.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::BuildHasherDefault,
};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    audit::Audit, clock::new_id, id_hasher::IdHasher, order::Order, portal_api::Accounts,
    rule::Scope,
};
pub(crate) use crate::{kind::Kind, row::Row};

/// Everything the emulator knows, behind one lock.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The organisation that the audit entries name.
    pub(crate) org_id: Uuid,
    /// The principal of the one API token.
    pub(crate) principal_id: Uuid,
    /// The strategy that is built in, by which applications authenticate unless it is said.
    pub(crate) auth_strategy_id: Uuid,
    pub(crate) audit: Audit,
    pub(crate) accounts: Accounts,
    rows: HashMap<Uuid, Row, BuildHasherDefault<IdHasher>>,
    order: Order,
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
            rows: HashMap::default(),
            order: Order::default(),
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
        self.order.push(&row);
        if kind == Kind::Developer {
            self.addresses.insert(address_key(&row), id);
        }
        self.rows.insert(id, row);
    }

    /// Returns the row of a kind.
    pub(crate) fn find(&self, kind: Kind, id: Uuid) -> Option<&Row> {
        self.rows.get(&id).filter(|row| row.kind == kind)
    }

    /// Returns the row of any kind.
    pub(crate) fn any(&self, id: Uuid) -> Option<&Row> {
        self.rows.get(&id)
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

    /// Returns how many rows there are, of all kinds.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Merges members into a row and marks it updated.
    pub(crate) fn update(&mut self, id: Uuid, members: Map<String, Value>, now: DateTime<Utc>) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.value.extend(members);
            row.updated_at = now;
        }
    }

    /// Puts members in place of all those of a row and marks it updated.
    pub(crate) fn replace(&mut self, id: Uuid, members: Map<String, Value>, now: DateTime<Utc>) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.value = members;
            row.updated_at = now;
        }
    }

    /// Removes a row with all rows below it, its memberships, and what its kind says ends with it.
    pub(crate) fn remove(&mut self, id: Uuid) {
        let mut ending = HashSet::from([id]);
        let mut people = HashSet::new();
        while !ending.is_empty() {
            let next = self.referring_to(&ending);
            for id in ending {
                self.remove_tree(id, &mut people);
            }
            ending = next;
        }
        if !people.is_empty() {
            self.members.retain(|(team, developer), _| {
                !people.contains(team) && !people.contains(developer)
            });
            self.accounts.forget(&people);
        }
    }

    /// Removes a row with all rows below it, and notes which of them are developers and teams.
    /// Whoever refers to a row below this one hangs below this one too.
    fn remove_tree(&mut self, id: Uuid, people: &mut HashSet<Uuid>) {
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        self.order.remove(&row);
        match row.kind {
            Kind::Portal => self.audit.forget(id),
            Kind::Developer | Kind::Team => {
                people.insert(id);
            }
            _ => {}
        }
        if row.kind == Kind::Developer {
            let key = address_key(&row);
            self.addresses.remove(&key);
            self.accounts.void_tokens(&key);
        }
        let below: Vec<Uuid> = Kind::ALL
            .iter()
            .filter(|kind| kind.parents().contains(&row.kind))
            .flat_map(|kind| self.children(*kind, Some(id)))
            .map(|row| row.id)
            .collect();
        // The last of many siblings goes without the others moving up.
        for child in below.into_iter().rev() {
            self.remove_tree(child, people);
        }
    }

    /// Lists the rows that end with any of some rows to which they refer.
    fn referring_to(&self, ending: &HashSet<Uuid>) -> HashSet<Uuid> {
        let rows = ending.iter().filter_map(|id| self.rows.get(id));
        let kinds: HashSet<Kind> = rows.map(|row| row.kind).collect();
        let mut found = HashSet::new();
        for other in Kind::ALL {
            for (_, pointer) in other
                .ends_with()
                .iter()
                .filter(|(of, _)| kinds.contains(of))
            {
                let refers = |row: &&Row| {
                    let to = row.reference_at(pointer);
                    to.is_some_and(|id| ending.contains(&id))
                };
                found.extend(self.all(*other).filter(refers).map(|row| row.id));
            }
        }
        found
    }

    /// Lists the rows of a kind below all parents.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = &Row> {
        let ids = self.order.all(kind);
        ids.filter_map(|id| self.rows.get(&id))
    }

    /// Finds a row below a parent by a text member.
    pub(crate) fn find_named(
        &self,
        kind: Kind,
        parent: Option<Uuid>,
        member: &str,
        text: &str,
    ) -> Option<&Row> {
        self.children(kind, parent)
            .find(|row| row.text(member) == text)
    }

    /// Finds a row below a parent by a text member; case does not count.
    pub(crate) fn find_named_in_any_case(
        &self,
        kind: Kind,
        parent: Option<Uuid>,
        member: &str,
        text: &str,
    ) -> Option<&Row> {
        self.children(kind, parent)
            .find(|row| row.text(member).eq_ignore_ascii_case(text))
    }

    /// Finds a developer by address; case does not count.
    pub(crate) fn find_by_email(&self, portal: Uuid, email: &str) -> Option<Uuid> {
        self.addresses.get(&(portal, email.to_lowercase())).copied()
    }

    /// Lists the rows of a kind below a parent in creation order.
    pub(crate) fn children(&self, kind: Kind, parent: Option<Uuid>) -> impl Iterator<Item = &Row> {
        let children = self.order.children(kind, parent).iter();
        children.filter_map(|(_, id)| self.rows.get(id))
    }

    /// Returns whether the rows of a kind below a parent are in the order of their times too: a
    /// clock that is moved back mixes them.
    pub(crate) fn is_by_time(&self, kind: Kind, parent: Option<Uuid>) -> bool {
        self.order.is_by_time(kind, parent)
    }

    /// Lists so many rows of a kind below a parent from a place on, and counts them all.
    pub(crate) fn page(
        &self,
        kind: Kind,
        parent: Option<Uuid>,
        start: usize,
        size: usize,
    ) -> (Vec<&Row>, usize) {
        let children = self.order.children(kind, parent);
        let start = start.min(children.len());
        let end = start.saturating_add(size).min(children.len());
        let rows = children[start..end].iter();
        let rows = rows.filter_map(|(_, id)| self.rows.get(id));
        (rows.collect(), children.len())
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_page_is_a_part_of_the_list_of_siblings_in_the_order_they_were_made() {
        let now = Clock::system_now();
        let mut world = World::new();
        let [first, second] = [0, 1].map(|_| world.insert(Kind::Portal, None, Map::new(), now));
        let mut made = Vec::new();
        for number in 0..6_i32 {
            let at = now + TimeDelta::seconds(number.into());
            let portal = if number == 2 { second } else { first };
            made.push(world.insert(Kind::Developer, Some(portal), Map::new(), at));
        }
        world.remove(made.remove(3));
        made.remove(2);
        let ids = |world: &World, start, size| {
            let (rows, total) = world.page(Kind::Developer, Some(first), start, size);
            (rows.iter().map(|row| row.id).collect::<Vec<_>>(), total)
        };
        assert_eq!(ids(&world, 0, 10), (made.clone(), 4));
        assert_eq!(ids(&world, 1, 2), (made[1..3].to_vec(), 4));
        assert_eq!(ids(&world, 3, usize::MAX), (made[3..].to_vec(), 4));
        assert_eq!(ids(&world, 9, 2), (Vec::new(), 4));
        assert!(world.is_by_time(Kind::Developer, Some(first)));
        world.insert(Kind::Developer, Some(first), Map::new(), now);
        assert!(
            !world.is_by_time(Kind::Developer, Some(first)),
            "moved back"
        );
        world.remove(first);
        assert_eq!(ids(&world, 0, 1), (Vec::new(), 0));
    }

    #[test]
    fn what_ends_takes_along_what_is_below_and_what_refers_to_it() {
        let now = Clock::system_now();
        let mut world = World::new();
        let mut add = |kind, parent, value: Value| {
            let value = value.as_object().cloned().unwrap_or_default();
            world.insert(kind, parent, value, now)
        };
        let portal = add(Kind::Portal, None, Value::Null);
        let team = add(Kind::Team, Some(portal), Value::Null);
        let role = add(Kind::Role, Some(team), Value::Null);
        let owned = json!({"owner": {"type": "team", "id": team}});
        let application = add(Kind::Application, Some(portal), owned);
        let registration = add(Kind::Registration, Some(application), Value::Null);
        let page = add(Kind::Page, Some(portal), Value::Null);
        let below = add(Kind::Page, Some(portal), json!({"parent_page_id": page}));
        let leaf = add(Kind::Page, Some(portal), json!({"parent_page_id": below}));
        let api = add(Kind::Api, None, Value::Null);
        let published = add(
            Kind::ApiPublication,
            Some(api),
            json!({"portal_id": portal}),
        );
        for (ends, gone) in [
            (team, vec![team, role, application, registration]),
            (page, vec![page, below, leaf]),
            (portal, vec![portal, published]),
        ] {
            assert!(gone.iter().all(|id| world.any(*id).is_some()));
            world.remove(ends);
            assert!(gone.iter().all(|id| world.any(*id).is_none()));
        }
        assert!(world.any(api).is_some(), "an API outlives its publications");
    }

    #[test]
    fn many_rows_end_at_once() {
        const MANY: usize = 10_000;
        let now = Clock::system_now();
        let mut world = World::new();
        let portal = world.insert(Kind::Portal, None, Map::new(), now);
        let team = world.insert(Kind::Team, Some(portal), Map::new(), now);
        let page = world.insert(Kind::Page, Some(portal), Map::new(), now);
        for number in 0..MANY {
            let value = |text: Value| text.as_object().cloned().unwrap_or_default();
            let developer = value(json!({"email": format!("{number}@x.example")}));
            let developer = world.insert(Kind::Developer, Some(portal), developer, now);
            assert!(world.join(team, developer));
            let below = value(json!({"parent_page_id": page}));
            world.insert(Kind::Page, Some(portal), below, now);
        }
        for (ends, left) in [(page, MANY + 2), (portal, 0)] {
            let begin = Instant::now();
            world.remove(ends);
            // Row by row, each with a look at all the others, it takes minutes.
            assert!(begin.elapsed() < Duration::from_secs(5), "{left}");
            assert_eq!(world.len(), left);
        }
        assert!(world.members.is_empty() && world.addresses.is_empty());
    }
}
