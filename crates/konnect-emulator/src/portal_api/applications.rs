//! A developer's own applications and those of their teams, and the registrations they ask for.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::new_id,
    problem::Problem,
    query::{Filter, Listing, Operators, Paging},
    read::Read,
    resources::{
        api_publications::publication,
        applications::{auth_strategy, credential_view, fill_strategy, is_usable_by, owner_of},
        registrations::{check_conflict, first_status},
    },
    state::{Kind, Row, World},
};

static APPLICATIONS: Listing = Listing {
    filters: &[
        Filter {
            name: "name",
            operators: Operators::Text,
            read: Read::Member("name"),
        },
        Filter {
            name: "team_id",
            operators: Operators::Text,
            read: Read::Made(|_, row| owner_of(row, "team")),
        },
    ],
    sorts: &[],
    paging: Paging::Number,
    view,
};

static REGISTRATIONS: Listing = Listing {
    filters: &[
        Filter {
            name: "id",
            operators: Operators::Text,
            read: Read::Made(|_, row| json!(row.id)),
        },
        Filter {
            name: "status",
            operators: Operators::Text,
            read: Read::Member("status"),
        },
        Filter {
            name: "api_name",
            operators: Operators::Text,
            read: Read::Made(api_name),
        },
    ],
    sorts: &[],
    paging: Paging::Number,
    view: registration_view,
};

fn view(world: &World, row: &Row) -> Value {
    let mut shown = row.show(&["name", "description"]);
    for member in ["redirect_uri", "client_id", "scopes"] {
        if !row.get(member).is_null() {
            shown.insert(member.to_owned(), row.get(member).clone());
        }
    }
    shown.insert("auth_strategy".to_owned(), auth_strategy(world, row));
    shown.insert("team_id".to_owned(), owner_of(row, "team"));
    Value::Object(shown)
}

fn api_of<'a>(world: &'a World, row: &Row) -> Option<&'a Row> {
    row.reference("api_id")
        .and_then(|id| world.find(Kind::Api, id))
}

fn api_name(world: &World, row: &Row) -> Value {
    api_of(world, row)
        .map(|api| api.get("name").clone())
        .unwrap_or_default()
}

fn registration_view(world: &World, row: &Row) -> Value {
    let api = api_of(world, row);
    let mut shown = row.show(&["status", "api_id"]);
    shown.insert("application_id".to_owned(), json!(row.parent));
    shown.insert(
        "api_name".to_owned(),
        json!(api.map(|api| api.text("name")).unwrap_or_default()),
    );
    shown.insert(
        "api_slug".to_owned(),
        json!(api.map(|api| api.text("slug")).unwrap_or_default()),
    );
    Value::Object(shown)
}

/// Returns the application of the path if the developer may use it; another's is not found.
fn own<'a>(call: &'a Call<'_>) -> Result<&'a Row, Problem> {
    let row = call.row(Kind::Application, call.ids[1])?;
    let usable = is_usable_by(call.world, row, call.developer.unwrap_or_default());
    if usable {
        Ok(row)
    } else {
        Err(Problem::not_found())
    }
}

/// Lists what the developer may use.
pub(crate) fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let developer = call.developer.unwrap_or_default();
    let rows = call
        .world
        .children(Kind::Application, Some(call.ids[0]))
        .filter(|row| is_usable_by(call.world, row, developer))
        .collect();
    call.list(rows, &APPLICATIONS)
}

/// Settles who owns an application: the developer, or a team of theirs that may own some.
fn owner(call: &Call<'_>, developer: Uuid) -> Result<Value, Problem> {
    let Some(team) = call.reference("team_id") else {
        return Ok(json!({"type": "developer", "id": developer}));
    };
    let row = call.row(Kind::Team, team)?;
    if !row.is("can_own_applications") || !call.world.is_member(team, developer) {
        return Err(Problem::forbidden());
    }
    Ok(json!({"type": "team", "id": team}))
}

