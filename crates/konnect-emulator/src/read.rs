//! How a list reads the value that a filter or a sort looks at: what is a member of the row is not
//! copied.

use std::borrow::Cow;

use serde_json::Value;

use crate::state::{Row, World};

/// Where the value is that a filter or a sort looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read {
    /// A member of the row itself.
    Member(&'static str),
    /// What is made of the row.
    Made(fn(&World, &Row) -> Value),
}

impl Read {
    /// Returns the value.
    pub(crate) fn of<'a>(self, world: &World, row: &'a Row) -> Cow<'a, Value> {
        match self {
            Self::Member(name) => Cow::Borrowed(row.get(name)),
            Self::Made(make) => Cow::Owned(make(world, row)),
        }
    }
}

/// Returns a value as filters and sorts compare it; null is empty.
pub(crate) fn as_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    }
}
