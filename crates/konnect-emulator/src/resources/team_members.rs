//! Who is in a team of a portal.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Listing, Paging},
    read::Read,
    resources::{
        developers,
        members::{boolean_filter, member, text_filter},
        teams,
    },
    state::Kind,
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/developers/{developerId}/teams", 200, Act::Special(None, list_of_developer)),
    op("GET",    "/v3/portals/{portalId}/teams/{teamId}/developers", 200, Act::Special(None, list_members)),
    op("POST",   "/v3/portals/{portalId}/teams/{teamId}/developers", 201, Act::Special(Some(MEMBER), add_member)).also(&[409]).dropping_unknown(),
    op("DELETE", "/v3/portals/{portalId}/teams/{teamId}/developers/{developerId}", 204, Act::Special(None, remove_member)),
];

const MEMBER: &[Field] = &[Field::required("id", Rule::Uuid)];

/// The members of a team are shown with `active` instead of their status.
static MEMBERS: Listing = Listing {
    filters: &[
        text_filter("email", member!("email")),
        text_filter("full_name", member!("full_name")),
        text_filter("attributes", member!("attributes")),
        boolean_filter(
            "active",
            Read::Made(|_, row| json!(row.text("status") == "approved")),
        ),
    ],
    sorts: &[],
    paging: Paging::Number,
    view: developers::basic_view,
};

/// The teams of a developer.
static TEAMS: Listing = Listing {
    filters: &[boolean_filter(
        "can_own_applications",
        member!("can_own_applications"),
    )],
    sorts: &[],
    paging: Paging::Number,
    view: teams::view,
};

/// Lists the developers of a team.
pub(crate) fn list_members(call: &mut Call<'_>) -> Result<Value, Problem> {
    call.list(call.world.members_of(call.last_id()), &MEMBERS)
}

/// Lists the teams of a developer.
pub(crate) fn list_of_developer(call: &mut Call<'_>) -> Result<Value, Problem> {
    call.list(call.world.teams_of(call.ids[0], call.last_id()), &TEAMS)
}

/// Adds a developer of the same portal. Twice is a conflict, and success has no body.
pub(crate) fn add_member(call: &mut Call<'_>) -> Result<Value, Problem> {
    let (portal, team) = (call.ids[0], call.last_id());
    let developer = call.reference("id").ok_or_else(Problem::not_found)?;
    let row = call.row(Kind::Developer, developer)?;
    if row.parent != Some(portal) {
        return Err(Problem::not_found());
    }
    if call.world.join(team, developer) {
        return Ok(Value::Null);
    }
    Err(Problem::conflict(
        "Developer is already a member of the team",
    ))
}

/// Removes a member; one who is none is not found.
pub(crate) fn remove_member(call: &mut Call<'_>) -> Result<Value, Problem> {
    if call.world.leave(call.ids[1], call.last_id()) {
        return Ok(Value::Null);
    }
    Err(Problem::not_found())
}
