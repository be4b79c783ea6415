//! Developers: unique addresses within a portal and the status they start with.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    portal_api::MailKind,
    problem::Problem,
    resource::Resource,
    resources::members::{CREATED_AT, STATUSES, UPDATED_AT, by, member, text_filter},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/developers", 200, Act::List(&DEVELOPER)),
    op("POST",   "/v3/portals/{portalId}/developers", 201, Act::Create(&DEVELOPER)).also(&[409]),
    op("GET",    "/v3/portals/{portalId}/developers/{developerId}", 200, Act::Get(&DEVELOPER)),
    op("PATCH",  "/v3/portals/{portalId}/developers/{developerId}", 200, Act::Update(&DEVELOPER)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/developers/{developerId}", 204, Act::Delete(&DEVELOPER)),
];

pub(crate) static DEVELOPER: Resource = Resource::new(Kind::Developer, view)
    .create(&[
        Field::required("email", Rule::Email { max: 255 }),
        Field::required("full_name", Rule::Text { min: 0, max: 255 }),
        Field::optional("status", STATUSES),
        Field::optional("send_invitation_email", Rule::Boolean),
    ])
    .update(&[Field::optional("status", STATUSES)])
    .filters(&[
        text_filter("name", member!("full_name")),
        text_filter("status", member!("status")),
        text_filter("email", member!("email")),
    ])
    .sorts(&[
        CREATED_AT,
        UPDATED_AT,
        by("email", member!("email")),
        by("name", member!("full_name")),
        by("status", member!("status")),
    ])
    .before_create(before_create);

/// Shows a developer.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&["email", "full_name", "status"]))
}

/// Shows a developer as a team lists them.
pub(crate) fn basic_view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["email", "full_name"]);
    shown.insert("active".to_owned(), json!(row.text("status") == "approved"));
    Value::Object(shown)
}

/// Shows a developer as an application lists them.
pub(crate) fn application_view(_: &World, row: &Row) -> Value {
    json!({"id": row.id, "email": row.get("email"), "full_name": row.get("full_name")})
}

/// Returns the status of a developer whom nobody has decided on.
pub(crate) fn first_status(portal: &Row) -> Value {
    json!(if portal.is("auto_approve_developers") {
        "approved"
    } else {
        "pending"
    })
}

/// Refuses a known address, settles the status and sends the invitation.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.last_id();
    let email = call.text("email").unwrap_or_default().to_owned();
    if call.world.find_by_email(portal, &email).is_some() {
        return Err(Problem::conflict(
            "Developer with the given email already exists",
        ));
    }
    let status = first_status(call.row(Kind::Portal, portal)?);
    call.fill("status", status);
    if call.body.remove("send_invitation_email") == Some(Value::Bool(true)) {
        let at = call.now;
        call.world
            .accounts
            .send_mail(portal, &email, MailKind::ResetPassword, at);
    }
    Ok(())
}
