//! What the table cannot say about a resource: defaults that depend on others, conflicts,
//! relations, jobs. One file per resource; none of them knows HTTP or the lock.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the table calls all handlers by one signature"
)]

pub(crate) mod application;
pub(crate) mod destination;
pub(crate) mod developer;
pub(crate) mod jwks;
pub(crate) mod portal;
pub(crate) mod pull;
pub(crate) mod registration;
pub(crate) mod replay;
pub(crate) mod role;
pub(crate) mod team;
pub(crate) mod webhook;

use serde_json::{Map, Value};

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
