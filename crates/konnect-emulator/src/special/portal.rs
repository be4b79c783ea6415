//! Portals: defaults, unique names, and that a portal with published APIs goes only by force.

use serde_json::{Value, json};

use crate::{
    call::Call,
    clock::new_id,
    problem::Problem,
    special::merge_labels,
    state::{Kind, Row, World},
};

/// Shows a portal.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&[
        "name",
        "display_name",
        "description",
        "authentication_enabled",
        "rbac_enabled",
        "sipr_enabled",
        "default_api_visibility",
        "default_page_visibility",
        "default_application_auth_strategy_id",
        "auto_approve_developers",
        "auto_approve_applications",
        "default_domain",
        "canonical_domain",
        "labels",
        "notifications_developer_pii_visibility_enabled",
    ]))
}

fn name_is_taken(call: &Call<'_>, except: Option<uuid::Uuid>) -> bool {
    call.text("name").is_some_and(|name| {
        call.world
            .children(Kind::Portal, None)
            .any(|row| Some(row.id) != except && row.text("name") == name)
    })
}

/// Fills in defaults. A creation declares no 409, so a name in use is a 400.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    if name_is_taken(call, None) {
        return Err(Problem::invalid_body(
            "name",
            "invalid",
            "\"name\" is already in use",
        ));
    }
    let name = call.body["name"].clone();
    let domain = json!(format!(
        "{}.us.kongportals.com",
        &new_id().simple().to_string()[..12]
    ));
    let labels = merge_labels(
        &Value::Null,
        call.body.get("labels").unwrap_or(&Value::Null),
    );
    call.body.insert("labels".to_owned(), labels);
    call.fill("display_name", name);
    call.fill("description", Value::Null);
    call.fill("authentication_enabled", json!(true));
    call.fill("default_api_visibility", json!("private"));
    call.fill("default_page_visibility", json!("private"));
    call.fill("default_application_auth_strategy_id", Value::Null);
    call.fill("default_domain", domain.clone());
    call.fill("canonical_domain", domain);
    for flag in [
        "rbac_enabled",
        "sipr_enabled",
        "auto_approve_developers",
        "auto_approve_applications",
        "notifications_developer_pii_visibility_enabled",
    ] {
        call.fill(flag, json!(false));
    }
    Ok(())
}

/// Refuses another portal's name and merges labels.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    if name_is_taken(call, Some(call.last_id())) {
        return Err(Problem::conflict(
            "Portal with the given name already exists",
        ));
    }
    if let Some(change) = call.body.get("labels") {
        let labels = merge_labels(
            call.row(Kind::Portal, call.last_id())?.get("labels"),
            change,
        );
        call.body.insert("labels".to_owned(), labels);
    }
    Ok(())
}

/// The status of this refusal is not declared; 400 says that `force` is missing.
pub(crate) fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.last_id();
    let publishes = call.world.children(Kind::Api, None).any(|api| {
        api.get("portals")
            .as_array()
            .is_some_and(|ids| ids.contains(&json!(portal)))
    });
    if publishes && call.query.get("force") != Some("true") {
        let reason = "the portal has published APIs; use force to delete it";
        return Err(Problem::invalid_body("force", "invalid", reason));
    }
    Ok(())
}
