//! Publications: which API is seen in which portal, and how.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::timestamp,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Listing, Paging},
    read::Read,
    resources::members::{CREATED_AT, UPDATED_AT, by, text_filter, uuid_filter},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/apis/{apiId}/publications/{portalId}", 200, Act::Special(None, get)),
    op("PUT",    "/v3/apis/{apiId}/publications/{portalId}", 200, Act::Special(Some(PUBLICATION), publish)).with_body(),
    op("DELETE", "/v3/apis/{apiId}/publications/{portalId}", 204, Act::Special(None, unpublish)),
    op("GET",    "/v3/api-publications", 200, Act::Special(None, list)),
    op("GET",    "/v3/portals/{portalId}/api-publications", 200, Act::Special(None, list_of_portal)),
];

const PUBLICATION: &[Field] = &[
    Field::optional("auto_approve_registrations", Rule::Boolean),
    Field::optional("auth_strategy_ids", STRATEGIES).or_null(),
    Field::optional("visibility", Rule::Choice(&["public", "private"])),
    Field::read_only("warnings"),
    Field::read_only("created_at"),
    Field::read_only("updated_at"),
];
const STRATEGIES: Rule = Rule::List {
    item: &Rule::Uuid,
    min: 1,
    max: 1,
    unique: false,
};

/// The publications of the organisation.
static PUBLICATIONS: Listing = Listing {
    filters: &[
        uuid_filter("portal_id", Read::Made(portal_id)),
        text_filter("portal_name", Read::Made(portal_name)),
        uuid_filter("api_id", Read::Made(api_id)),
        text_filter("api_name", Read::Made(api_name)),
        uuid_filter(
            "auth_strategy_id",
            Read::Made(|_, row| row.get("auth_strategy_ids").clone()),
        ),
        text_filter("entity_type", Read::Made(|_, _| json!("api"))),
    ],
    sorts: &[
        by("portal_id", Read::Made(portal_id)),
        by("portal_name", Read::Made(portal_name)),
        by("api_id", Read::Made(api_id)),
        by("api_name", Read::Made(api_name)),
        CREATED_AT,
        UPDATED_AT,
    ],
    paging: Paging::Number,
    view: listed_view,
};

/// The publications of a portal.
static PORTAL_PUBLICATIONS: Listing = Listing {
    filters: &[
        uuid_filter("api_id", Read::Made(api_id)),
        text_filter("api_name", Read::Made(api_name)),
        uuid_filter(
            "auth_strategy_id",
            Read::Made(|_, row| row.get("auth_strategy_ids").clone()),
        ),
        text_filter("entity_type", Read::Made(|_, _| json!("api"))),
    ],
    sorts: &[
        by("api_id", Read::Made(api_id)),
        by("api_name", Read::Made(api_name)),
        CREATED_AT,
        UPDATED_AT,
    ],
    paging: Paging::Number,
    view: portal_view,
};

fn portal_id(_: &World, row: &Row) -> Value {
    row.get("portal_id").clone()
}

fn portal_name(world: &World, row: &Row) -> Value {
    let portal = row.reference("portal_id");
    let portal = portal.and_then(|id| world.find(Kind::Portal, id));
    portal
        .map(|portal| portal.get("name").clone())
        .unwrap_or_default()
}

fn api_id(_: &World, row: &Row) -> Value {
    json!(row.parent)
}

/// Returns the name of the API that a publication publishes.
pub(crate) fn api_name(world: &World, row: &Row) -> Value {
    api_of(world, row)
        .map(|api| api.get("name").clone())
        .unwrap_or_default()
}

/// Finds the API that a publication publishes.
pub(crate) fn api_of<'a>(world: &'a World, row: &Row) -> Option<&'a Row> {
    row.parent.and_then(|id| world.find(Kind::Api, id))
}

