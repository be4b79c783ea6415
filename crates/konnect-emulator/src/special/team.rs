//! Teams and who is in them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    problem::Problem,
    resources::{DEVELOPER_TEAMS, TEAM_MEMBERS},
    state::{Kind, Row, World},
};

/// Shows a team.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&["name", "description", "can_own_applications"]))
}

fn check_name(call: &Call<'_>, portal: Uuid, except: Option<Uuid>) -> Result<(), Problem> {
    let taken = call.text("name").is_some_and(|name| {
        call.world
            .children(Kind::Team, Some(portal))
            .any(|row| Some(row.id) != except && row.text("name") == name)
    });
    // No operation on teams declares a 409.
    if taken {
        return Err(Problem::invalid_body(
            "name",
            "invalid",
            "\"name\" is already in use",
        ));
    }
    Ok(())
}

/// Refuses a name in use and fills in defaults. The response requires a description; without one it
/// is empty.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    check_name(call, call.last_id(), None)?;
    call.fill("description", json!(""));
    call.fill("can_own_applications", json!(false));
    Ok(())
}

/// Refuses a name in use.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    check_name(call, call.ids[0], Some(call.last_id()))
}

/// The applications of a team end with it; its members stay.
pub(crate) fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    let (portal, team) = (call.ids[0], call.last_id());
    let owned: Vec<Uuid> = call
        .world
        .children(Kind::Application, Some(portal))
        .filter(|row| row.get("owner") == &json!({"type": "team", "id": team}))
        .map(|row| row.id)
        .collect();
    for application in owned {
        call.world.remove(application);
    }
    Ok(())
}

/// Lists the developers of a team.
pub(crate) fn list_members(call: &mut Call<'_>) -> Result<Value, Problem> {
    call.list(call.world.members_of(call.last_id()), &TEAM_MEMBERS)
}

/// Lists the teams of a developer.
pub(crate) fn list_of_developer(call: &mut Call<'_>) -> Result<Value, Problem> {
    call.list(
        call.world.teams_of(call.ids[0], call.last_id()),
        &DEVELOPER_TEAMS,
    )
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
