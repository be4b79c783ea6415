//! Attributes: which keys and values the APIs of the organisation have. They are counted when they
//! are asked for, not kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Listing, Operators, Paging},
    read::Read,
    resources::members::{
        CREATED_AT, CREATED_WITHIN, UPDATED_AT, UPDATED_WITHIN, by, filter, member, uuid_filter,
    },
    state::{Kind, Row},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/api-attributes", 200, Act::Special(None, list)),
];

static ATTRIBUTES: Listing = Listing {
    filters: &[
        uuid_filter("id", Read::Made(|_, row| json!(row.id))),
        filter("key", Operators::Exact, member!("key")),
        CREATED_WITHIN,
        UPDATED_WITHIN,
    ],
    sorts: &[
        by("id", Read::Made(|_, row| json!(row.id))),
        by("key", member!("key")),
        CREATED_AT,
        UPDATED_AT,
    ],
    paging: Paging::Number,
    view: |_, row| Value::Object(row.show(&["key", "values"])),
};

/// Makes the id of an attribute, which is the same whenever it is asked for.
fn id_of(key: &str) -> Uuid {
    // FNV-1a of 128 bits.
    let hash = key
        .bytes()
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
        });
    uuid::Builder::from_u128(hash)
        .with_version(uuid::Version::Random)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

/// Lists the attributes by their keys, each with its values and of how many APIs they are.
fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let mut found: BTreeMap<&str, (Row, BTreeMap<&str, u64>)> = BTreeMap::new();
    for api in call.world.children(Kind::Api, None) {
        for (key, values) in api.get("attributes").as_object().into_iter().flatten() {
            let (row, counts) = found.entry(key).or_insert_with(|| {
                let mut row = Row::unkept(Kind::Api, None, Map::new(), api.created_at);
                row.id = id_of(key);
                (row, BTreeMap::new())
            });
            row.updated_at = row.updated_at.max(api.updated_at);
            let values = values.as_array().into_iter().flatten();
            let once: BTreeSet<&str> = values.filter_map(Value::as_str).collect();
            for value in once {
                *counts.entry(value).or_default() += 1;
            }
        }
    }
    let rows: Vec<Row> = found
        .into_iter()
        .map(|(key, (mut row, counts))| {
            let values: Vec<Value> = counts
                .iter()
                .map(|(value, count)| json!({"value": value, "api_count": count}))
                .collect();
            row.value.insert("key".to_owned(), json!(key));
            row.value.insert("values".to_owned(), json!(values));
            row
        })
        .collect();
    call.list(rows.iter().collect(), &ATTRIBUTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_its_key_alone() {
        let ids = ["owner", "team"].map(id_of);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0], id_of("owner"));
        assert_eq!(ids[0].get_version_num(), 4);
    }
}
