//! The pull API: the organisation's entries of the last seven days in a schema of their own, newest
//! first.

use std::cmp::Reverse;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    call::Call,
    clock::parse_time,
    entry::{Entry, Format},
    history::{Kept, RETENTION},
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    settings::{CursorForm, MAX_PAGE},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/audit-logs", 200, Act::Special(None, list)),
];

const DEFAULT_PAGE: usize = 20;

fn refuse(field: &str, rule: &'static str, reason: &str) -> Problem {
    Problem::invalid(vec![InvalidParameter::query(field, rule, reason)])
}

/// The place of an entry: its time in milliseconds, and its number among all entries.
type Place = (i64, u64);

fn place_of(kept: &Kept) -> Place {
    (kept.entry.at.timestamp_millis(), kept.number())
}

/// Where a page lies in the list, which goes from the newest to the oldest.
#[derive(Debug, Clone, Copy)]
enum Cursor {
    /// Right after this entry, towards the oldest.
    After(Place),
    /// Right before this entry, towards the newest.
    Before(Place),
}

impl Cursor {
    fn write(self) -> String {
        let (letter, (at, number)) = match self {
            Self::After(place) => ('a', place),
            Self::Before(place) => ('b', place),
        };
        URL_SAFE_NO_PAD.encode(format!("{letter}:{at}:{number}"))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (letter, place) = text.split_once(':')?;
        let (at, number) = place.split_once(':')?;
        let place = (at.parse().ok()?, number.parse().ok()?);
        match letter {
            "a" => Some(Self::After(place)),
            "b" => Some(Self::Before(place)),
            _ => None,
        }
    }

    /// Reads the cursor of a call, by the parameter that has one.
    fn of(call: &Call<'_>) -> Result<Option<Self>, Problem> {
        for name in ["page[after]", "page[before]", "cursor"] {
            let Some(text) = call.query.get(name).filter(|text| !text.is_empty()) else {
                continue;
            };
            let cursor = Self::read(text).filter(|cursor| match cursor {
                Self::After(_) => name != "page[before]",
                Self::Before(_) => name != "page[after]",
            });
            return cursor
                .map(Some)
                .ok_or_else(|| refuse(name, "invalid", "unknown cursor"));
        }
        Ok(None)
    }

    /// Writes the link to its page.
    fn link(self, call: &Call<'_>, size: usize) -> String {
        let cursor = self.write();
        let name = match self {
            Self::After(_) => "after",
            Self::Before(_) => "before",
        };
        let (path, filters) = (call.path, call.query.without_paging());
        match call.world.audit.pull.cursors {
            CursorForm::Path => {
                format!("{path}?page%5B{name}%5D={cursor}&page%5Bsize%5D={size}{filters}")
            }
            CursorForm::Url => {
                let host = call.host;
                format!("http://{host}{path}?page[{name}]={cursor}&page[size]={size}{filters}")
            }
            CursorForm::Cursor => cursor,
            CursorForm::Opaque => {
                format!("{path}?cursor={cursor}&page%5Bsize%5D={size}{filters}")
            }
        }
    }
}

/// From when to when, and of which type.
type Filters<'a> = (DateTime<Utc>, DateTime<Utc>, Option<&'a str>);

/// Reads the filters.
fn filters<'a>(call: &'a Call<'_>) -> Result<Filters<'a>, Problem> {
    const FROM: &str = "filter[ts][gte]";
    const TO: &str = "filter[ts][lte]";
    const TYPE: &str = "filter[type]";
    let unknown = call
        .query
        .names()
        .find(|name| name.starts_with("filter") && ![FROM, TO, TYPE].contains(name));
    if let Some(name) = unknown {
        let reason = format!("\"{name}\" is not allowed");
        return Err(refuse(name, "unknown_property", &reason));
    }
    let time = |name: &str| match call.query.get(name) {
        Some(text) => parse_time(text)
            .map(Some)
            .ok_or_else(|| refuse(name, "is_date_time", "must be a date-time")),
        None => Ok(None),
    };
    let oldest = call.now - RETENTION;
    let from = time(FROM)?.unwrap_or(oldest).max(oldest);
    let to = time(TO)?.unwrap_or(call.now);
    let kind = call.query.get(TYPE);
    if kind
        .is_some_and(|kind| !["authorization", "authentication", "gateway_access"].contains(&kind))
    {
        return Err(refuse(TYPE, "enum", "must be a type of entry"));
    }
    Ok((from, to, kind))
}

