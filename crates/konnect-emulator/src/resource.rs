//! What is declared of a kind of object that has a list: its fields, its list, its view, and the
//! few checks that look at more than one field. The generic acts on it.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    call::{Call, Check},
    fields::Field,
    problem::Problem,
    query::{Filter, Listing, Paging},
    sorting::Sort,
    state::{Kind, Row, World},
};

/// What is shown of a row.
pub(crate) type View = fn(&World, &Row) -> Value;

/// How a change goes into what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// A member that is sent takes the place of the one before, null too.
    Members,
    /// Objects are merged member by member at any depth, as RFC 7396 does, but null is kept.
    Deep,
}

impl Merge {
    /// Puts the members of a change into a value.
    pub(crate) fn apply(self, value: &mut Map<String, Value>, change: Map<String, Value>) {
        for (name, new) in change {
            match (self, value.get_mut(&name), new) {
                (Self::Deep, Some(Value::Object(before)), Value::Object(new)) => {
                    self.apply(before, new);
                }
                (_, _, new) => {
                    value.insert(name, new);
                }
            }
        }
    }
}

/// A kind of object with its rules: what may be sent, how it is listed and shown, what must hold
/// beyond single fields.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    /// What a POST may hold.
    pub(crate) create: &'static [Field],
    /// What a PUT may hold.
    pub(crate) replace: &'static [Field],
    /// What a PATCH may hold.
    pub(crate) update: &'static [Field],
    pub(crate) listing: Listing,
    pub(crate) before_create: Check,
    before_update: Check,
    before_delete: Check,
}

/// The check of what needs none.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where other resources have a rule"
)]
pub(crate) fn nothing(_: &mut Call<'_>) -> Result<(), Problem> {
    Ok(())
}

impl Resource {
    /// Declares a kind that takes no body, is listed by page number, without filters and sorts.
    pub(crate) const fn new(kind: Kind, view: View) -> Self {
        Self {
            kind,
            create: &[],
            replace: &[],
            update: &[],
            listing: Listing {
                filters: &[],
                sorts: &[],
                paging: Paging::Number,
                view,
            },
            before_create: nothing,
            before_update: nothing,
            before_delete: nothing,
        }
    }

    /// Sets what a POST may hold.
    pub(crate) const fn create(mut self, fields: &'static [Field]) -> Self {
        self.create = fields;
        self
    }

    /// Sets what a PUT may hold.
    pub(crate) const fn replace(mut self, fields: &'static [Field]) -> Self {
        self.replace = fields;
        self
    }

    /// Sets what a PATCH may hold.
    pub(crate) const fn update(mut self, fields: &'static [Field]) -> Self {
        self.update = fields;
        self
    }

    /// Sets the filters of the list.
    pub(crate) const fn filters(mut self, filters: &'static [Filter]) -> Self {
        self.listing.filters = filters;
        self
    }

    /// Sets the attributes that the list can be sorted by.
    pub(crate) const fn sorts(mut self, sorts: &'static [Sort]) -> Self {
        self.listing.sorts = sorts;
        self
    }

    /// Sets how the list is paged.
    pub(crate) const fn paging(mut self, paging: Paging) -> Self {
        self.listing.paging = paging;
        self
    }

    /// Completes and checks a body before it becomes a row.
    pub(crate) const fn before_create(mut self, check: Check) -> Self {
        self.before_create = check;
        self
    }

    /// Checks a body before it changes a row.
    pub(crate) const fn before_update(mut self, check: Check) -> Self {
        self.before_update = check;
        self
    }

    /// Decides whether a row may go, and ends what hangs on it beyond what its kind says.
    pub(crate) const fn before_delete(mut self, check: Check) -> Self {
        self.before_delete = check;
        self
    }

    /// Lists the rows below the last row of the path.
    pub(crate) fn list_rows(&self, call: &Call<'_>) -> Result<Value, Problem> {
        call.list_children(self.kind, &self.listing)
    }

    /// Makes a row of the body.
    pub(crate) fn create_row(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        (self.before_create)(call)?;
        let body = std::mem::take(&mut call.body);
        let parent = call.ids.last().copied();
        let id = call.world.insert(self.kind, parent, body, call.now);
        self.show(call, id)
    }

    /// Shows the last row of the path.
    pub(crate) fn get_row(&self, call: &Call<'_>) -> Result<Value, Problem> {
        self.show(call, call.last_id())
    }

    /// Puts the body in place of the members of the last row of the path.
    pub(crate) fn replace_row(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        let body = std::mem::take(&mut call.body);
        call.world.replace(call.last_id(), body, call.now);
        self.show(call, call.last_id())
    }

    /// Changes the last row of the path by the body.
    pub(crate) fn update_row(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        (self.before_update)(call)?;
        let mut value = call.row(self.kind, call.last_id())?.value.clone();
        Merge::Members.apply(&mut value, std::mem::take(&mut call.body));
        call.world.replace(call.last_id(), value, call.now);
        self.show(call, call.last_id())
    }

    /// Removes the last row of the path.
    pub(crate) fn delete_row(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        (self.before_delete)(call)?;
        call.world.remove(call.last_id());
        Ok(Value::Null)
    }

    fn show(&self, call: &Call<'_>, id: Uuid) -> Result<Value, Problem> {
        Ok((self.listing.view)(call.world, call.row(self.kind, id)?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let before = json!({"a": {"b": 1, "c": 2}, "d": 3, "e": 4});
        let change = json!({"a": {"b": null}, "d": null, "f": {"g": 5}});
        for (merge, a) in [
            (Merge::Members, json!({"b": null})),
            (Merge::Deep, json!({"b": null, "c": 2})),
        ] {
            let mut value = before.as_object().unwrap().clone();
            merge.apply(&mut value, change.as_object().unwrap().clone());
            let expected = json!({"a": a, "d": null, "e": 4, "f": {"g": 5}});
            assert_eq!(Value::Object(value), expected, "{merge:?}");
        }
    }
}
