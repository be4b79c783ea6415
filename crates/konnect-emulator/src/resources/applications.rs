//! Applications: their owner, who else may use them, their credentials.

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
    resource::Resource,
    resources::{
        auth_strategies::{is_by_token, view_of_application},
        developers,
        members::{CREATED_AT, NAME, by, member, merge_labels, text_filter, uuid_filter},
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/applications", 200, Act::List(&APPLICATION)),
    op("POST",   "/v3/portals/{portalId}/applications", 201, Act::Create(&APPLICATION)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}", 200, Act::Get(&APPLICATION)),
    op("PATCH",  "/v3/portals/{portalId}/applications/{applicationId}", 200, Act::Update(&APPLICATION)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/applications/{applicationId}", 204, Act::Delete(&APPLICATION)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/developers", 200, Act::Special(None, list_developers)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/credentials", 200, Act::Special(None, list_credentials)),
    op("GET",    "/v3/applications/{applicationId}", 200, Act::Get(&APPLICATION)),
];

const OWNER: &[Field] = &[
    Field::required("type", Rule::Choice(&["developer", "team"])),
    Field::required("id", Rule::Uuid),
];

pub(crate) static APPLICATION: Resource = Resource::new(Kind::Application, view)
    .create(&[
        Field::required("name", NAME),
        Field::optional("description", Rule::Text { min: 0, max: 255 }),
        Field::optional("labels", Rule::Labels).or_null(),
        Field::optional("dcr_client_id", Rule::Text { min: 0, max: 255 }),
        Field::optional("client_id", Rule::Text { min: 0, max: 255 }),
        Field::optional("auth_strategy_id", Rule::Uuid),
        Field::required("owner", Rule::Object(OWNER)),
    ])
    .update(&[Field::optional("owner", Rule::Object(OWNER))])
    .filters(&[
        uuid_filter(
            "developer_id",
            Read::Made(|_, row| owner_of(row, "developer")),
        ),
        text_filter("name", member!("name")),
        uuid_filter("team_id", Read::Made(|_, row| owner_of(row, "team"))),
    ])
    .sorts(&[
        CREATED_AT,
        by(
            "developer_id",
            Read::Made(|_, row| owner_of(row, "developer")),
        ),
        by("name", member!("name")),
    ])
    .before_create(before_create)
    .before_update(before_update);

/// The developers who may use an application.
static DEVELOPERS: Listing = Listing {
    filters: &[text_filter("id", Read::Made(|_, row| json!(row.id)))],
    sorts: &[by("id", Read::Made(|_, row| json!(row.id)))],
    paging: Paging::Number,
    view: developers::application_view,
};

/// The credentials of an application, never with their secret.
static CREDENTIALS: Listing = Listing {
    filters: &[],
    sorts: &[],
    paging: Paging::Number,
    view: credential_view,
};

/// Shows an application, in the variant of its strategy.
pub(crate) fn view(world: &World, row: &Row) -> Value {
    let mut shown = row.show(&["name", "description", "labels", "owner"]);
    let registrations = world.children(Kind::Registration, Some(row.id)).count();
    shown.insert("registration_count".to_owned(), json!(registrations));
    shown.insert("portal".to_owned(), json!({"id": row.parent}));
    shown.insert("auth_strategy".to_owned(), auth_strategy(world, row));
    if strategy_of(world, row).is_some_and(is_by_token) {
        shown.insert("client_id".to_owned(), json!(row.text("client_id")));
        shown.insert("dcr_provider".to_owned(), Value::Null);
        shown.insert("granted_scopes".to_owned(), Value::Null);
    }
    Value::Object(shown)
}

fn strategy_of<'a>(world: &'a World, row: &Row) -> Option<&'a Row> {
    let id = row.reference("auth_strategy_id");
    world.find(Kind::AuthStrategy, id.unwrap_or(world.auth_strategy_id))
}

