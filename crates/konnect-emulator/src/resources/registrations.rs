//! Registrations of applications for APIs.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::new_id,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Listing, Paging},
    read::Read,
    resource::Resource,
    resources::{
        api_publications::publication,
        applications::owner_of,
        members::{CREATED_AT, STATUSES, UPDATED_AT, by, member, text_filter, uuid_filter},
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/application-registrations", 200, Act::Special(None, list_of_portal)),
    op("GET",    "/v3/apis/{apiId}/registrations", 200, Act::Special(None, list_of_api)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/registrations", 200, Act::List(&REGISTRATION)),
    op("POST",   "/v3/portals/{portalId}/applications/{applicationId}/registrations", 201, Act::Create(&REGISTRATION)).also(&[409]),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}", 200, Act::Get(&REGISTRATION)),
    op("PATCH",  "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}", 200, Act::Update(&REGISTRATION)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}", 204, Act::Delete(&REGISTRATION)),
    op("PUT",    "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/consumer", 204, Act::Special(Some(CONSUMER), set_consumer)),
    op("DELETE", "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/consumer", 204, Act::Special(None, unset_consumer)),
];

const CONSUMER: &[Field] = &[Field::required("id", Rule::Uuid)];

pub(crate) static REGISTRATION: Resource = Resource::new(Kind::Registration, view)
    .create(&[
        Field::required("api_id", Rule::Uuid),
        Field::optional("status", Rule::Choice(&["approved", "pending"])),
    ])
    .update(&[Field::optional("status", STATUSES)])
    .filters(&[text_filter("status", member!("status"))])
    .sorts(&[CREATED_AT, UPDATED_AT, by("status", member!("status"))])
    .before_create(before_create);

/// The registrations of a whole portal have filters of their own.
static PORTAL_REGISTRATIONS: Listing = Listing {
    filters: &[
        uuid_filter("developer_id", Read::Made(developer_of)),
        text_filter("application_name", Read::Made(application_name)),
        text_filter("status", member!("status")),
    ],
    sorts: &[
        CREATED_AT,
        UPDATED_AT,
        by("developer_id", Read::Made(developer_of)),
        by("status", member!("status")),
    ],
    paging: Paging::Number,
    view,
};

/// The registrations for an API.
static API_REGISTRATIONS: Listing = Listing {
    filters: &[
        text_filter("status", member!("status")),
        uuid_filter(
            "portal_id",
            Read::Made(|world, row| of_portal(world, row, "id")),
        ),
        text_filter(
            "portal_name",
            Read::Made(|world, row| of_portal(world, row, "name")),
        ),
        uuid_filter("application_id", Read::Made(|_, row| json!(row.parent))),
        text_filter("application_name", Read::Made(application_name)),
        text_filter(
            "application_owner_type",
            Read::Made(|world, row| owner(world, row)["type"].clone()),
        ),
        uuid_filter(
            "application_owner_id",
            Read::Made(|world, row| owner(world, row)["id"].clone()),
        ),
    ],
    sorts: &[],
    paging: Paging::Number,
    view: api_view,
};

/// Returns the id or a member of the portal of a registration.
fn of_portal(world: &World, row: &Row, member: &str) -> Value {
    let portal = application_of(world, row).and_then(|application| application.parent);
    let portal = portal.and_then(|id| world.find(Kind::Portal, id));
    portal.map_or(Value::Null, |portal| match member {
        "id" => json!(portal.id),
        member => portal.get(member).clone(),
    })
}

fn owner(world: &World, row: &Row) -> Value {
    let application = application_of(world, row);
    application.map_or(Value::Null, |row| row.get("owner").clone())
}

/// Shows a registration to whoever knows the API.
fn api_view(world: &World, row: &Row) -> Value {
    let mut application = json!({
        "id": row.parent,
        "name": application_name(world, row),
        "owner": owner(world, row),
    });
    let description = application_of(world, row).map(|row| row.get("description"));
    if let Some(Value::String(description)) = description {
        application["description"] = json!(description);
    }
    json!({
        "id": row.id,
        "status": row.get("status"),
        "portal": {"id": of_portal(world, row, "id"), "name": of_portal(world, row, "name")},
        "application": application,
    })
}

fn application_of<'a>(world: &'a World, row: &Row) -> Option<&'a Row> {
    row.parent.and_then(|id| world.find(Kind::Application, id))
}

