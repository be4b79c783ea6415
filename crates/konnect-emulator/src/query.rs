//! Lists as Konnect serves them: deepObject filters, sorting, and the two ways of paging. It works
//! on rows it is given and on the declarations of a noun.

use std::cmp::Ordering;

use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    clock::parse_time,
    problem::{InvalidParameter, Problem},
    read::{Read, as_text},
    sorting::{Sort, sort},
    state::{Kind, Row, World},
};

/// Konnect documents neither a default nor a maximum for page numbers; its examples and clients use
/// ten.
const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 1_000;

/// Which operators a filter takes, named after the schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operators {
    /// `StringFieldFilter`.
    Text,
    /// `UuidFieldFilter`: an object only, no bare value.
    Uuid,
    /// `UuidFieldFilter` of what is no id.
    Exact,
    /// `BooleanFieldFilter`: a bare value only.
    Boolean,
    /// `LegacyStringFieldFilter`.
    Legacy,
    /// `DateTimeFieldFilter`.
    DateTime,
    /// `StringFieldEqualsFilter`.
    Equals,
    /// `StringFieldEqualsFilter` of an id.
    EqualsUuid,
    /// `LabelsFieldFilter` and `AttributesFieldFilter`: texts of an object, by the key after a dot.
    Keyed,
}

/// A filter of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) operators: Operators,
    pub(crate) read: Read,
}

/// How a list is paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// `page[number]` with `meta.page`.
    Number,
    /// `page[after]` with the cursor object itself as `meta`.
    Cursor,
    /// `page[after]` with the cursor object as `meta.page`.
    CursorPage,
    /// All at once, without `meta`.
    Whole,
}

/// Everything that a list operation declares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    pub(crate) filters: &'static [Filter],
    pub(crate) sorts: &'static [Sort],
    pub(crate) paging: Paging,
    pub(crate) view: fn(&World, &Row) -> Value,
}

/// The query string, decoded, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query string.
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// Makes a query without parameters.
    pub(crate) const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Returns the first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the names of all parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Returns all parameters as one flat JSON object.
    pub(crate) fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect()
    }

    /// Prints the parameters that are not about paging, each after an `&`, to go on in links.
    pub(crate) fn without_paging(&self) -> String {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        let is_paging = |key: &str| key.starts_with("page[") || key == "cursor";
        for (key, value) in self.0.iter().filter(|(key, _)| !is_paging(key)) {
            serializer.append_pair(key, value);
        }
        let printed = serializer.finish();
        if printed.is_empty() {
            printed
        } else {
            format!("&{printed}")
        }
    }

    /// Returns a whole number of at least one. The specifications set no minimum and allow an empty
    /// value: what is less than one, or empty, counts as left out.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        if text.is_empty() {
            return Ok(None);
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(usize::try_from(number).ok().filter(|number| *number > 0));
        }
        let reason = format!("\"{name}\" must be a number");
        let mistake = InvalidParameter::query(name, "is_number", reason);
        Err(Problem::invalid(vec![mistake]))
    }
}

/// What a list is made of, in creation order.
#[derive(Debug)]
pub(crate) enum Rows<'a> {
    /// All of a kind below a parent.
    Children(Kind, Option<Uuid>),
    /// Some that the caller has chosen.
    Given(Vec<&'a Row>),
}

