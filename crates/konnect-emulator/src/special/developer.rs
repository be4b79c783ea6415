//! Developers: unique addresses within a portal, the status they start with, and what ends with
//! them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    portal_api::MailKind,
    problem::Problem,
    state::{Kind, Row, World},
};

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

/// The applications of a developer end with them.
pub(crate) fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    let (portal, developer) = (call.ids[0], call.last_id());
    let owned: Vec<Uuid> = call
        .world
        .children(Kind::Application, Some(portal))
        .filter(|row| row.get("owner") == &json!({"type": "developer", "id": developer}))
        .map(|row| row.id)
        .collect();
    for application in owned {
        call.world.remove(application);
    }
    Ok(())
}