fn check_name(call: &Call<'_>, owner: &Value, except: Option<Uuid>) -> Result<(), Problem> {
    let taken = call.text("name").is_some_and(|name| {
        call.world
            .children(Kind::Application, Some(call.ids[0]))
            .any(|row| {
                Some(row.id) != except && row.get("owner") == owner && row.text("name") == name
            })
    });
    if taken {
        return Err(Problem::conflict(
            "Application with the given name already exists",
        ));
    }
    Ok(())
}

/// Creates an application.
pub(crate) fn create(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.ids[0];
    let owner = owner(call, call.developer.unwrap_or_default())?;
    check_name(call, &owner, None)?;
    call.fill("description", Value::Null);
    fill_strategy(call, portal)?;
    let mut body = std::mem::take(&mut call.body);
    body.remove("team_id");
    body.insert("owner".to_owned(), owner);
    body.insert("labels".to_owned(), json!({}));
    let id = call
        .world
        .insert(Kind::Application, Some(portal), body, call.now);
    Ok(view(call.world, call.row(Kind::Application, id)?))
}

/// Shows an application.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(view(call.world, own(call)?))
}

/// Changes an application. No 403 is declared here, so a team that may not own it is a 404.
pub(crate) fn update(call: &mut Call<'_>) -> Result<Value, Problem> {
    let id = own(call)?.id;
    let developer = call.developer.unwrap_or_default();
    let owner = match call.body.remove("team_id") {
        None => own(call)?.get("owner").clone(),
        Some(team) => {
            call.body.insert("team_id".to_owned(), team);
            owner(call, developer).map_err(|_| Problem::not_found())?
        }
    };
    check_name(call, &owner, Some(id))?;
    let mut body = std::mem::take(&mut call.body);
    body.remove("team_id");
    body.insert("owner".to_owned(), owner);
    call.world.update(id, body, call.now);
    get(call)
}

/// Deletes an application with its registrations and credentials.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Value, Problem> {
    let id = own(call)?.id;
    call.world.remove(id);
    Ok(Value::Null)
}

/// Makes an API key; this answer is the only one that shows it.
pub(crate) fn create_credential(call: &mut Call<'_>) -> Result<Value, Problem> {
    let application = own(call)?.id;
    call.fill("display_name", json!("API key"));
    let body = std::mem::take(&mut call.body);
    let id = call
        .world
        .insert(Kind::Credential, Some(application), body, call.now);
    let mut shown = credential_view(call.world, call.row(Kind::Credential, id)?);
    shown["credential"] = json!(new_id().simple().to_string());
    Ok(shown)
}

/// Lists the registrations of an application.
pub(crate) fn list_registrations(call: &mut Call<'_>) -> Result<Value, Problem> {
    let application = own(call)?.id;
    let rows = call
        .world
        .children(Kind::Registration, Some(application))
        .collect();
    call.list(rows, &REGISTRATIONS)
}

/// Asks for access to an API of the portal.
pub(crate) fn register(call: &mut Call<'_>) -> Result<Value, Problem> {
    let application = own(call)?.id;
    let api = call.reference("api_id").unwrap_or_default();
    let row = publication(call.world, api, call.ids[0]).ok_or_else(Problem::not_found)?;
    check_conflict(call.world, application, api)?;
    let status = first_status(call.row(Kind::Portal, call.ids[0])?, row);
    let body: Map<String, Value> = [
        ("api_id".to_owned(), json!(api)),
        ("status".to_owned(), status),
    ]
    .into_iter()
    .collect();
    let id = call
        .world
        .insert(Kind::Registration, Some(application), body, call.now);
    Ok(registration_view(
        call.world,
        call.row(Kind::Registration, id)?,
    ))
}

/// Shows a registration.
pub(crate) fn get_registration(call: &mut Call<'_>) -> Result<Value, Problem> {
    own(call)?;
    Ok(registration_view(
        call.world,
        call.row(Kind::Registration, call.last_id())?,
    ))
}

/// Withdraws a registration; the API can be asked for again.
pub(crate) fn delete_registration(call: &mut Call<'_>) -> Result<Value, Problem> {
    own(call)?;
    call.world.remove(call.last_id());
    Ok(Value::Null)
}