/// Filters, sorts, pages and shows rows.
pub(crate) fn list(
    world: &World,
    rows: Rows<'_>,
    query: &Query,
    listing: &Listing,
    path: &str,
) -> Result<Value, Problem> {
    let rows = match rows {
        Rows::Children(kind, parent) if is_as_made(world, kind, parent, query, listing) => {
            let (number, size) = page(query)?;
            let start = size.saturating_mul(number - 1);
            let (rows, total) = world.page(kind, parent, start, size);
            return Ok(numbered(world, &rows, listing, [number, size, total]));
        }
        Rows::Children(kind, parent) => candidates(world, kind, parent, query),
        Rows::Given(rows) => rows,
    };
    let mut rows = filter(world, rows, query, listing.filters)?;
    let needed = match listing.paging {
        Paging::Number => page(query).map(|(number, size)| size.saturating_mul(number))?,
        _ => rows.len(),
    };
    sort(world, &mut rows, needed, query.get("sort"), listing.sorts)?;
    match listing.paging {
        Paging::Number => page_by_number(world, &rows, query, listing),
        Paging::Cursor => {
            let (data, cursor) = page_by_cursor(world, &rows, query, listing, path)?;
            Ok(json!({"data": data, "meta": cursor}))
        }
        Paging::CursorPage => {
            let (data, cursor) = page_by_cursor(world, &rows, query, listing, path)?;
            Ok(json!({"data": data, "meta": {"page": cursor}}))
        }
        Paging::Whole => {
            let shown = rows.iter().map(|row| (listing.view)(world, row));
            Ok(json!({"data": shown.collect::<Vec<Value>>()}))
        }
    }
}

/// Returns whether a list is all of its rows as they were made, so that no more than a page of it
/// must be looked at. Clients that read whole lists ask for this.
fn is_as_made(
    world: &World,
    kind: Kind,
    parent: Option<Uuid>,
    query: &Query,
    listing: &Listing,
) -> bool {
    let has_filter = query.names().any(|name| name.starts_with("filter["));
    let is_sorted = match query.get("sort") {
        None | Some("") => true,
        Some("created_at" | "created_at asc") => {
            let has_sort = listing.sorts.iter().any(|sort| sort.name == "created_at");
            has_sort && world.is_by_time(kind, parent)
        }
        Some(_) => listing.sorts.is_empty(),
    };
    listing.paging == Paging::Number && !has_filter && is_sorted
}

/// Lists the rows that can be in a list: all of them, or the one developer who has the address that
/// is asked for. Filters decide.
fn candidates<'a>(
    world: &'a World,
    kind: Kind,
    parent: Option<Uuid>,
    query: &Query,
) -> Vec<&'a Row> {
    let address = query.get("filter[email]");
    let address = address.or_else(|| query.get("filter[email][eq]"));
    match (kind, parent, address) {
        (Kind::Developer, Some(portal), Some(address)) => {
            let found = world.find_by_email(portal, address);
            found
                .and_then(|id| world.find(kind, id))
                .into_iter()
                .collect()
        }
        _ => world.children(kind, parent).collect(),
    }
}

fn filter<'a>(
    world: &World,
    mut rows: Vec<&'a Row>,
    query: &Query,
    filters: &[Filter],
) -> Result<Vec<&'a Row>, Problem> {
    for (key, wanted) in &query.0 {
        let Some((name, operator)) = split_filter(key) else {
            continue;
        };
        let (member, part) = match name.split_once('.') {
            Some((member, part)) => (member, Some(part)),
            None => (name, None),
        };
        let found = filters.iter().find(|filter| {
            filter.name == member && (part.is_none() || filter.operators == Operators::Keyed)
        });
        let Some(filter) = found else {
            return Err(refused(&format!("filter[{name}]"), "unknown_property"));
        };
        let matches = matcher(filter.operators, operator, wanted)
            .ok_or_else(|| refused(key, "unknown_property"))?
            .map_err(|rule| refused(key, rule))?;
        rows.retain(|row| {
            let value = filter.read.of(world, row);
            let value = match part {
                Some(part) => value.get(part).unwrap_or(&Value::Null),
                None => &*value,
            };
            match value {
                // Of several values all differ, or one fits.
                Value::Array(items) if operator == Some("neq") => items.iter().all(&matches),
                Value::Array(items) => items.iter().any(&matches),
                value => matches(value),
            }
        });
    }
    Ok(rows)
}

