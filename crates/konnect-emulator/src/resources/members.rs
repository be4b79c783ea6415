//! What the declarations of several nouns share: forms of members, filters, sorts, labels.

use serde_json::{Map, Value, json};

use crate::{
    clock::timestamp,
    fields::Rule,
    forms::{is_label_key, is_label_value},
    query::{Filter, Operators, Read, Sort},
};

/// Declares a filter or a sort by a member of the row itself.
macro_rules! member {
    ($name:literal) => {
        |_: &$crate::state::World, row: &$crate::state::Row| row.get($name).clone()
    };
}

pub(crate) use member;

/// The statuses of developers and registrations.
pub(crate) const STATUSES: Rule = Rule::Choice(&["approved", "pending", "revoked", "rejected"]);
pub(crate) const NAME: Rule = Rule::Text { min: 1, max: 255 };
pub(crate) const ANY_TEXT: Rule = Rule::Text { min: 1, max: 4096 };
/// Labels of what is made, where null stands for nothing.
pub(crate) const NEW_LABELS: Rule = Rule::Map {
    max: 50,
    is_key: is_label_key,
    value: &Rule::Pattern {
        min: 1,
        max: 63,
        is: is_label_value,
        words: "must be a valid label",
    },
};

pub(crate) const CREATED_AT: Sort = by("created_at", |_, row| json!(timestamp(row.created_at)));
pub(crate) const UPDATED_AT: Sort = by("updated_at", |_, row| json!(timestamp(row.updated_at)));

/// Declares a sort.
pub(crate) const fn by(name: &'static str, read: Read) -> Sort {
    Sort { name, read }
}

/// Declares a `StringFieldFilter`.
pub(crate) const fn text_filter(name: &'static str, read: Read) -> Filter {
    filter(name, Operators::Text, read)
}

/// Declares a `UuidFieldFilter`.
pub(crate) const fn uuid_filter(name: &'static str, read: Read) -> Filter {
    filter(name, Operators::Uuid, read)
}

/// Declares a `BooleanFieldFilter`.
pub(crate) const fn boolean_filter(name: &'static str, read: Read) -> Filter {
    filter(name, Operators::Boolean, read)
}

/// Declares a filter.
pub(crate) const fn filter(name: &'static str, operators: Operators, read: Read) -> Filter {
    Filter {
        name,
        operators,
        read,
    }
}

/// Applies a change of labels: a null value removes the label.
pub(crate) fn merge_labels(before: &Value, change: &Value) -> Value {
    let mut labels: Map<String, Value> = before.as_object().cloned().unwrap_or_default();
    for (key, value) in change.as_object().into_iter().flatten() {
        if value.is_null() {
            labels.remove(key);
        } else {
            labels.insert(key.clone(), value.clone());
        }
    }
    Value::Object(labels)
}
