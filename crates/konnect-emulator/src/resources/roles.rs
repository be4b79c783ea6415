//! The two roles a portal team can have, and their assignments.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    resource::Resource,
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/teams/{teamId}/assigned-roles", 200, Act::List(&ROLE)),
    op("POST",   "/v3/portals/{portalId}/teams/{teamId}/assigned-roles", 201, Act::Create(&ROLE)).also(&[409]),
    op("DELETE", "/v3/portals/{portalId}/teams/{teamId}/assigned-roles/{roleId}", 204, Act::Delete(&ROLE)),
    op("GET",    "/v3/portal-roles", 200, Act::Special(None, catalogue)),
];

pub(crate) static ROLE: Resource = Resource::new(Kind::Role, view)
    .create(&[
        Field::required("role_name", Rule::Choice(&["API Viewer", "API Consumer"])),
        Field::required("entity_id", Rule::Uuid),
        Field::required("entity_type_name", Rule::Choice(&["Services"])),
        Field::required(
            "entity_region",
            Rule::Choice(&["us", "eu", "au", "me", "in", "sg", "*"]),
        ),
    ])
    .before_create(before_create);

/// Shows an assignment, which has no times.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    json!({
        "id": row.id,
        "role_name": row.get("role_name"),
        "entity_id": row.get("entity_id"),
        "entity_type_name": row.get("entity_type_name"),
        "entity_region": row.get("entity_region"),
    })
}

/// The same role on the same entity twice is a conflict.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let team = call.last_id();
    if call
        .world
        .children(Kind::Role, Some(team))
        .any(|row| row.value == call.body)
    {
        return Err(Problem::conflict("Role is already assigned to the team"));
    }
    Ok(())
}

/// Lists the roles there are, in the words of the specification.
pub(crate) fn catalogue(_: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(json!({"services": {"name": "Services", "roles": {
        "apiviewer": {
            "name": "API Viewer",
            "description": "API Viewers have read-only access to the documentation of a service in a portal",
        },
        "apiconsumer": {
            "name": "API Consumer",
            "description": "API Consumers can make calls to the given service",
        },
    }}}))
}
