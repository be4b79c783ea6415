//! The older form of the mappings of groups to teams: for each team the groups of the only identity
//! provider. It shows and changes the same mappings as the newer form.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Listing, Paging},
    resources::{group_mappings::check_team, identity_providers::only},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/identity-provider/team-group-mappings", 200, Act::Special(None, list)),
    op("PATCH",  "/v3/portals/{portalId}/identity-provider/team-group-mappings", 200, Act::Special(Some(CHANGE), update)),
];

const CHANGE: &[Field] = &[Field::optional(
    "data",
    Rule::List {
        item: &Rule::Object(&[
            Field::required("team_id", Rule::Uuid),
            Field::optional("groups", GROUPS),
        ]),
        min: 0,
        max: usize::MAX,
        unique: false,
    },
)];

const GROUPS: Rule = Rule::List {
    item: &Rule::Text {
        min: 0,
        max: usize::MAX,
    },
    min: 0,
    max: usize::MAX,
    unique: false,
};

/// The teams that have groups.
static TEAMS: Listing = Listing {
    filters: &[],
    sorts: &[],
    paging: Paging::Number,
    view,
};

fn view(world: &World, team: &Row) -> Value {
    let provider = only(world, team.parent.unwrap_or_default());
    let groups = provider.into_iter().flat_map(|provider| {
        world
            .children(Kind::TeamGroupMapping, Some(provider.id))
            .filter(|row| row.reference("team_id") == Some(team.id))
            .map(|row| row.get("group").clone())
    });
    json!({"team_id": team.id, "groups": groups.collect::<Vec<Value>>()})
}

fn provider(call: &Call<'_>) -> Result<Uuid, Problem> {
    only(call.world, call.ids[0])
        .map(|row| row.id)
        .ok_or_else(|| {
            let reason = "an identity provider must be configured first";
            Problem::invalid_body("identity_provider", "invalid", reason)
        })
}

/// Lists the groups of all teams that have some.
fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let provider = provider(call)?;
    let mapped: HashSet<Uuid> = call
        .world
        .children(Kind::TeamGroupMapping, Some(provider))
        .filter_map(|row| row.reference("team_id"))
        .collect();
    let teams = call.world.children(Kind::Team, Some(call.ids[0]));
    let teams = teams.filter(|team| mapped.contains(&team.id));
    call.list(teams.collect(), &TEAMS)
}

/// Replaces the groups of the teams that are named; a mapping that stays is the same one.
fn update(call: &mut Call<'_>) -> Result<Value, Problem> {
    let provider = provider(call)?;
    let data = call.body.get("data").and_then(Value::as_array);
    let mut changes: Vec<(Uuid, Vec<String>)> = Vec::new();
    for (index, item) in data.into_iter().flatten().enumerate() {
        let text = item["team_id"].as_str().unwrap_or_default();
        let team = Uuid::try_parse(text).unwrap_or_default();
        check_team(
            call.world,
            call.ids[0],
            team,
            &format!("data[{index}].team_id"),
        )?;
        // The official SDK leaves an empty list out.
        let groups = item["groups"].as_array().into_iter().flatten();
        let groups = groups.filter_map(Value::as_str).map(str::to_owned);
        changes.push((team, groups.collect()));
    }
    for (team, groups) in changes {
        replace(call, provider, team, groups);
    }
    list(call)
}

fn replace(call: &mut Call<'_>, provider: Uuid, team: Uuid, groups: Vec<String>) {
    let before: Vec<(Uuid, String)> = call
        .world
        .children(Kind::TeamGroupMapping, Some(provider))
        .filter(|row| row.reference("team_id") == Some(team))
        .map(|row| (row.id, row.text("group").to_owned()))
        .collect();
    let mut kept: HashSet<String> = HashSet::new();
    for (id, group) in before {
        if groups.contains(&group) {
            kept.insert(group);
        } else {
            call.world.remove(id);
        }
    }
    for group in groups {
        if kept.insert(group.clone()) {
            let mut value = Map::new();
            value.insert("team_id".to_owned(), json!(team));
            value.insert("group".to_owned(), json!(group));
            let (kind, now) = (Kind::TeamGroupMapping, call.now);
            call.world.insert(kind, Some(provider), value, now);
        }
    }
}