/// Shows the strategy of an application: the one it was made with, else the one that is built in.
/// One that is not there is shown as the built-in one with its id.
pub(crate) fn auth_strategy(world: &World, row: &Row) -> Value {
    if let Some(strategy) = strategy_of(world, row) {
        return view_of_application(strategy);
    }
    let id = row
        .reference("auth_strategy_id")
        .unwrap_or(world.auth_strategy_id);
    json!({"id": id, "name": "key-auth", "credential_type": "key_auth", "key_names": ["apikey"]})
}

/// Shows a credential without its secret.
pub(crate) fn credential_view(_: &World, row: &Row) -> Value {
    json!({
        "type": "api_key",
        "id": row.id,
        "display_name": row.get("display_name"),
        "status": "active",
        "expires_at": null,
        "created_at": timestamp(row.created_at),
    })
}

/// Returns the owner's id if the owner is of the type, else null.
pub(crate) fn owner_of(row: &Row, of_type: &str) -> Value {
    let owner = row.get("owner");
    if owner["type"] == of_type {
        owner["id"].clone()
    } else {
        Value::Null
    }
}

/// Returns whether a developer may use an application: as its owner or as a member of the owning
/// team.
pub(crate) fn is_usable_by(world: &World, row: &Row, developer: Uuid) -> bool {
    let id = row.get("owner")["id"]
        .as_str()
        .and_then(|id| Uuid::try_parse(id).ok());
    id.is_some_and(|id| id == developer || world.is_member(id, developer))
}

fn check_owner(call: &Call<'_>, portal: Uuid) -> Result<(), Problem> {
    let Some(owner) = call.body.get("owner") else {
        return Ok(());
    };
    let id = owner["id"]
        .as_str()
        .and_then(|id| Uuid::try_parse(id).ok())
        .unwrap_or_default();
    let kind = if owner["type"] == "team" {
        Kind::Team
    } else {
        Kind::Developer
    };
    let row = call
        .world
        .find(kind, id)
        .filter(|row| row.parent == Some(portal));
    match row {
        None => Err(Problem::invalid_body(
            "owner.id",
            "missing_reference",
            "this owner does not exist",
        )),
        Some(team) if kind == Kind::Team && !team.is("can_own_applications") => Err(
            Problem::invalid_body("owner.id", "invalid", "this team cannot own applications"),
        ),
        Some(_) => Ok(()),
    }
}

/// Gives an application to be made the portal's default strategy, where it has none of its own.
pub(crate) fn fill_strategy(call: &mut Call<'_>, portal: Uuid) -> Result<(), Problem> {
    if call.reference("auth_strategy_id").is_none() {
        let portal = call.row(Kind::Portal, portal)?;
        let strategy = portal.get("default_application_auth_strategy_id").clone();
        call.body.insert("auth_strategy_id".to_owned(), strategy);
    }
    Ok(())
}

/// Checks the owner and fills in defaults.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    check_owner(call, call.last_id())?;
    fill_strategy(call, call.last_id())?;
    let labels = merge_labels(
        &Value::Null,
        call.body.get("labels").unwrap_or(&Value::Null),
    );
    call.body.insert("labels".to_owned(), labels);
    call.fill("description", Value::Null);
    Ok(())
}

/// Checks the owner that the application is handed to.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    check_owner(call, call.ids[0])
}

/// Lists the owner, or the members of the owning team.
pub(crate) fn list_developers(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.ids[0];
    let application = call.row(Kind::Application, call.last_id())?;
    let rows = call
        .world
        .children(Kind::Developer, Some(portal))
        .filter(|developer| is_usable_by(call.world, application, developer.id))
        .collect();
    call.list(rows, &DEVELOPERS)
}

/// Lists the credentials of an application.
pub(crate) fn list_credentials(call: &mut Call<'_>) -> Result<Value, Problem> {
    call.list(
        call.world
            .children(Kind::Credential, Some(call.last_id()))
            .collect(),
        &CREDENTIALS,
    )
}