/// Lists a page. A cursor is the place of an entry, so that entries which come meanwhile move
/// nothing.
pub(crate) fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let (from, to, kind) = filters(call)?;
    let size = call.query.number("page[size]")?.unwrap_or(DEFAULT_PAGE);
    if size > MAX_PAGE {
        return Err(refuse("page[size]", "max", "must not exceed 1000"));
    }
    let size = size.min(call.world.audit.pull.max_page);
    let mut entries = call.world.audit.history.window(None, from, to);
    entries.retain(|kept| kind.is_none_or(|kind| kind == kept.entry.kind()));
    entries.sort_by_key(|kept| Reverse(place_of(kept)));
    let (start, end) = match Cursor::of(call)? {
        None => (0, size),
        Some(Cursor::After(place)) => {
            let start = entries.partition_point(|kept| place_of(kept) >= place);
            (start, start + size)
        }
        Some(Cursor::Before(place)) => {
            let end = entries.partition_point(|kept| place_of(kept) > place);
            (end.saturating_sub(size), end)
        }
    };
    let page = &entries[start..end.min(entries.len())];
    let next = page.last().filter(|_| end < entries.len());
    let previous = page.first().filter(|_| start > 0);
    let link = |cursor: Cursor| cursor.link(call, size);
    let next = next.map(|kept| link(Cursor::After(place_of(kept))));
    let previous = previous.map(|kept| link(Cursor::Before(place_of(kept))));
    let data: Vec<Value> = page.iter().map(|kept| view(call, &kept.entry)).collect();
    Ok(json!({"data": data, "meta": {"page": {"next": next, "previous": previous, "size": size}}}))
}

fn view(call: &Call<'_>, entry: &Entry) -> Value {
    let kind = entry.kind();
    let signed = entry.write(Format::Json, None);
    let mut shown = json!({
        "type": kind,
        "ts": entry.ts(),
        "org_id": entry.text("org_id"),
        "principal_id": entry.text("principal_id"),
        "client_ip": entry.text("src"),
        "trace_id": entry.text("trace_id"),
        "user_agent": entry.text("user_agent"),
        "uri": entry.text("request"),
        "signature": call.world.audit.keys.current().sign(signed.as_bytes()),
    });
    let word = |name: &str, prefix: &str| {
        entry
            .text(name)
            .strip_prefix(prefix)
            .unwrap_or_default()
            .to_lowercase()
    };
    match kind {
        "authentication" => {
            shown["successful"] = json!(entry.text("success") == "true");
            shown["outcome"] = json!(word("name", "AUTHENTICATION_OUTCOME_"));
            shown["authentication_type"] = json!(word("event_class_id", "AUTHENTICATION_TYPE_"));
        }
        "gateway_access" => {
            shown["actor_id"] = json!(entry.text("actor_id"));
            shown["method"] = json!(entry.text("act"));
            shown["query"] = json!(entry.text("query"));
            shown["status_code"] = json!(entry.text("status").parse::<u16>().unwrap_or_default());
        }
        _ => {
            let resource = entry.text("name");
            shown["service"] = json!(entry.text("event_class_id"));
            shown["resource"] = json!(resource.strip_prefix("Authz.").unwrap_or(&resource));
            shown["action"] = json!(entry.text("action"));
            shown["granted"] = json!(entry.text("granted") == "true");
            shown["actor_id"] = json!(entry.text("actor_id"));
        }
    }
    if let Some(portal) = entry.get("portal_id") {
        shown["portal_id"] = portal.clone();
    }
    shown
}