fn refused(field: &str, rule: &'static str) -> Problem {
    let reason = match rule {
        "is_uuid" => format!("\"{field}\" must be a valid UUID"),
        "is_boolean" => format!("value of \"{field}\" must be true or false"),
        "is_date_time" => format!("\"{field}\" must be a valid RFC 3339 date-time"),
        "is_object" => format!("\"{field}\" must be an object"),
        _ => format!("\"{field}\" is not allowed"),
    };
    Problem::invalid(vec![InvalidParameter::query(field, rule, reason)])
}

/// Splits `filter[name][operator]`; the operator is `None` in the bare form.
fn split_filter(key: &str) -> Option<(&str, Option<&str>)> {
    let inner = key.strip_prefix("filter[")?.strip_suffix(']')?;
    Some(match inner.split_once("][") {
        Some((name, operator)) => (name, Some(operator)),
        None => (inner, None),
    })
}

type Matcher = Box<dyn Fn(&Value) -> bool>;

/// Makes the test of a filter: `None` for an operator that the schema does not have, an error rule
/// for a bad value.
fn matcher(
    operators: Operators,
    operator: Option<&str>,
    wanted: &str,
) -> Option<Result<Matcher, &'static str>> {
    let is_id = matches!(operators, Operators::Uuid | Operators::EqualsUuid);
    // An id can be written in more than one way; rows have it in one.
    let written = |text: &str| match Uuid::try_parse(text) {
        Ok(id) if is_id => id.to_string(),
        _ => text.to_owned(),
    };
    let texts: Vec<String> = wanted.split(',').map(written).collect();
    let wanted = written(wanted);
    let allowed: &[&str] = match operators {
        Operators::Text | Operators::Keyed => &["eq", "contains", "ocontains", "oeq", "neq"],
        Operators::Uuid | Operators::Exact => &["eq", "oeq", "neq"],
        Operators::Legacy => &["eq", "contains"],
        Operators::DateTime => &["eq", "lt", "lte", "gt", "gte"],
        Operators::Equals | Operators::EqualsUuid => &["eq"],
        Operators::Boolean => &[],
    };
    if operator.is_some_and(|operator| !allowed.contains(&operator)) {
        return None;
    }
    if operators == Operators::DateTime {
        return Some(time_matcher(operator.unwrap_or("eq"), &wanted));
    }
    match operators {
        Operators::Uuid | Operators::Exact if operator.is_none() => return Some(Err("is_object")),
        Operators::EqualsUuid if Uuid::try_parse(&wanted).is_err() => return Some(Err("is_uuid")),
        Operators::Uuid if texts.iter().any(|text| Uuid::try_parse(text).is_err()) => {
            return Some(Err("is_uuid"));
        }
        Operators::Boolean if !matches!(wanted.as_str(), "true" | "false") => {
            return Some(Err("is_boolean"));
        }
        _ => {}
    }
    Some(Ok(match operator.unwrap_or("eq") {
        "contains" => Box::new(move |value| as_text(value).contains(&wanted)),
        "ocontains" => Box::new(move |value| {
            texts
                .iter()
                .any(|text| as_text(value).contains(text.as_str()))
        }),
        "oeq" => Box::new(move |value| texts.iter().any(|text| as_text(value) == *text)),
        "neq" => Box::new(move |value| as_text(value) != wanted),
        _ => Box::new(move |value| as_text(value) == wanted),
    }))
}

fn time_matcher(operator: &str, wanted: &str) -> Result<Matcher, &'static str> {
    let wanted = parse_time(wanted).ok_or("is_date_time")?;
    let holds: fn(Ordering) -> bool = match operator {
        "lt" => Ordering::is_lt,
        "lte" => Ordering::is_le,
        "gt" => Ordering::is_gt,
        "gte" => Ordering::is_ge,
        _ => Ordering::is_eq,
    };
    Ok(Box::new(move |value| {
        let at = value.as_str().and_then(parse_time);
        at.is_some_and(|at| holds(at.cmp(&wanted)))
    }))
}

