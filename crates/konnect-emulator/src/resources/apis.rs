//! APIs of the organisation: unique by name and version, and where each is published.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::timestamp,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    query::Operators,
    resource::Resource,
    resources::members::{
        CREATED_AT, NAME, NEW_LABELS, UPDATED_AT, by, filter, member, merge_labels, text_filter,
        uuid_filter,
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/apis", 200, Act::List(&API)),
    op("POST",   "/v3/apis", 201, Act::Create(&API)),
    op("GET",    "/v3/apis/{apiId}", 200, Act::Get(&API)),
    op("PATCH",  "/v3/apis/{apiId}", 200, Act::Update(&API)).also(&[409]).with_body(),
    op("DELETE", "/v3/apis/{apiId}", 204, Act::Delete(&API)),
];

const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};
const SLUG: Rule = Rule::Pattern {
    min: 1,
    max: usize::MAX,
    is: |text| text.bytes().all(is_slug_byte),
    words: "must hold letters, digits, _ and - only",
};
/// Several values by a key of the caller's choice; null takes a key away.
const ATTRIBUTES: Rule = Rule::Map {
    max: usize::MAX,
    is_key: |_| true,
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

const fn is_slug_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

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
        uuid_filter("id", |_, row| json!(row.id)),
        text_filter("name", member!("name")),
        text_filter("version", member!("version")),
        filter("labels", Operators::Keyed, member!("labels")),
        filter("attributes", Operators::Keyed, member!("attributes")),
        text_filter("implementation_mode", |_, _| Value::Null),
        filter("created_at", Operators::DateTime, |_, row| {
            json!(timestamp(row.created_at))
        }),
        filter("updated_at", Operators::DateTime, |_, row| {
            json!(timestamp(row.updated_at))
        }),
    ])
    .sorts(&[
        by("name", member!("name")),
        by("version", member!("version")),
        CREATED_AT,
        UPDATED_AT,
    ])
    .before_create(before_create)
    .before_update(before_update);

/// Shows an API with the portals it is published in. Versions are not kept, so there is none to
/// summarise.
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
    shown.insert("api_spec_ids".to_owned(), json!([]));
    shown.insert("current_version_summary".to_owned(), Value::Null);
    shown.insert("implementation_mode".to_owned(), Value::Null);
    Value::Object(shown)
}

/// Makes the name of an API in paths of a name and a version.
fn slugify(name: &str, version: &str) -> String {
    let text = format!("{name} {version}").to_lowercase();
    let words = text.split(|letter: char| !u8::try_from(letter).is_ok_and(is_slug_byte));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return "api".to_owned();
    }
    words.join("-")
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
    let slug = slugify(&name, call.text("version").unwrap_or_default());
    call.fill("slug", json!(slug));
    call.fill("description", Value::Null);
    call.body.remove("spec_content");
    for member in ["labels", "attributes"] {
        let sent = call.body.remove(member).unwrap_or_default();
        call.fill(member, merge_labels(&Value::Null, &sent));
    }
    Ok(())
}

/// Refuses the name and version of another API, and merges labels and attributes.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    const CHOICES: [&str; 2] = ["true", "false"];
    // It is about the operations of versions, of which there are none here.
    if let Some(force) = call.query.get("force")
        && !CHOICES.contains(&force)
    {
        let reason = "must be one of [true, false]";
        let mistake = InvalidParameter::query("force", "enum", reason);
        return Err(Problem::invalid(vec![
            mistake.with("choices", json!(CHOICES)),
        ]));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_slugs_that_the_schema_allows() {
        for (name, version, slug) in [
            ("Fixtures", "", "fixtures"),
            ("My API", "v1.2", "my-api-v1-2"),
            (" Über & Co_ ", "", "ber-co_"),
            ("日本", "", "api"),
        ] {
            assert_eq!(slugify(name, version), slug, "{name}");
        }
    }
}
