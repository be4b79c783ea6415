//! The webhook of the organisation and of each portal: which destination, and whether it is on. The
//! first id of the path, if there is one, is the portal.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    resources::{destinations, members::ANY_TEXT},
    state::Kind,
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/audit-log-webhook", 200, Act::Special(None, get)),
    op("PATCH",  "/v3/portals/{portalId}/audit-log-webhook", 200, Act::Special(Some(WEBHOOK), update)),
    op("DELETE", "/v3/portals/{portalId}/audit-log-webhook", 204, Act::Special(None, delete)),
    op("GET",    "/v3/portals/{portalId}/audit-log-webhook/status", 200, Act::Special(None, status)),
    op("GET",    "/v3/audit-log-webhook", 200, Act::Special(None, get)),
    op("PATCH",  "/v3/audit-log-webhook", 200, Act::Special(Some(WEBHOOK), update)),
    op("DELETE", "/v3/audit-log-webhook", 204, Act::Special(None, delete)),
    op("GET",    "/v3/audit-log-webhook/status", 200, Act::Special(None, status)),
    op("GET",    "/v2/audit-log-webhook", 200, Act::Special(None, get_v2)),
    op("PATCH",  "/v2/audit-log-webhook", 200, Act::Special(Some(WEBHOOK_V2), update_v2)),
    // In no document, but with the newer one of the same name there it has an obvious meaning.
    op("DELETE", "/v2/audit-log-webhook", 204, Act::Special(None, delete)),
    op("GET",    "/v2/audit-log-webhook/status", 200, Act::Special(None, status)),
];

const WEBHOOK: &[Field] = &[
    Field::optional("audit_log_destination_id", ANY_TEXT).or_null(),
    Field::optional("enabled", Rule::Boolean),
];

/// What the older form may hold: the members of the destination, and the switch.
const WEBHOOK_V2: &[Field] = &[
    Field::optional(ENDPOINT, Rule::Url).or_left_out(),
    Field::optional("authorization", ANY_TEXT).or_left_out(),
    Field::optional("log_format", Rule::Choice(&["cef", "json", "cps"])),
    Field::optional("skip_ssl_verification", Rule::Boolean),
    Field::optional("enabled", Rule::Boolean),
];

const ENDPOINT: &str = "endpoint";

/// Shows a webhook. The organisation's requires a destination in its schema and is not found
/// without one; a portal's does not.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    let source = call.ids.first().copied();
    let stream = call.world.audit.stream(source);
    match stream.destination {
        Some(id) => Ok(json!({"audit_log_destination_id": id, "enabled": stream.enabled})),
        None if source.is_some() => Ok(json!({"enabled": false})),
        None => Err(Problem::not_found()),
    }
}

/// Changes destination, switch or both; to switch on needs a destination. Null takes the
/// destination of a portal's away, and switches off unless that is said: Kong's own Terraform
/// provider sends it. The organisation's must show a destination, so that no change goes without.
pub(crate) fn update(call: &mut Call<'_>) -> Result<Value, Problem> {
    const FIELD: &str = "audit_log_destination_id";
    let source = call.ids.first().copied();
    let mut destination = call.world.audit.stream(source).destination;
    if let Some(text) = call.text(FIELD) {
        let id = Uuid::try_parse(text).map_err(|_| {
            Problem::invalid_body(FIELD, "is_uuid", "destination id format is invalid")
        })?;
        if call.world.find(Kind::Destination, id).is_none() {
            let reason = "destination does not exist";
            return Err(Problem::invalid_body(FIELD, "missing_reference", reason));
        }
        destination = Some(id);
    }
    let mut enabled = call.body.get("enabled").and_then(Value::as_bool);
    if call.body.get(FIELD) == Some(&Value::Null) {
        destination = None;
        enabled = enabled.or(Some(false));
    }
    if destination.is_none() && (enabled == Some(true) || source.is_none()) {
        return Err(Problem::invalid_body(FIELD, "required", "cannot be blank"));
    }
    let stream = call.world.audit.stream(source);
    stream.destination = destination;
    stream.enabled = enabled.unwrap_or(stream.enabled);
    stream.is_paused = false;
    let mut shown = json!({"enabled": stream.enabled});
    if let Some(id) = destination {
        shown[FIELD] = json!(id);
    }
    Ok(shown)
}

/// Takes the destination away and switches off; without a destination there is nothing to find.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Value, Problem> {
    let stream = call.world.audit.stream(call.ids.first().copied());
    stream.enabled = false;
    stream
        .destination
        .take()
        .map(|_| Value::Null)
        .ok_or_else(Problem::not_found)
}

/// Shows how the latest attempt went.
pub(crate) fn status(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(call.world.audit.stream(call.ids.first().copied()).status())
}

/// Shows the organisation's webhook in the older form, which holds the destination's members
/// itself.
pub(crate) fn get_v2(call: &mut Call<'_>) -> Result<Value, Problem> {
    let stream = call.world.audit.stream(None);
    let (destination, enabled) = (stream.destination, stream.enabled);
    let row = destination.and_then(|id| call.world.find(Kind::Destination, id));
    let Some(row) = row else {
        return Ok(json!({"endpoint": "unconfigured", "enabled": false}));
    };
    let mut shown = row.show(&["endpoint", "log_format", "skip_ssl_verification"]);
    shown.retain(|name, _| name != "id" && name != "created_at");
    shown.insert("enabled".to_owned(), json!(enabled));
    Ok(Value::Object(shown))
}

/// Changes the organisation's webhook in the older form. What it says of the destination goes into
/// the one the webhook has; without one a destination is made of it, which needs an endpoint and an
/// authorization.
pub(crate) fn update_v2(call: &mut Call<'_>) -> Result<Value, Problem> {
    let mut members = std::mem::take(&mut call.body);
    let enabled = members.remove("enabled").map(|value| value == json!(true));
    let mut destination = call.world.audit.stream(None).destination;
    if destination.is_none() && (!members.is_empty() || enabled == Some(true)) {
        let blank = [ENDPOINT, "authorization"]
            .into_iter()
            .filter(|name| !members.contains_key(*name));
        let mistakes: Vec<_> = blank
            .map(|name| InvalidParameter::body(name, "required", "cannot be blank"))
            .collect();
        if !mistakes.is_empty() {
            return Err(Problem::invalid(mistakes));
        }
    }
    if !members.is_empty() {
        match destination {
            Some(id) => call.world.update(id, members, call.now),
            None => destination = Some(make_destination(call, members)?),
        }
    }
    let stream = call.world.audit.stream(None);
    stream.destination = destination;
    stream.enabled = enabled.unwrap_or(stream.enabled);
    stream.is_paused = false;
    get_v2(call)
}

fn make_destination(call: &mut Call<'_>, mut members: Map<String, Value>) -> Result<Uuid, Problem> {
    members.insert("name".to_owned(), json!("Audit log webhook"));
    call.body = members;
    destinations::before_create(call)?;
    let members = std::mem::take(&mut call.body);
    let now = call.now;
    Ok(call.world.insert(Kind::Destination, None, members, now))
}