/// Shows a registration. An API that is gone keeps its id and loses its name.
pub(crate) fn view(world: &World, row: &Row) -> Value {
    let mut shown = row.show(&["status"]);
    let api = row
        .reference("api_id")
        .and_then(|id| world.find(Kind::Api, id));
    shown.insert(
        "api".to_owned(),
        json!({
            "id": row.get("api_id"),
            "name": api.map(|api| api.text("name")).unwrap_or_default(),
            "version": api.map_or(&Value::Null, |api| api.get("version")),
            "entity_type": "api",
        }),
    );
    let name = application_of(world, row)
        .map(|row| row.text("name"))
        .unwrap_or_default();
    shown.insert(
        "application".to_owned(),
        json!({"id": row.parent, "name": name}),
    );
    if !row.get("consumer").is_null() {
        shown.insert("consumer".to_owned(), row.get("consumer").clone());
    }
    Value::Object(shown)
}

/// Returns the developer who owns the application, null if a team does.
pub(crate) fn developer_of(world: &World, row: &Row) -> Value {
    application_of(world, row)
        .map(|row| owner_of(row, "developer"))
        .unwrap_or_default()
}

/// Returns the name of the application.
pub(crate) fn application_name(world: &World, row: &Row) -> Value {
    application_of(world, row)
        .map(|row| row.get("name").clone())
        .unwrap_or_default()
}

/// Refuses a second registration for the same API.
pub(crate) fn check_conflict(world: &World, application: Uuid, api: Uuid) -> Result<(), Problem> {
    let taken = world
        .children(Kind::Registration, Some(application))
        .any(|row| row.reference("api_id") == Some(api));
    if taken {
        return Err(Problem::conflict(
            "API is already registered to the application",
        ));
    }
    Ok(())
}

/// Returns the status of a registration that nobody has decided on.
pub(crate) fn first_status(portal: &Row, publication: &Row) -> Value {
    let approved =
        portal.is("auto_approve_applications") || publication.is("auto_approve_registrations");
    json!(if approved { "approved" } else { "pending" })
}

/// Checks the API and settles the status.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let (portal, application) = (call.ids[0], call.last_id());
    let api = call.reference("api_id").unwrap_or_default();
    let Some(row) = publication(call.world, api, portal) else {
        return Err(Problem::invalid_body(
            "api_id",
            "missing_reference",
            "this api does not exist",
        ));
    };
    check_conflict(call.world, application, api)?;
    let status = first_status(call.row(Kind::Portal, portal)?, row);
    call.fill("status", status);
    Ok(())
}

/// Lists the registrations of all applications of a portal in the order they were made.
pub(crate) fn list_of_portal(call: &mut Call<'_>) -> Result<Value, Problem> {
    let world = &*call.world;
    let mut rows: Vec<&Row> = world
        .children(Kind::Application, Some(call.last_id()))
        .flat_map(|application| world.children(Kind::Registration, Some(application.id)))
        .collect();
    rows.sort_by_key(|row| row.sequence);
    call.list(rows, &PORTAL_REGISTRATIONS)
}

/// Maps a registration to a gateway consumer. There is no gateway, so any id is taken.
pub(crate) fn set_consumer(call: &mut Call<'_>) -> Result<Value, Problem> {
    let consumer = json!({"id": call.body["id"], "control_plane_id": new_id()});
    let members = [("consumer".to_owned(), consumer)].into_iter().collect();
    call.world.update(call.last_id(), members, call.now);
    Ok(Value::Null)
}

/// Ends the mapping; without one there is nothing to find.
pub(crate) fn unset_consumer(call: &mut Call<'_>) -> Result<Value, Problem> {
    if call
        .row(Kind::Registration, call.last_id())?
        .get("consumer")
        .is_null()
    {
        return Err(Problem::not_found());
    }
    let members = [("consumer".to_owned(), Value::Null)].into_iter().collect();
    call.world.update(call.last_id(), members, call.now);
    Ok(Value::Null)
}

/// Lists the registrations for an API, of all portals, in the order they were made.
fn list_of_api(call: &mut Call<'_>) -> Result<Value, Problem> {
    let api = call.last_id();
    let all = call.world.all(Kind::Registration);
    let mut rows: Vec<&Row> = all
        .filter(|row| row.reference("api_id") == Some(api))
        .collect();
    rows.sort_by_key(|row| row.sequence);
    call.list(rows, &API_REGISTRATIONS)
}
