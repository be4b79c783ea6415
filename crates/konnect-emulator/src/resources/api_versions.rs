//! Versions of an API, each with the text of its specification. The older operations on
//! specifications show the same rows without their version.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    resource::Resource,
    resources::{
        members::{CREATED_AT, TEXT, member, text_filter},
        specification::{Head, MISTAKE},
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/apis/{apiId}/versions", 200, Act::List(&LISTED)),
    op("POST",   "/v3/apis/{apiId}/versions", 201, Act::Create(&VERSION)).also(&[409]),
    op("GET",    "/v3/apis/{apiId}/versions/{versionId}", 200, Act::Get(&VERSION)),
    op("PATCH",  "/v3/apis/{apiId}/versions/{versionId}", 200, Act::Update(&VERSION)).also(&[409]).with_body(),
    op("DELETE", "/v3/apis/{apiId}/versions/{versionId}", 204, Act::Delete(&VERSION)),
    op("GET",    "/v3/apis/{apiId}/specifications", 200, Act::List(&LISTED_SPECIFICATION)),
    op("POST",   "/v3/apis/{apiId}/specifications", 201, Act::Create(&SPECIFICATION)).also(&[409]),
    op("GET",    "/v3/apis/{apiId}/specifications/{specId}", 200, Act::Get(&SPECIFICATION)),
    op("PATCH",  "/v3/apis/{apiId}/specifications/{specId}", 200, Act::Update(&SPECIFICATION)).also(&[409]).with_body(),
    op("DELETE", "/v3/apis/{apiId}/specifications/{specId}", 204, Act::Delete(&SPECIFICATION)),
    op("POST",   "/v3/apis/validate-specification", 201, Act::Special(Some(CHECKED), validate)),
];

const CONTENT: &[Field] = &[Field::optional("content", TEXT).or_left_out()];
const CHECKED: &[Field] = &[Field::required("content", TEXT)];
const TYPE: Field = Field::optional("type", Rule::Choice(&["oas2", "oas3", "asyncapi"]));

static VERSION: Resource = Resource::new(Kind::ApiVersion, view)
    .create(&[
        Field::optional("version", TEXT).or_left_out(),
        Field::required("spec", Rule::Object(CONTENT)),
    ])
    .update(&[
        Field::optional("version", TEXT).or_left_out(),
        Field::optional("spec", Rule::Object(CONTENT)),
    ])
    .before_create(before_create)
    .before_update(before_update);

/// The list shows no content.
static LISTED: Resource = Resource::new(Kind::ApiVersion, listed_view)
    .filters(&[
        text_filter("version", member!("version")),
        text_filter("type", member!("type")),
    ])
    .sorts(&[CREATED_AT]);

const fn specification_fields(content: Field) -> [Field; 6] {
    [
        content,
        TYPE,
        Field::read_only("id"),
        Field::read_only("validation_messages"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ]
}

static SPECIFICATION: Resource = Resource::new(Kind::ApiVersion, specification_view)
    .create(&specification_fields(Field::required("content", TEXT)))
    .update(&specification_fields(Field::optional("content", TEXT)))
    .before_create(before_create_specification)
    .before_update(before_update_specification);

static LISTED_SPECIFICATION: Resource = Resource::new(Kind::ApiVersion, |_, row| {
    Value::Object(row.show(&["type"]))
})
.filters(&[text_filter("type", member!("type"))]);

/// Shows a version with its specification.
fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["version"]);
    let mut spec = json!({
        "type": row.get("type"),
        "validation_messages": messages(row.is(MISTAKEN)),
    });
    if let Some(content) = row.value.get("content") {
        spec["content"] = content.clone();
    }
    shown.insert("spec".to_owned(), spec);
    Value::Object(shown)
}

fn listed_view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["version"]);
    shown.insert("spec".to_owned(), json!({"type": row.get("type")}));
    Value::Object(shown)
}

fn specification_view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["type"]);
    shown.insert("content".to_owned(), json!(row.text("content")));
    shown.insert("validation_messages".to_owned(), messages(row.is(MISTAKEN)));
    Value::Object(shown)
}

/// The mark of a content that is no document.
const MISTAKEN: &str = "is_mistaken";

/// Says what is wrong with a specification.
fn messages(is_mistaken: bool) -> Value {
    if is_mistaken {
        json!([{"message": MISTAKE}])
    } else {
        json!([])
    }
}

/// Shows the current version of an API, which is the one that it says to have, and the last that
/// was made if it says none; null when that is not there.
pub(crate) fn summary(world: &World, api: &Row) -> Value {
    let mut versions = world.children(Kind::ApiVersion, Some(api.id));
    let current = match api.get("version") {
        Value::Null => versions.last(),
        own => versions.find(|row| row.get("version") == own),
    };
    current.map_or(Value::Null, |row| listed_view(world, row))
}

