//! APIs of the organisation: unique by name and version, and where each is published.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::Operators,
    read::Read,
    resource::Resource,
    resources::{
        api_implementations,
        api_versions::{self, check_force},
        members::{
            CREATED_AT, CREATED_WITHIN, NAME, NEW_LABELS, SLUG, TEXT, UPDATED_AT, UPDATED_WITHIN,
            by, filter, member, merge_labels, slugify, text_filter, uuid_filter,
        },
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/apis", 200, Act::List(&API)),
    op("POST",   "/v3/apis", 201, Act::Special(Some(API.create), create)),
    op("GET",    "/v3/apis/{apiId}", 200, Act::Get(&API)),
    op("PATCH",  "/v3/apis/{apiId}", 200, Act::Update(&API)).also(&[409]).with_body(),
    op("DELETE", "/v3/apis/{apiId}", 204, Act::Delete(&API)),
];

/// Several values by a key of the caller's choice; null takes a key away.
const ATTRIBUTES: Rule = Rule::Map {
    max: usize::MAX,
    is_key: |key| key.chars().count() <= 128,
    value: &Rule::OrNull(&Rule::List {
        item: &Rule::Pattern {
            min: 1,
            max: 512,
            is: |text| !text.contains([',', '<', '>']),
            words: "must not hold , < or >",
        },
        min: 1,
        max: 20,
        unique: false,
    }),
};

pub(crate) static API: Resource = Resource::new(Kind::Api, view)
    .create(&[
        Field::required("name", NAME),
        Field::optional("description", TEXT).or_null(),
        Field::optional("version", NAME).or_null(),
        Field::optional("slug", SLUG).or_null(),
        Field::optional("labels", NEW_LABELS),
        Field::optional("attributes", ATTRIBUTES),
        Field::optional("spec_content", TEXT),
        Field::read_only("id"),
        Field::read_only("current_version_summary"),
        Field::read_only("api_spec_ids"),
        Field::read_only("portals"),
        Field::read_only("implementation_mode"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ])
    .update(&[
        Field::optional("name", NAME),
        Field::optional("description", TEXT).or_null(),
        Field::optional("version", NAME).or_null(),
        Field::optional("slug", SLUG).or_null(),
        Field::optional("labels", Rule::Labels).or_null(),
        Field::optional("attributes", ATTRIBUTES),
        Field::read_only("id"),
        Field::read_only("current_version_summary"),
        Field::read_only("api_spec_ids"),
        Field::read_only("portals"),
        Field::read_only("implementation_mode"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ])
    .filters(&[
        uuid_filter("id", Read::Made(|_, row| json!(row.id))),
        text_filter("name", member!("name")),
        text_filter("version", member!("version")),
        filter("labels", Operators::Keyed, member!("labels")),
        filter("attributes", Operators::Keyed, member!("attributes")),
        text_filter("implementation_mode", Read::Made(api_implementations::mode)),
        CREATED_WITHIN,
        UPDATED_WITHIN,
    ])
    .sorts(&[
        by("name", member!("name")),
        by("version", member!("version")),
        CREATED_AT,
        UPDATED_AT,
    ])
    .before_create(before_create)
    .before_update(before_update);

/// Shows an API with the portals it is published in and its current version.
pub(crate) fn view(world: &World, row: &Row) -> Value {
    let mut shown = row.show(&[
        "name",
        "description",
        "version",
        "slug",
        "labels",
        "attributes",
    ]);
    let portals: Vec<Value> = world
        .children(Kind::ApiPublication, Some(row.id))
        .filter_map(|publication| world.find(Kind::Portal, publication.reference("portal_id")?))
        .map(|portal| {
            json!({
                "id": portal.id,
                "name": portal.get("name"),
                "display_name": portal.get("display_name"),
            })
        })
        .collect();
    shown.insert("portals".to_owned(), json!(portals));
    let summary = api_versions::summary(world, row);
    shown.insert("current_version_summary".to_owned(), summary);
    let specifications = api_versions::ids(world, row);
    shown.insert("api_spec_ids".to_owned(), json!(specifications));
    let mode = api_implementations::mode(world, row);
    shown.insert("implementation_mode".to_owned(), mode);
    Value::Object(shown)
}

/// Returns whether another API has the name and the version.
fn is_taken(world: &World, name: &str, version: &Value, except: Option<Uuid>) -> bool {
    world.children(Kind::Api, None).any(|row| {
        Some(row.id) != except && row.text("name") == name && row.get("version") == version
    })
}

/// Fills in defaults. A creation declares no 409, so a name and version in use are a 400.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let name = call.text("name").unwrap_or_default().to_owned();
    call.fill("version", Value::Null);
    if is_taken(call.world, &name, &call.body["version"], None) {
        let reason = "an API of this \"name\" and \"version\" already exists";
        return Err(Problem::invalid_body("name", "invalid", reason));
    }
    // Of a version like 3.2.0 the slug has the first number alone.
    let version = call.text("version").unwrap_or_default();
    let version = version.split('.').next().unwrap_or_default();
    let slug = slugify(&format!("{name} {version}"), "api");
    call.fill("slug", json!(slug));
    call.fill("description", Value::Null);
    for member in ["labels", "attributes"] {
        let sent = call.body.remove(member).unwrap_or_default();
        call.fill(member, merge_labels(&Value::Null, &sent));
    }
    Ok(())
}

/// Refuses the name and version of another API, and merges labels and attributes.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    check_force(call)?;
    let row = call.row(Kind::Api, call.last_id())?;
    let name = call.text("name").unwrap_or_else(|| row.text("name"));
    let version = call
        .body
        .get("version")
        .unwrap_or_else(|| row.get("version"));
    let renames = ["name", "version"]
        .iter()
        .any(|member| call.body.contains_key(*member));
    if renames && is_taken(call.world, name, version, Some(row.id)) {
        return Err(Problem::conflict(
            "API with the given name and version already exists",
        ));
    }
    for member in ["labels", "attributes"] {
        if let Some(change) = call.body.get(member) {
            let before = call.row(Kind::Api, call.last_id())?.get(member);
            let merged = merge_labels(before, change);
            call.body.insert(member.to_owned(), merged);
        }
    }
    Ok(())
}

/// Makes an API, with a first version of the specification that came with it.
fn create(call: &mut Call<'_>) -> Result<Value, Problem> {
    let specification = call.body.remove("spec_content");
    let shown = API.create_row(call)?;
    let Some(content) = specification.as_ref().and_then(Value::as_str) else {
        return Ok(shown);
    };
    let id = shown["id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
    let id = id.unwrap_or_default();
    api_versions::make_first(call, id, content);
    Ok(view(call.world, call.row(Kind::Api, id)?))
}
