//! Trees of rows that hang below one owner, each with its place among its siblings: the pages of a
//! portal, the documents of an API.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    problem::Problem,
    query::Listing,
    state::{Kind, Row, World},
};

/// How many rows may be above one another. The list shows the whole tree, and parsers of JSON bear
/// no depth at will.
const MAX_DEPTH: usize = 50;

/// The member that holds a row's place among its siblings, from 0; no two have the same.
pub(crate) const ORDER: &str = "order";

/// Where a move puts a row among its siblings.
pub(crate) const INDEX: Field = Field::optional(
    "index",
    Rule::Integer {
        min: i32::MIN,
        max: i32::MAX,
    },
);

/// What is particular to a tree.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) kind: Kind,
    /// The member that holds the id of the row above.
    pub(crate) above: &'static str,
    /// What a row is called in reasons.
    pub(crate) noun: &'static str,
}

impl Tree {
    /// Shows the rows that match as a tree. One whose parent does not match stands at the top.
    pub(crate) fn list(&self, call: &Call<'_>, listing: &Listing) -> Result<Value, Problem> {
        let mut rows: Vec<&Row> = call
            .world
            .children(self.kind, Some(call.last_id()))
            .collect();
        rows.sort_by_key(|row| order_of(row));
        let mut list = call.list(rows, listing)?;
        let shown = match list["data"].take() {
            Value::Array(shown) => shown,
            _ => Vec::new(),
        };
        Ok(json!({"data": self.grown(shown)}))
    }

    /// Puts what is shown below its parents, in the order it has.
    fn grown(&self, shown: Vec<Value>) -> Vec<Value> {
        let listed: HashSet<Value> = shown.iter().map(|node| node["id"].clone()).collect();
        let mut below: HashMap<Value, Vec<Value>> = HashMap::new();
        for node in shown {
            let parent = &node[self.above];
            let parent = if listed.contains(parent) {
                parent.clone()
            } else {
                Value::Null
            };
            below.entry(parent).or_default().push(node);
        }
        grow(&Value::Null, &mut below)
    }

