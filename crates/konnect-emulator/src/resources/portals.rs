//! Portals: defaults, unique names, and that a portal with published APIs goes only by force.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::new_id,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    read::Read,
    resource::Resource,
    resources::{
        api_publications::publishes,
        members::{
            CREATED_AT, NAME, UPDATED_AT, boolean_filter, by, member, merge_labels, text_filter,
            uuid_filter,
        },
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals", 200, Act::List(&PORTAL)),
    op("POST",   "/v3/portals", 201, Act::Create(&PORTAL)),
    op("GET",    "/v3/portals/{portalId}", 200, Act::Get(&PORTAL)),
    op("PATCH",  "/v3/portals/{portalId}", 200, Act::Update(&PORTAL)).also(&[409]).with_body(),
    op("DELETE", "/v3/portals/{portalId}", 204, Act::Delete(&PORTAL)),
];

const VISIBILITY: Rule = Rule::Choice(&["public", "private"]);

const PORTAL_OPTIONS: [Field; 15] = [
    Field::optional("display_name", NAME),
    Field::optional("description", Rule::Text { min: 0, max: 512 }).or_null(),
    Field::optional("authentication_enabled", Rule::Boolean),
    Field::optional("rbac_enabled", Rule::Boolean),
    Field::optional("sipr_enabled", Rule::Boolean),
    Field::optional("default_api_visibility", VISIBILITY),
    Field::optional("default_page_visibility", VISIBILITY),
    Field::optional("default_application_auth_strategy_id", Rule::Uuid).or_null(),
    Field::optional("auto_approve_developers", Rule::Boolean),
    Field::optional("auto_approve_applications", Rule::Boolean),
    Field::optional("labels", Rule::Labels).or_null(),
    Field::optional(
        "notifications_developer_pii_visibility_enabled",
        Rule::Boolean,
    ),
    Field::read_only("id"),
    Field::read_only("created_at"),
    Field::read_only("updated_at"),
];

/// The members of a portal after `name`, which only a creation must hold.
const fn portal_fields(name: Field) -> [Field; 18] {
    let mut fields = [name; 18];
    let mut index = 0;
    while index < PORTAL_OPTIONS.len() {
        fields[index + 1] = PORTAL_OPTIONS[index];
        index += 1;
    }
    fields[16] = Field::read_only("default_domain");
    fields[17] = Field::read_only("canonical_domain");
    fields
}

pub(crate) static PORTAL: Resource = Resource::new(Kind::Portal, view)
    .create(&portal_fields(Field::required("name", NAME)))
    .update(&portal_fields(Field::optional("name", NAME)))
    .filters(&[
        uuid_filter("id", Read::Made(|_, row| json!(row.id))),
        text_filter("name", member!("name")),
        text_filter("description", member!("description")),
        boolean_filter("authentication_enabled", member!("authentication_enabled")),
        boolean_filter("rbac_enabled", member!("rbac_enabled")),
        text_filter("default_api_visibility", member!("default_api_visibility")),
        text_filter(
            "default_page_visibility",
            member!("default_page_visibility"),
        ),
        uuid_filter(
            "default_application_auth_strategy_id",
            member!("default_application_auth_strategy_id"),
        ),
        boolean_filter(
            "auto_approve_developers",
            member!("auto_approve_developers"),
        ),
        boolean_filter(
            "auto_approve_applications",
            member!("auto_approve_applications"),
        ),
        text_filter("default_domain", member!("default_domain")),
        text_filter("canonical_domain", Read::Made(canonical_domain)),
    ])
    .sorts(&[
        by("name", member!("name")),
        by("description", member!("description")),
        by("authentication_enabled", member!("authentication_enabled")),
        by("rbac_enabled", member!("rbac_enabled")),
        by(
            "auto_approve_applications",
            member!("auto_approve_applications"),
        ),
        by(
            "auto_approve_developers",
            member!("auto_approve_developers"),
        ),
        by("default_domain", member!("default_domain")),
        by("canonical_domain", Read::Made(canonical_domain)),
        CREATED_AT,
        UPDATED_AT,
    ])
    .before_create(before_create)
    .before_update(before_update)
    .before_delete(before_delete);

/// Shows a portal.
pub(crate) fn view(world: &World, row: &Row) -> Value {
    let mut shown = row.show(&[
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
        "labels",
        "notifications_developer_pii_visibility_enabled",
    ]);
    shown.insert("canonical_domain".to_owned(), canonical_domain(world, row));
    Value::Object(shown)
}

/// The custom domain while it is enabled, and the domain that Konnect gave otherwise.
fn canonical_domain(world: &World, row: &Row) -> Value {
    let custom = world.children(Kind::CustomDomain, Some(row.id)).next();
    match custom.filter(|domain| domain.is("enabled")) {
        Some(domain) => domain.get("hostname").clone(),
        None => row.get("canonical_domain").clone(),
    }
}

fn name_is_taken(call: &Call<'_>, except: Option<Uuid>) -> bool {
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

/// The status of this refusal is not declared; 400 says that `force` is missing, which is where
/// Kong's own client looks for it.
pub(crate) fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    let refuse = |mistake| Err(Problem::invalid(vec![mistake]));
    let force = call.query.get("force").unwrap_or("false");
    if !matches!(force, "true" | "false") {
        let reason = "must be one of [true, false]";
        let choices = json!(["true", "false"]);
        return refuse(InvalidParameter::query("force", "enum", reason).with("choices", choices));
    }
    if publishes(call.world, call.last_id()) && force == "false" {
        let reason = "the portal has published APIs; use force to delete it";
        return refuse(InvalidParameter::query("force", "invalid", reason));
    }
    Ok(())
}
