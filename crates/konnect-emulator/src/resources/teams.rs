//! Teams of a portal.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    resource::Resource,
    resources::members::{boolean_filter, member, text_filter},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/teams", 200, Act::List(&TEAM)),
    op("POST",   "/v3/portals/{portalId}/teams", 201, Act::Create(&TEAM)),
    op("GET",    "/v3/portals/{portalId}/teams/{teamId}", 200, Act::Get(&TEAM)),
    op("PATCH",  "/v3/portals/{portalId}/teams/{teamId}", 200, Act::Update(&TEAM)),
    op("DELETE", "/v3/portals/{portalId}/teams/{teamId}", 204, Act::Delete(&TEAM)),
];

const TEXT: Rule = Rule::Text { min: 1, max: 250 };

/// Kong's own Terraform provider sends null for a team without a description; the schema does not
/// say so.
const DESCRIPTION: Field = Field::optional("description", TEXT).or_null();

pub(crate) static TEAM: Resource = Resource::new(Kind::Team, view)
    .create(&[
        Field::required("name", TEXT),
        DESCRIPTION,
        Field::optional("can_own_applications", Rule::Boolean),
    ])
    .update(&[
        Field::optional("name", TEXT),
        DESCRIPTION,
        Field::optional("can_own_applications", Rule::Boolean),
    ])
    .filters(&[
        text_filter("name", member!("name")),
        boolean_filter("can_own_applications", member!("can_own_applications")),
    ])
    .before_create(before_create)
    .before_update(before_update);

/// Shows a team. The answer requires a description of at least one character: a team without one
/// shows its name there.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["name", "description", "can_own_applications"]);
    if row.text("description").is_empty() {
        shown.insert("description".to_owned(), row.get("name").clone());
    }
    Value::Object(shown)
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

/// Refuses a name in use and fills in defaults.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    check_name(call, call.last_id(), None)?;
    call.fill("can_own_applications", json!(false));
    Ok(())
}

/// Refuses a name in use.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    check_name(call, call.ids[0], Some(call.last_id()))
}