    /// Lists the rows below a row, or those at the top, in their order and without one of them.
    pub(crate) fn siblings<'a>(
        &self,
        world: &'a World,
        owner: Uuid,
        above: Option<Uuid>,
        without: Option<Uuid>,
    ) -> Vec<&'a Row> {
        let mut rows: Vec<&Row> = world
            .children(self.kind, Some(owner))
            .filter(|row| row.reference(self.above) == above && Some(row.id) != without)
            .collect();
        rows.sort_by_key(|row| order_of(row));
        rows
    }

    /// Checks a change of a row, whose body is complete: a slug that a sibling has and a parent
    /// below the row itself are refused. A row with a new parent becomes the last one there.
    pub(crate) fn before_update(
        &self,
        call: &mut Call<'_>,
        slug_in_use: fn() -> Problem,
    ) -> Result<(), Problem> {
        let (owner, changed) = (call.ids[0], call.last_id());
        let row = call.row(self.kind, changed)?;
        let parent = if call.body.contains_key(self.above) {
            call.reference(self.above)
        } else {
            row.reference(self.above)
        };
        let siblings = self.siblings(call.world, owner, parent, Some(changed));
        let place = self.new_place(call, row, parent, &siblings)?;
        let slug = call.text("slug").unwrap_or_else(|| row.text("slug"));
        if has_slug(&siblings, slug) {
            return Err(slug_in_use());
        }
        if let Some(place) = place {
            call.body.insert(ORDER.to_owned(), json!(place));
        }
        Ok(())
    }

    /// Returns the place that a change gives a row below a parent, the last one, or none if it
    /// stays below the one it has.
    fn new_place(
        &self,
        call: &Call<'_>,
        row: &Row,
        above: Option<Uuid>,
        siblings: &[&Row],
    ) -> Result<Option<u64>, Problem> {
        let owner = row.parent.unwrap_or_default();
        if above.is_some_and(|above| self.is_within(call.world, above, row.id)) {
            let reason = format!("a {} cannot be below itself", self.noun);
            return Err(Problem::invalid_body(self.above, "invalid", reason));
        }
        if above == row.reference(self.above) {
            return Ok(None);
        }
        self.check_depth(call.world, owner, Some(row.id), above)?;
        Ok(Some(last_place(siblings)))
    }

    /// Returns whether a row is another one, or below it.
    fn is_within(&self, world: &World, row: Uuid, other: Uuid) -> bool {
        std::iter::successors(Some(row), |row| self.parent_of(world, *row)).any(|id| id == other)
    }

    fn parent_of(&self, world: &World, row: Uuid) -> Option<Uuid> {
        world.find(self.kind, row)?.reference(self.above)
    }

    /// Refuses what would be too deep below a parent, with what is below it. A row that is yet to
    /// be made has nothing below it.
    pub(crate) fn check_depth(
        &self,
        world: &World,
        owner: Uuid,
        row: Option<Uuid>,
        above: Option<Uuid>,
    ) -> Result<(), Problem> {
        let depth = std::iter::successors(above, |row| self.parent_of(world, *row)).count();
        let mut height = 1;
        let mut level: HashSet<Uuid> = row.into_iter().collect();
        while depth + height <= MAX_DEPTH {
            let is_below = |row: &&Row| {
                let parent = row.reference(self.above);
                parent.is_some_and(|parent| level.contains(&parent))
            };
            let below = world.children(self.kind, Some(owner)).filter(is_below);
            level = below.map(|row| row.id).collect();
            if level.is_empty() {
                return Ok(());
            }
            height += 1;
        }
        let reason = format!(
            "there cannot be more than {MAX_DEPTH} {}s above one another",
            self.noun
        );
        Err(Problem::invalid_body(self.above, "invalid", reason))
    }

    /// Returns whether a row is of the tree of an owner.
    fn is_of(&self, world: &World, owner: Uuid, row: Uuid) -> bool {
        let found = world.find(self.kind, row);
        found.is_some_and(|row| row.parent == Some(owner))
    }

    /// Refuses a parent in the body that there is not, and writes its id as ids are written.
    pub(crate) fn check_parent(&self, call: &mut Call<'_>, owner: Uuid) -> Result<(), Problem> {
        let Some(above) = call.reference(self.above) else {
            return Ok(());
        };
        if !self.is_of(call.world, owner, above) {
            let reason = format!("this {} does not exist", self.noun);
            return Err(Problem::invalid_body(
                self.above,
                "missing_reference",
                reason,
            ));
        }
        call.body.insert(self.above.to_owned(), json!(above));
        Ok(())
    }

    /// Moves the last row of the path to a place below another, or at the top. Without an index it
    /// becomes the last one; an index beyond an end is that end.
    pub(crate) fn move_row(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        let (owner, moved) = (call.ids[0], call.last_id());
        let above = call.reference(self.above);
        if above.is_some_and(|above| !self.is_of(call.world, owner, above)) {
            return Err(Problem::not_found());
        }
        if above.is_some_and(|above| self.is_within(call.world, above, moved)) {
            let detail = format!("A {} cannot be moved below itself", self.noun);
            return Err(Problem::conflict(detail));
        }
        self.check_depth(call.world, owner, Some(moved), above)?;
        let row = call.row(self.kind, moved)?;
        let siblings = self.siblings(call.world, owner, above, Some(moved));
        if has_slug(&siblings, row.text("slug")) {
            let detail = format!("A {} with this slug is already there", self.noun);
            return Err(Problem::conflict(detail));
        }
        let mut order: Vec<Uuid> = siblings.iter().map(|row| row.id).collect();
        let index = call.body.get("index").and_then(Value::as_i64);
        order.insert(place(index.unwrap_or(-1), order.len()), moved);
        let mut value = row.value.clone();
        value.insert(self.above.to_owned(), json!(above));
        call.world.replace(moved, value, call.now);
        for (place, id) in order.into_iter().enumerate() {
            let row = call.row(self.kind, id)?;
            if order_of(row) == place as u64 {
                continue;
            }
            let (mut value, at) = (row.value.clone(), row.updated_at);
            value.insert(ORDER.to_owned(), json!(place));
            // A row that makes room is not changed by that.
            call.world.replace(id, value, at);
        }
        Ok(Value::Null)
    }
}

fn grow(parent: &Value, below: &mut HashMap<Value, Vec<Value>>) -> Vec<Value> {
    let mut shown = below.remove(parent).unwrap_or_default();
    for node in &mut shown {
        node["children"] = json!(grow(&node["id"].clone(), below));
    }
    shown
}

fn order_of(row: &Row) -> u64 {
    row.get(ORDER).as_u64().unwrap_or_default()
}

/// Returns the place behind the last of some siblings.
pub(crate) fn last_place(siblings: &[&Row]) -> u64 {
    siblings.last().map_or(0, |row| order_of(row) + 1)
}

/// Returns whether one of some siblings has a slug.
pub(crate) fn has_slug(siblings: &[&Row], slug: &str) -> bool {
    siblings.iter().any(|row| row.text("slug") == slug)
}

/// Returns the place that an index means among `others`: a negative one counts from the end, where
/// -1 is behind all of them.
fn place(index: i64, others: usize) -> usize {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index < 0 {
        (others + 1).saturating_sub(distance)
    } else {
        distance.min(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_counts_from_either_end() {
        for (index, expected) in [
            (0, 0),
            (2, 2),
            (3, 3),
            (4, 3),
            (-1, 3),
            (-2, 2),
            (-4, 0),
            (-5, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(place(index, 3), expected, "{index}");
        }
    }
}
