//! The committed facts of every operation, as `spec/facts.jsonl` has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde::Deserialize;
use serde_json::Value;

/// An operation of Konnect.
#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    /// The operationId; one of the older audit-log document has `v2-` before it.
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    /// The document with its version.
    pub(super) spec: String,
    /// Whether the reference of 74 operations has it.
    pub(super) in_seed: bool,
    #[serde(default)]
    pub(super) path_parameters: BTreeMap<String, Schema>,
    #[serde(default)]
    pub(super) query_parameters: BTreeMap<String, Schema>,
    pub(super) body: Option<Body>,
    /// The success status with its media types; none is an answer without a body. Of two the first
    /// is the usual one.
    pub(super) success: BTreeMap<u16, BTreeMap<String, Schema>>,
    /// The declared errors with their media type.
    pub(super) errors: BTreeMap<u16, String>,
}

impl Operation {
    /// Returns the success status.
    pub(super) fn success_status(&self) -> u16 {
        *self.success.keys().next().unwrap()
    }

    /// Returns the schema of a success in JSON, if it has one.
    pub(super) fn shown(&self) -> Option<&Schema> {
        self.success.values().next()?.get("application/json")
    }
}

/// The body of a request.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) required: bool,
    pub(super) schema: Schema,
}

/// What the document says about a value.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are what the document declares"
)]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Schema {
    /// The name that `again` refers to.
    pub(super) name: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) required: bool,
    pub(super) nullable: bool,
    pub(super) read_only: bool,
    pub(super) write_only: bool,
    pub(super) unique: bool,
    /// Whether no other member may be there.
    pub(super) closed: bool,
    pub(super) format: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) min_items: Option<usize>,
    pub(super) max_items: Option<usize>,
    pub(super) min_members: Option<usize>,
    pub(super) max_members: Option<usize>,
    pub(super) minimum: Option<i64>,
    pub(super) maximum: Option<i64>,
    #[serde(rename = "enum")]
    pub(super) choices: Vec<Value>,
    pub(super) members: BTreeMap<String, Schema>,
    /// The schema of members with any name.
    pub(super) values: Option<Box<Schema>>,
    pub(super) items: Option<Box<Schema>>,
    /// The member that tells the alternatives apart.
    pub(super) by: Option<String>,
    pub(super) one_of: Vec<Schema>,
    /// The name of the enclosing schema that comes here again.
    pub(super) again: Option<String>,
}

/// All operations, in the order of the documents.
pub(super) static FACTS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    include_str!("../../../spec/facts.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
});

/// The form of a 400.
pub(super) static PROBLEM: LazyLock<Schema> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../spec/problem.json")).unwrap());

/// The form of every other error: that of a 400 without what it says about the input.
pub(super) static PLAIN_PROBLEM: LazyLock<Schema> = LazyLock::new(|| {
    let mut plain = PROBLEM.clone();
    plain.members.remove("invalid_parameters");
    plain
});

/// Finds an operation by its id.
pub(super) fn find(id: &str) -> Option<&'static Operation> {
    FACTS.iter().find(|operation| operation.id == id)
}

#[test]
fn the_facts_are_of_all_operations() {
    let count = |spec: &str| {
        FACTS
            .iter()
            .filter(|operation| operation.spec.starts_with(spec))
            .count()
    };
    assert_eq!(count("portal-management 3.9.8"), 111);
    assert_eq!(count("audit-logs 3."), 12);
    assert_eq!(count("audit-logs 2."), 11);
    assert_eq!(count("sdk-konnect-go 3."), 43);
    assert_eq!(FACTS.len(), 177);
    let ids: BTreeSet<&str> = FACTS
        .iter()
        .map(|operation| operation.id.as_str())
        .collect();
    assert_eq!(ids.len(), FACTS.len(), "an id is there twice");
    let seed = FACTS.iter().filter(|operation| operation.in_seed).count();
    assert_eq!(seed, 74);
    for operation in &*FACTS {
        // An image of an API is made or replaced by one operation, which says which.
        let count = 1 + usize::from(operation.id == "upsert-api-image");
        assert_eq!(operation.success.len(), count, "{}", operation.id);
    }
}
