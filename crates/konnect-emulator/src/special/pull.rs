//! The pull API: the organisation's entries of the last seven days in a schema of their own, newest
//! first.

use serde_json::{Value, json};

use crate::{
    call::Call,
    entry::{Entry, Format},
    history::RETENTION,
    problem::{InvalidParameter, Problem},
    validate::parse_time,
};

const DEFAULT_PAGE: usize = 20;
const MAX_PAGE: usize = 1_000;

fn refuse(field: &str, rule: &'static str, reason: &str) -> Problem {
    Problem::invalid(vec![InvalidParameter::query(field, rule, reason)])
}

/// Lists a page. Cursors count from the newest entry at the time of the call, as paths to follow.
pub(crate) fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let time = |name: &str| match call.query.get(name) {
        Some(text) => parse_time(text)
            .map(Some)
            .ok_or_else(|| refuse(name, "is_date_time", "must be a date-time")),
        None => Ok(None),
    };
    let from = time("filter[ts][gte]")?.unwrap_or(call.now - RETENTION);
    let to = time("filter[ts][lte]")?.unwrap_or(call.now);
    let wanted = call.query.get("filter[type]");
    if wanted.is_some_and(|wanted| {
        !["authorization", "authentication", "gateway_access"].contains(&wanted)
    }) {
        return Err(refuse("filter[type]", "enum", "must be a type of entry"));
    }
    let size = call.query.number("page[size]")?.unwrap_or(DEFAULT_PAGE);
    if size > MAX_PAGE {
        return Err(refuse("page[size]", "max", "must not exceed 1000"));
    }
    let mut entries = call
        .world
        .audit
        .history
        .window(None, from.max(call.now - RETENTION), to);
    entries.retain(|kept| wanted.is_none_or(|wanted| wanted == kept.entry.kind()));
    entries.sort_by_key(|kept| std::cmp::Reverse(kept.entry.at));
    let position = |name: &str| {
        let cursor = call.query.get(name).filter(|cursor| !cursor.is_empty());
        cursor
            .map(|cursor| {
                cursor
                    .parse::<usize>()
                    .map_err(|_| refuse(name, "invalid", "unknown cursor"))
            })
            .transpose()
    };
    let start = match (position("page[after]")?, position("page[before]")?) {
        (Some(after), _) => after,
        (None, Some(before)) => before.saturating_sub(size),
        (None, None) => 0,
    };
    let start = start.min(entries.len());
    let end = entries.len().min(start + size);
    let filters = call.query.without_paging();
    let link = |name: &str, at: usize| {
        format!(
            "{}?page%5B{name}%5D={at}&page%5Bsize%5D={size}{filters}",
            call.path
        )
    };
    let next = (end < entries.len()).then(|| link("after", end));
    let previous = (start > 0).then(|| link("before", start));
    let data: Vec<Value> = entries[start..end]
        .iter()
        .map(|kept| view(call, &kept.entry))
        .collect();
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
