//! Lists in an order that is asked for, as far as it is needed: of a long list a page is shown.

use std::borrow::Cow;

use serde_json::json;

use crate::{
    problem::{InvalidParameter, Problem},
    read::{Read, as_text},
    state::{Row, World},
};

/// An attribute that a list can be sorted by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sort {
    pub(crate) name: &'static str,
    pub(crate) read: Read,
}

/// Puts as many rows in order as are needed: by `sort=name`, `sort=name asc` or `sort=name desc`.
/// The suffix is Konnect's general convention.
pub(crate) fn sort(
    world: &World,
    rows: &mut Vec<&Row>,
    needed: usize,
    text: Option<&str>,
    sorts: &[Sort],
) -> Result<(), Problem> {
    let Some(text) = text.filter(|text| !sorts.is_empty() && !text.is_empty()) else {
        return Ok(());
    };
    let (name, direction) = text.split_once(' ').unwrap_or((text, "asc"));
    let sort = sorts.iter().find(|sort| sort.name == name);
    let (Some(sort), "asc" | "desc") = (sort, direction) else {
        let choices: Vec<&str> = sorts.iter().map(|sort| sort.name).collect();
        let reason = format!("must be one of [{}]", choices.join(", "));
        let mistake =
            InvalidParameter::query("sort", "enum", reason).with("choices", json!(choices));
        return Err(Problem::invalid(vec![mistake]));
    };
    let descends = direction == "desc";
    match name {
        // As they are shown, without showing them all.
        "created_at" => put_in_order(rows, needed, descends, |row| {
            row.created_at.timestamp_millis()
        }),
        "updated_at" => put_in_order(rows, needed, descends, |row| {
            row.updated_at.timestamp_millis()
        }),
        _ => put_in_order(rows, needed, descends, |row| {
            match sort.read.of(world, row) {
                Cow::Borrowed(value) => as_text(value),
                Cow::Owned(value) => Cow::Owned(as_text(&value).into_owned()),
            }
        }),
    }
    Ok(())
}

/// Puts as many rows in order as are needed; the others follow in no order. Rows alike stay as they
/// were.
fn put_in_order<'a, K: Ord>(
    rows: &mut Vec<&'a Row>,
    needed: usize,
    descends: bool,
    key: impl Fn(&'a Row) -> K,
) {
    let mut keys: Vec<(K, usize, &Row)> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| (key(row), place, *row))
        .collect();
    let compare = |(one, at, _): &(K, usize, &Row), (other, there, _): &(K, usize, &Row)| {
        let order = if descends {
            other.cmp(one)
        } else {
            one.cmp(other)
        };
        order.then(at.cmp(there))
    };
    if needed < keys.len() {
        keys.select_nth_unstable_by(needed, compare);
        keys[..needed].sort_unstable_by(compare);
    } else {
        keys.sort_unstable_by(compare);
    }
    rows.clear();
    rows.extend(keys.into_iter().map(|(_, _, row)| row));
}