/// Finds the publication of an API in a portal.
pub(crate) fn publication(world: &World, api: Uuid, portal: Uuid) -> Option<&Row> {
    world
        .children(Kind::ApiPublication, Some(api))
        .find(|row| row.reference("portal_id") == Some(portal))
}

/// Returns whether a portal publishes anything.
pub(crate) fn publishes(world: &World, portal: Uuid) -> bool {
    world
        .all(Kind::ApiPublication)
        .any(|row| row.reference("portal_id") == Some(portal))
}

/// Shows a publication, which has no id of its own.
fn view(row: &Row) -> Value {
    json!({
        "auto_approve_registrations": row.get("auto_approve_registrations"),
        "auth_strategy_ids": row.get("auth_strategy_ids"),
        "visibility": row.get("visibility"),
        "warnings": [],
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
    })
}

fn listed_view(_: &World, row: &Row) -> Value {
    let mut shown = view(row);
    shown["api_id"] = json!(row.parent);
    shown["portal_id"] = row.get("portal_id").clone();
    shown["entity_type"] = json!("api");
    shown
}

fn portal_view(_: &World, row: &Row) -> Value {
    let mut shown = view(row);
    shown["api_id"] = json!(row.parent);
    shown["portal_ids"] = json!([row.get("portal_id")]);
    shown["entity_type"] = json!("api");
    shown
}

fn of_path<'a>(call: &'a Call<'_>) -> Result<&'a Row, Problem> {
    publication(call.world, call.ids[0], call.last_id()).ok_or_else(Problem::not_found)
}

/// Shows how the API of the path is published in the portal of the path.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(view(of_path(call)?))
}

/// Publishes an API, or publishes it otherwise. What is left out is as the portal has it.
pub(crate) fn publish(call: &mut Call<'_>) -> Result<Value, Problem> {
    let (api, portal) = (call.ids[0], call.last_id());
    let strategies = call.body.get("auth_strategy_ids").and_then(Value::as_array);
    let is_known = |id: &Value| {
        let id = id.as_str().and_then(|id| Uuid::try_parse(id).ok());
        id.is_some_and(|id| call.world.find(Kind::AuthStrategy, id).is_some())
    };
    if !strategies.into_iter().flatten().all(is_known) {
        return Err(Problem::invalid_body(
            "auth_strategy_ids[0]",
            "missing_reference",
            "this auth strategy does not exist",
        ));
    }
    let row = call.row(Kind::Portal, portal)?;
    let visibility = row.get("default_api_visibility").clone();
    let strategy = row.reference("default_application_auth_strategy_id");
    call.fill("visibility", visibility);
    call.fill("auth_strategy_ids", json!(strategy.map(|id| [id])));
    call.fill("auto_approve_registrations", json!(false));
    let mut body = std::mem::take(&mut call.body);
    body.insert("portal_id".to_owned(), json!(portal));
    if let Some(id) = publication(call.world, api, portal).map(|row| row.id) {
        call.world.replace(id, body, call.now);
    } else {
        call.world
            .insert(Kind::ApiPublication, Some(api), body, call.now);
    }
    get(call)
}

/// Takes an API out of a portal. What applications have asked for stays.
pub(crate) fn unpublish(call: &mut Call<'_>) -> Result<Value, Problem> {
    let id = of_path(call)?.id;
    call.world.remove(id);
    Ok(Value::Null)
}

/// Lists all publications in the order they were made.
pub(crate) fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let mut rows: Vec<&Row> = call.world.all(Kind::ApiPublication).collect();
    rows.sort_by_key(|row| row.sequence);
    call.list(rows, &PUBLICATIONS)
}

/// Lists the publications of a portal in the order they were made.
fn list_of_portal(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.last_id();
    let all = call.world.all(Kind::ApiPublication);
    let mut rows: Vec<&Row> = all
        .filter(|row| row.reference("portal_id") == Some(portal))
        .collect();
    rows.sort_by_key(|row| row.sequence);
    call.list(rows, &PORTAL_PUBLICATIONS)
}