/// Returns the number and the size of the page that is asked for.
fn page(query: &Query) -> Result<(usize, usize), Problem> {
    let size = query.number("page[size]")?.unwrap_or(DEFAULT_PAGE);
    let number = query.number("page[number]")?.unwrap_or(1);
    Ok((number, size.min(MAX_PAGE)))
}

fn page_by_number(
    world: &World,
    rows: &[&Row],
    query: &Query,
    listing: &Listing,
) -> Result<Value, Problem> {
    let (number, size) = page(query)?;
    let start = size.saturating_mul(number - 1).min(rows.len());
    let end = rows.len().min(start + size);
    let total = rows.len();
    Ok(numbered(
        world,
        &rows[start..end],
        listing,
        [number, size, total],
    ))
}

fn numbered(
    world: &World,
    page: &[&Row],
    listing: &Listing,
    [number, size, total]: [usize; 3],
) -> Value {
    let data = page.iter().map(|row| (listing.view)(world, row));
    json!({
        "data": data.collect::<Vec<Value>>(),
        "meta": {"page": {"number": number, "size": size, "total": total}},
    })
}

/// Pages by the place of a row in creation order, which such lists are in: they have no sorts, and
/// a cursor stays good when its row goes. `next` and `previous` are paths, as the specification
/// types them.
fn page_by_cursor(
    world: &World,
    rows: &[&Row],
    query: &Query,
    listing: &Listing,
    path: &str,
) -> Result<(Vec<Value>, Value), Problem> {
    let size = query
        .number("page[size]")?
        .unwrap_or(DEFAULT_PAGE)
        .min(MAX_PAGE);
    let cursor = |name: &str| -> Result<Option<u64>, Problem> {
        let Some(cursor) = query.get(name).filter(|cursor| !cursor.is_empty()) else {
            return Ok(None);
        };
        u64::from_str_radix(cursor, 16).map(Some).map_err(|_| {
            let reason = format!("\"{name}\" is not a valid cursor");
            Problem::invalid(vec![InvalidParameter::query(name, "invalid", reason)])
        })
    };
    let (start, end) = match (cursor("page[after]")?, cursor("page[before]")?) {
        (Some(after), _) => {
            let start = rows.partition_point(|row| row.sequence <= after);
            (start, start + size)
        }
        (None, Some(before)) => {
            let end = rows.partition_point(|row| row.sequence < before);
            (end.saturating_sub(size), end)
        }
        (None, None) => (0, size),
    };
    let end = end.min(rows.len());
    let filters = query.without_paging();
    let link = |name: &str, index: usize| {
        format!(
            "{path}?page%5B{name}%5D={:016x}&page%5Bsize%5D={size}{filters}",
            rows[index].sequence
        )
    };
    let next = (end < rows.len() && end > start).then(|| link("after", end - 1));
    let previous = (start > 0 && start < rows.len()).then(|| link("before", start));
    let data: Vec<Value> = rows[start..end]
        .iter()
        .map(|row| (listing.view)(world, row))
        .collect();
    let cursor = json!({"next": next, "previous": previous, "size": size});
    Ok((data, cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applies_the_operators_of_each_schema() {
        let cases = [
            (Operators::Text, None, "ann", "ann", Some(Ok(true))),
            (
                Operators::Text,
                Some("contains"),
                "nn",
                "ann",
                Some(Ok(true)),
            ),
            (
                Operators::Text,
                Some("oeq"),
                "bob,ann",
                "ann",
                Some(Ok(true)),
            ),
            (
                Operators::Text,
                Some("ocontains"),
                "x,an",
                "ann",
                Some(Ok(true)),
            ),
            (Operators::Text, Some("neq"), "ann", "ann", Some(Ok(false))),
            (Operators::Text, Some("gte"), "ann", "ann", None),
            (Operators::Legacy, Some("neq"), "ann", "ann", None),
            (
                Operators::Uuid,
                None,
                "00000000-0000-0000-0000-000000000000",
                "",
                Some(Err("is_object")),
            ),
            (
                Operators::Uuid,
                Some("eq"),
                "zero",
                "",
                Some(Err("is_uuid")),
            ),
            (
                Operators::Uuid,
                Some("oeq"),
                "ABCDEF00-0000-4000-8000-000000000000",
                "abcdef00-0000-4000-8000-000000000000",
                Some(Ok(true)),
            ),
            (Operators::Boolean, Some("eq"), "true", "", None),
            (
                Operators::DateTime,
                Some("gte"),
                "2026-01-01T00:00:00Z",
                "2026-01-01T01:00:00.5+01:00",
                Some(Ok(true)),
            ),
            (
                Operators::DateTime,
                Some("lt"),
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:00:00Z",
                Some(Ok(false)),
            ),
            (
                Operators::DateTime,
                None,
                "today",
                "",
                Some(Err("is_date_time")),
            ),
            (Operators::Boolean, None, "yes", "", Some(Err("is_boolean"))),
        ];
        for (operators, operator, wanted, value, expected) in cases {
            let outcome = matcher(operators, operator, wanted)
                .map(|made| made.map(|matches| matches(&json!(value))));
            assert_eq!(outcome, expected, "{operators:?} {operator:?} {wanted}");
        }
    }

    #[test]
    fn filters_by_a_key_and_by_each_of_several_values() {
        let mut world = World::new();
        let values = json!({"labels": {"env": "test"}, "ids": ["a", "b"]});
        let value = values.as_object().cloned().unwrap();
        let now = crate::clock::Clock::system_now();
        let id = world.insert(crate::state::Kind::Api, None, value, now);
        let filters = [
            Filter {
                name: "labels",
                operators: Operators::Keyed,
                read: Read::Member("labels"),
            },
            Filter {
                name: "ids",
                operators: Operators::Text,
                read: Read::Member("ids"),
            },
        ];
        for (query, found) in [
            ("filter[labels.env]=test", Some(1)),
            ("filter[labels.env][oeq]=dev,test", Some(1)),
            ("filter[labels.env][neq]=test", Some(0)),
            ("filter[labels.owner]=ann", Some(0)),
            ("filter[labels.owner][neq]=ann", Some(1)),
            ("filter[ids]=b", Some(1)),
            ("filter[ids][neq]=b", Some(0)),
            ("filter[ids][neq]=c", Some(1)),
            ("filter[ids.a]=b", None),
            ("filter[names.a]=b", None),
        ] {
            let rows = world.any(id).into_iter().collect();
            let rows = filter(&world, rows, &Query::parse(query), &filters);
            assert_eq!(rows.ok().map(|rows| rows.len()), found, "{query}");
        }
    }

    #[test]
    fn pages_of_a_sorted_list_are_parts_of_the_whole() {
        let now = crate::clock::Clock::system_now();
        let mut world = World::new();
        let words = ["b", "a", "c", "a", "", "b", "a", "d", "c"];
        for word in words {
            let value = json!({"word": word}).as_object().cloned().unwrap();
            world.insert(Kind::Destination, None, value, now);
        }
        let listing = Listing {
            filters: &[],
            sorts: &[Sort {
                name: "word",
                read: Read::Member("word"),
            }],
            paging: Paging::Number,
            view: |_, row| json!([row.text("word"), row.sequence]),
        };
        let mut upwards: Vec<_> = words.into_iter().zip(1..).collect();
        upwards.sort_unstable();
        let mut downwards = upwards.clone();
        // Those alike stay in the order in which they were made.
        downwards.sort_by(|(one, _), (other, _)| other.cmp(one));
        for (sort, whole) in [("word", upwards), ("word%20desc", downwards)] {
            for size in 1..=words.len() + 1 {
                let mut seen = Vec::new();
                for number in 1..=words.len().div_ceil(size) + 1 {
                    let query = format!("sort={sort}&page[size]={size}&page[number]={number}");
                    let rows = Rows::Children(Kind::Destination, None);
                    let page = list(&world, rows, &Query::parse(&query), &listing, "").unwrap();
                    seen.extend(page["data"].as_array().cloned().unwrap());
                }
                assert_eq!(json!(seen), json!(whole), "{sort} {size}");
            }
        }
    }

    #[test]
    fn an_address_is_looked_up_as_a_filter_would_find_it() {
        let now = crate::clock::Clock::system_now();
        let mut world = World::new();
        let mut portals = Vec::new();
        for emails in [
            ["Ann@x.example", "bob@x.example"],
            ["ann@x.example", "c@x.example"],
        ] {
            let portal = world.insert(Kind::Portal, None, serde_json::Map::new(), now);
            for email in emails {
                let value = json!({"email": email}).as_object().cloned().unwrap();
                world.insert(Kind::Developer, Some(portal), value, now);
            }
            portals.push(portal);
        }
        let listing = Listing {
            filters: &[Filter {
                name: "email",
                operators: Operators::Text,
                read: Read::Member("email"),
            }],
            sorts: &[],
            paging: Paging::Number,
            view: |_, row| row.get("email").clone(),
        };
        for (query, found) in [
            ("filter[email]=Ann@x.example", Ok(json!(["Ann@x.example"]))),
            (
                "filter[email][eq]=Ann@x.example",
                Ok(json!(["Ann@x.example"])),
            ),
            ("filter[email]=ann@x.example", Ok(json!([]))),
            ("filter[email]=c@x.example", Ok(json!([]))),
            (
                "filter[email]=Ann@x.example&filter[email][neq]=Ann@x.example",
                Ok(json!([])),
            ),
            (
                "filter[email]=Ann@x.example&filter[email][eq]=bob@x.example",
                Ok(json!([])),
            ),
            (
                "filter[email][oeq]=Ann@x.example,x",
                Ok(json!(["Ann@x.example"])),
            ),
            ("filter[email]=Ann@x.example&filter[age]=1", Err(400)),
        ] {
            let rows = Rows::Children(Kind::Developer, Some(portals[0]));
            let page = list(&world, rows, &Query::parse(query), &listing, "");
            let page = page.map(|mut page| page["data"].take());
            assert_eq!(page.map_err(|problem| problem.status), found, "{query}");
        }
    }

    #[test]
    fn splits_both_forms_of_a_filter() {
        assert_eq!(split_filter("filter[name]"), Some(("name", None)));
        assert_eq!(split_filter("filter[name][eq]"), Some(("name", Some("eq"))));
        assert_eq!(split_filter("page[size]"), None);
    }

    #[test]
    fn a_cursor_stays_good_when_its_row_goes() {
        let now = crate::clock::Clock::system_now();
        let mut world = World::new();
        let mut add = || world.insert(Kind::Destination, None, serde_json::Map::new(), now);
        let ids: Vec<Uuid> = (0..5).map(|_| add()).collect();
        let listing = Listing {
            filters: &[],
            sorts: &[],
            paging: Paging::Cursor,
            view: |_, row| json!(row.id),
        };
        let page = |world: &World, link: &str| {
            let query = Query::parse(link.trim_start_matches('?'));
            let rows = Rows::Children(Kind::Destination, None);
            list(world, rows, &query, &listing, "").unwrap()
        };
        let link = |page: &Value, name: &str| page["meta"][name].as_str().unwrap().to_owned();
        let first = page(&world, "?page[size]=2");
        assert_eq!(first["data"], json!(ids[..2]));
        assert_eq!(first["meta"]["previous"], Value::Null);
        world.remove(ids[1]);
        let second = page(&world, &link(&first, "next"));
        assert_eq!(second["data"], json!(ids[2..4]));
        world.remove(ids[2]);
        let before = page(&world, &link(&second, "previous"));
        assert_eq!(
            before["data"],
            json!(ids[..1]),
            "nothing that comes after it"
        );
        let last = page(&world, &link(&second, "next"));
        assert_eq!(last["data"], json!(ids[4..]));
        assert_eq!(last["meta"]["next"], Value::Null);
    }
}
