//! Mappings of an identity provider's groups to teams of its portal, one group and one team each.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, Param, op},
    problem::Problem,
    query::{Operators, Paging},
    resource::Resource,
    resources::members::{filter, member},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/identity-providers/{id}/team-group-mappings", 200, Act::List(&MAPPING)).by(BY_ID),
    op("POST",   "/v3/portals/{portalId}/identity-providers/{id}/team-group-mappings", 201, Act::Create(&MAPPING)).by(BY_ID).also(&[409]),
    op("GET",    "/v3/portals/{portalId}/identity-providers/{id}/team-group-mappings/{mappingId}", 200, Act::Get(&MAPPING)).by(BY_ID),
    op("DELETE", "/v3/portals/{portalId}/identity-providers/{id}/team-group-mappings/{mappingId}", 204, Act::Delete(&MAPPING)).by(BY_ID),
];

const BY_ID: &[(&str, Param)] = &[("id", Param::Row(Kind::IdentityProvider))];

static MAPPING: Resource = Resource::new(Kind::TeamGroupMapping, view)
    .create(&[
        Field::required("team_id", Rule::Uuid),
        Field::required(
            "group",
            Rule::Text {
                min: 0,
                max: usize::MAX,
            },
        ),
    ])
    .filters(&[
        filter("team_id", Operators::EqualsUuid, member!("team_id")),
        filter("group", Operators::Equals, member!("group")),
    ])
    .paging(Paging::CursorPage)
    .before_create(before_create);

/// Shows a mapping.
fn view(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&["team_id", "group"]))
}

/// Refuses a team that the portal does not have.
pub(crate) fn check_team(
    world: &World,
    portal: Uuid,
    team: Uuid,
    field: &str,
) -> Result<(), Problem> {
    let found = world.find(Kind::Team, team);
    if found.is_some_and(|row| row.parent == Some(portal)) {
        return Ok(());
    }
    let reason = format!("\"{field}\" is not a team of the portal");
    Err(Problem::invalid_body(field, "invalid", reason))
}

/// Refuses an unknown team, and the same mapping a second time.
fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let team = call.reference("team_id").unwrap_or_default();
    check_team(call.world, call.ids[0], team, "team_id")?;
    let mut others = call
        .world
        .children(Kind::TeamGroupMapping, Some(call.last_id()));
    if others.any(|row| row.value == call.body) {
        return Err(Problem::conflict("The group is already mapped to the team"));
    }
    Ok(())
}