/// Lists the ids of the specifications of an API.
pub(crate) fn ids(world: &World, api: &Row) -> Vec<Uuid> {
    let versions = world.children(Kind::ApiVersion, Some(api.id));
    versions.map(|row| row.id).collect()
}

/// Makes the first version of an API out of a specification that came with it.
pub(crate) fn make_first(call: &mut Call<'_>, api: Uuid, content: &str) {
    let mut body = Map::from_iter([("content".to_owned(), json!(content))]);
    complete(call.world, api, &mut body);
    call.world
        .insert(Kind::ApiVersion, Some(api), body, call.now);
}

/// Fills in what a specification says of itself: its type, and the version unless the API has one.
fn complete(world: &World, api: Uuid, body: &mut Map<String, Value>) {
    let content = body.get("content").and_then(Value::as_str);
    let own = content.map(Head::of);
    let is_mistaken = own.as_ref().is_some_and(|own| own.kind.is_none());
    let own = own.unwrap_or_default();
    let of_api = world.find(Kind::Api, api).map(|row| row.text("version"));
    let version = of_api.filter(|version| !version.is_empty());
    let version = version.map(str::to_owned).or(own.version);
    body.entry("type".to_owned())
        .or_insert_with(|| json!(own.kind.unwrap_or("oas3")));
    body.insert(MISTAKEN.to_owned(), json!(is_mistaken));
    body.entry("version".to_owned())
        .or_insert_with(|| json!(version.unwrap_or_else(|| "1.0.0".to_owned())));
}

/// Refuses a version that the API has.
fn check_taken(call: &Call<'_>, api: Uuid, except: Option<Uuid>) -> Result<(), Problem> {
    let Some(version) = call.text("version") else {
        return Ok(());
    };
    let taken = call
        .world
        .children(Kind::ApiVersion, Some(api))
        .any(|row| Some(row.id) != except && row.text("version") == version);
    if taken {
        return Err(Problem::conflict("This version is already there"));
    }
    Ok(())
}

/// Puts the content of the specification beside the version.
fn flatten(call: &mut Call<'_>) {
    if let Some(Value::Object(spec)) = call.body.remove("spec") {
        call.body.extend(spec);
    }
}

fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let api = call.last_id();
    flatten(call);
    let mut body = std::mem::take(&mut call.body);
    complete(call.world, api, &mut body);
    call.body = body;
    check_taken(call, api, None)
}

/// A new content has the type that it says.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    check_force(call)?;
    let (api, version) = (call.ids[0], call.last_id());
    flatten(call);
    retype(call);
    check_taken(call, api, Some(version))
}

fn retype(call: &mut Call<'_>) {
    let Some(content) = call.text("content") else {
        return;
    };
    let own = Head::of(content);
    call.fill(MISTAKEN, json!(own.kind.is_none()));
    if let Some(kind) = own.kind {
        call.fill("type", json!(kind));
    }
}

/// The mark of what was made as a specification, of which an API has one at most.
const MADE_ALONE: &str = "made_alone";

/// Refuses a second specification. One whose version is taken has the next free number.
fn before_create_specification(call: &mut Call<'_>) -> Result<(), Problem> {
    let api = call.last_id();
    let versions = || call.world.children(Kind::ApiVersion, Some(api));
    if versions().any(|row| row.is(MADE_ALONE)) {
        return Err(Problem::conflict("The API has a specification already"));
    }
    let mut body = std::mem::take(&mut call.body);
    complete(call.world, api, &mut body);
    let wanted = body["version"].clone();
    let taken: HashSet<&Value> = versions().map(|row| row.get("version")).collect();
    let numbers = (2_u64..).map(|number| json!(number.to_string()));
    let free = std::iter::once(wanted)
        .chain(numbers)
        .find(|version| !taken.contains(version));
    body.insert("version".to_owned(), free.unwrap_or_default());
    body.insert(MADE_ALONE.to_owned(), json!(true));
    call.body = body;
    Ok(())
}

fn before_update_specification(call: &mut Call<'_>) -> Result<(), Problem> {
    retype(call);
    Ok(())
}

/// Refuses a `force` that is neither true nor false. It is about operations that a gateway
/// enforces, of which there are none here, so it changes nothing.
pub(crate) fn check_force(call: &Call<'_>) -> Result<(), Problem> {
    const CHOICES: [&str; 2] = ["true", "false"];
    let Some(force) = call.query.get("force") else {
        return Ok(());
    };
    if CHOICES.contains(&force) {
        return Ok(());
    }
    let reason = "must be one of [true, false]";
    let mistake = InvalidParameter::query("force", "enum", reason);
    Err(Problem::invalid(vec![
        mistake.with("choices", json!(CHOICES)),
    ]))
}

/// Says what is wrong with a specification that is not kept.
fn validate(call: &mut Call<'_>) -> Result<Value, Problem> {
    let own = Head::of(call.text("content").unwrap_or_default());
    Ok(json!({"validation_messages": messages(own.kind.is_none())}))
}
