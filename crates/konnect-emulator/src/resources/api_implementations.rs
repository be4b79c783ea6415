//! Implementations: the gateway services and control planes that an API is linked to. There is no
//! gateway here, so any id is taken.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    read::Read,
    resource::Resource,
    resources::members::{CREATED_AT, CREATED_WITHIN, UPDATED_AT, UPDATED_WITHIN, by, uuid_filter},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("POST",   "/v3/apis/{apiId}/implementations", 201, Act::Create(&IMPLEMENTATION)).also(&[409]).with_body(),
    op("GET",    "/v3/apis/{apiId}/implementations/{implementationId}", 200, Act::Get(&IMPLEMENTATION)),
    op("DELETE", "/v3/apis/{apiId}/implementations/{implementationId}", 204, Act::Delete(&IMPLEMENTATION)),
    op("GET",    "/v3/api-implementations", 200, Act::Special(None, list)),
];

const SERVICE: Rule = Rule::Object(&[
    Field::required("control_plane_id", Rule::Uuid),
    Field::required("id", Rule::Uuid),
    Field::read_only("auth_strategy_sync_error"),
]);
const CONTROL_PLANE: Rule = Rule::Object(&[
    Field::required("control_plane_id", Rule::Uuid),
    Field::read_only("access_control_enforcement_enabled"),
]);

static IMPLEMENTATION: Resource = Resource::new(Kind::ApiImplementation, view)
    .create(&[
        Field::optional("service", SERVICE),
        Field::optional("control_plane", CONTROL_PLANE),
        Field::read_only("id"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ])
    .before_create(before_create);

/// The implementations of the organisation.
static LISTED: Resource = Resource::new(Kind::ApiImplementation, listed_view)
    .filters(&[
        uuid_filter("id", Read::Made(|_, row| json!(row.id))),
        uuid_filter("api_id", Read::Made(|_, row| json!(row.parent))),
        uuid_filter("service_id", Read::Made(service_id)),
        uuid_filter("control_plane_id", Read::Made(control_plane_id)),
        CREATED_WITHIN,
        UPDATED_WITHIN,
    ])
    .sorts(&[
        by("id", Read::Made(|_, row| json!(row.id))),
        by("api_id", Read::Made(|_, row| json!(row.parent))),
        by("control_plane_id", Read::Made(control_plane_id)),
        by("service_id", Read::Made(service_id)),
        CREATED_AT,
        UPDATED_AT,
    ]);

fn service_id(_: &World, row: &Row) -> Value {
    row.get("service")["id"].clone()
}

fn control_plane_id(_: &World, row: &Row) -> Value {
    let member = if row.value.contains_key("service") {
        "service"
    } else {
        "control_plane"
    };
    row.get(member)["control_plane_id"].clone()
}

fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&[]);
    shown.extend(row.value.clone());
    Value::Object(shown)
}

fn listed_view(world: &World, row: &Row) -> Value {
    let mut shown = view(world, row);
    shown["api_id"] = json!(row.parent);
    shown
}

/// Says how an API is implemented, null while it is not.
pub(crate) fn mode(world: &World, api: &Row) -> Value {
    let mut rows = world.children(Kind::ApiImplementation, Some(api.id));
    rows.next().map_or(Value::Null, |row| {
        json!(if row.value.contains_key("service") {
            "gateway_entity_binding"
        } else {
            "access_control_enforcement"
        })
    })
}

/// Refuses what is neither of the two forms, or both, and what the API is linked to already.
fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let has = ["service", "control_plane"].map(|name| call.body.contains_key(name));
    match has {
        [false, false] => {
            let reason = "\"service\" or \"control_plane\" is required";
            return Err(Problem::invalid_body("service", "required", reason));
        }
        [true, true] => {
            let reason = "\"control_plane\" is not allowed beside \"service\"";
            return Err(Problem::invalid_body(
                "control_plane",
                "unknown_property",
                reason,
            ));
        }
        _ => {}
    }
    if let Some(Value::Object(service)) = call.body.get_mut("service") {
        service.insert("auth_strategy_sync_error".to_owned(), Value::Null);
    }
    if let Some(Value::Object(plane)) = call.body.get_mut("control_plane") {
        plane.insert("access_control_enforcement_enabled".to_owned(), json!(true));
    }
    let mut rows = call
        .world
        .children(Kind::ApiImplementation, Some(call.last_id()));
    if rows.any(|row| row.value == call.body) {
        return Err(Problem::conflict("The API is linked to this already"));
    }
    Ok(())
}

/// Lists all implementations in the order they were made.
fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let mut rows: Vec<&Row> = call.world.all(Kind::ApiImplementation).collect();
    rows.sort_by_key(|row| row.sequence);
    call.list(rows, &LISTED.listing)
}
