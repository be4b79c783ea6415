//! The self-service API of a developer portal, served below `/portal/{portalId}`: signing up and
//! in, and a developer's own applications and registrations.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the table calls all handlers by one signature"
)]

mod accounts;
mod applications;
mod sign_in;

use serde_json::{Value, json};

pub(crate) use accounts::{Accounts, MailKind};

use crate::{
    call::Call,
    clock::timestamp,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Filter, Listing, Operators, Paging},
    read::Read,
    resources::{
        api_publications::{api_name, api_of, publication},
        members::by,
    },
    state::{Kind, Row, World},
};

const TOKEN: Field = Field::required("token", Rule::Uuid);
const EMAIL: Field = Field::required("email", Rule::Email { max: 250 });
const TEXT: Rule = Rule::Text { min: 0, max: 255 };

const SIGN_UP: &[Field] = &[
    EMAIL,
    Field::required("full_name", Rule::Text { min: 1, max: 256 }),
];
const CREDENTIALS: &[Field] = &[
    Field::required("username", Rule::Text { min: 1, max: 250 }),
    Field::required("password", Rule::Text { min: 1, max: 1024 }),
];
const NEW_PASSWORD: &[Field] = &[
    Field::required("password", Rule::Text { min: 1, max: 1024 }),
    TOKEN,
];
const NEW_APPLICATION: &[Field] = &[
    Field::required("name", Rule::Text { min: 1, max: 255 }),
    Field::optional("client_id", TEXT),
    Field::optional("redirect_uri", Rule::Url),
    Field::optional("description", TEXT),
    Field::optional("auth_strategy_id", Rule::Uuid).or_null(),
    Field::optional("scopes", Rule::Texts),
    Field::optional("team_id", Rule::Uuid).or_null(),
];
const APPLICATION_CHANGE: &[Field] = &[
    Field::optional("name", Rule::Text { min: 1, max: 255 }),
    Field::optional("client_id", TEXT),
    Field::optional("redirect_uri", Rule::Url).or_null(),
    Field::optional("description", TEXT),
    Field::optional("scopes", Rule::Texts),
    Field::optional("team_id", Rule::Uuid).or_null(),
];

/// The publications of a portal as its developers see them: as APIs.
static APIS: Listing = Listing {
    filters: &[Filter {
        name: "name",
        operators: Operators::Text,
        read: Read::Made(api_name),
    }],
    sorts: &[by(
        "created_at",
        Read::Made(|world, row| json!(api_of(world, row).map(|api| timestamp(api.created_at)))),
    )],
    paging: Paging::Number,
    view: api_view,
};

/// The teams of the developer who asks.
static TEAMS: Listing = Listing {
    filters: &[],
    sorts: &[],
    paging: Paging::Number,
    view: |_, row| Value::Object(row.show(&["name", "description"])),
};

/// The operations of the self-service API that the emulator serves.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("POST",   "/api/v3/developer", 201, Act::Special(Some(SIGN_UP), sign_in::register)),
    op("POST",   "/api/v3/developer/verify-email", 202, Act::Special(Some(&[TOKEN]), sign_in::verify_email)).also(&[410]),
    op("POST",   "/api/v3/developer/reset-password", 204, Act::Special(Some(NEW_PASSWORD), sign_in::reset_password)).also(&[410]),
    op("POST",   "/api/v3/developer/forgot-password", 200, Act::Special(Some(&[EMAIL]), sign_in::forgot_password)),
    op("POST",   "/api/v3/developer/authenticate", 204, Act::Special(Some(CREDENTIALS), sign_in::authenticate)),
    op("POST",   "/api/v3/developer/logout", 204, Act::Special(None, sign_in::logout)),
    op("GET",    "/api/v3/developer/me", 200, Act::Special(None, me)),
    op("GET",    "/api/v3/developer/teams", 200, Act::Special(None, list_teams)),
    op("GET",    "/api/v3/apis", 200, Act::Special(None, list_apis)),
    op("GET",    "/api/v3/applications", 200, Act::Special(None, applications::list)),
    op("POST",   "/api/v3/applications", 201, Act::Special(Some(NEW_APPLICATION), applications::create)).also(&[403, 409]),
    op("GET",    "/api/v3/applications/{applicationId}", 200, Act::Special(None, applications::get)),
    op("PATCH",  "/api/v3/applications/{applicationId}", 200, Act::Special(Some(APPLICATION_CHANGE), applications::update)).also(&[409]),
    op("DELETE", "/api/v3/applications/{applicationId}", 204, Act::Special(None, applications::delete)),
    op("POST",   "/api/v3/applications/{applicationId}/credentials", 201, Act::Special(Some(&[Field::optional("display_name", TEXT)]), applications::create_credential)),
    op("GET",    "/api/v3/applications/{applicationId}/registrations", 200, Act::Special(None, applications::list_registrations)),
    op("POST",   "/api/v3/applications/{applicationId}/registrations", 201, Act::Special(Some(&[Field::required("api_id", Rule::Uuid)]), applications::register)).also(&[409]),
    op("GET",    "/api/v3/applications/{applicationId}/registrations/{registrationId}", 200, Act::Special(None, applications::get_registration)),
    op("DELETE", "/api/v3/applications/{applicationId}/registrations/{registrationId}", 204, Act::Special(None, applications::delete_registration)),
];

/// What can be called before anyone is signed in.
const OPEN: [&str; 6] = [
    "/api/v3/developer",
    "/api/v3/developer/verify-email",
    "/api/v3/developer/reset-password",
    "/api/v3/developer/forgot-password",
    "/api/v3/developer/authenticate",
    "/api/v3/developer/logout",
];

/// Returns whether an operation needs a session.
pub(crate) fn needs_session(operation: &Operation) -> bool {
    !OPEN.contains(&operation.path)
}

fn api_view(world: &World, row: &Row) -> Value {
    let mut shown = api_of(world, row)
        .map(|api| api.show(&["name", "version", "description", "slug"]))
        .unwrap_or_default();
    shown.insert("visibility".to_owned(), row.get("visibility").clone());
    shown.insert("specifications".to_owned(), json!([]));
    shown.insert("attributes".to_owned(), json!({}));
    Value::Object(shown)
}

fn me(call: &mut Call<'_>) -> Result<Value, Problem> {
    let developer = call.row(Kind::Developer, call.developer.unwrap_or_default())?;
    Ok(Value::Object(developer.show(&["email", "full_name"])))
}

fn list_teams(call: &mut Call<'_>) -> Result<Value, Problem> {
    call.list(
        call.world
            .teams_of(call.ids[0], call.developer.unwrap_or_default()),
        &TEAMS,
    )
}

fn list_apis(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.ids[0];
    let rows = call
        .world
        .children(Kind::Api, None)
        .filter_map(|api| publication(call.world, api.id, portal))
        .collect();
    call.list(rows, &APIS)
}
