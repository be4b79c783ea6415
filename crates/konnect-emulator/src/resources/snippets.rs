//! Snippets of a portal, which pages share: each has a name of its own.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    resource::Resource,
    resources::{
        content::{CONTENT, OPTIONS, fill_defaults, filters, outline, read_front_matter},
        members::{CREATED_AT, UPDATED_AT, by, member, text_filter},
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/snippets", 200, Act::List(&OUTLINE)),
    op("POST",   "/v3/portals/{portalId}/snippets", 201, Act::Create(&SNIPPET)),
    op("GET",    "/v3/portals/{portalId}/snippets/{snippetId}", 200, Act::Get(&SNIPPET)),
    op("PATCH",  "/v3/portals/{portalId}/snippets/{snippetId}", 200, Act::Update(&SNIPPET)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/snippets/{snippetId}", 204, Act::Delete(&SNIPPET)),
];

const NAME: Rule = Rule::Text { min: 0, max: 512 };

/// The members of a snippet, of which a creation must hold the first two.
const fn snippet_fields(name: Field, content: Field) -> [Field; 6] {
    let [title, description, visibility, status] = OPTIONS;
    [name, content, title, description, visibility, status]
}

static SNIPPET: Resource = Resource::new(Kind::Snippet, view)
    .create(&snippet_fields(
        Field::required("name", NAME),
        Field::required("content", CONTENT),
    ))
    .update(&snippet_fields(
        Field::optional("name", NAME),
        Field::optional("content", CONTENT),
    ))
    .before_create(before_create)
    .before_update(before_update);

/// The list: the snippets without their content.
static OUTLINE: Resource = Resource::new(Kind::Snippet, listed)
    .filters(&filters(text_filter("name", member!("name"))))
    .sorts(&[
        CREATED_AT,
        UPDATED_AT,
        by("name", member!("name")),
        by("title", member!("title")),
        by("visibility", member!("visibility")),
    ]);

/// Shows a snippet with its content.
fn view(_: &World, row: &Row) -> Value {
    Value::Object(outline(row, &["name", "content"]))
}

/// Shows a snippet in a list.
fn listed(_: &World, row: &Row) -> Value {
    Value::Object(outline(row, &["name"]))
}

fn check_name(call: &Call<'_>, portal: Uuid, except: Option<Uuid>) -> Result<(), Problem> {
    let name = call.text("name").unwrap_or_default();
    let taken = call.body.contains_key("name")
        && call
            .world
            .children(Kind::Snippet, Some(portal))
            .any(|row| Some(row.id) != except && row.text("name") == name);
    // No operation on snippets declares a 409.
    if taken {
        let reason = "\"name\" is already in use";
        return Err(Problem::invalid_body("name", "invalid", reason));
    }
    Ok(())
}

/// Refuses a name in use and fills in defaults: the name is the title, which the list requires, and
/// the portal says who sees the snippet.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.last_id();
    read_front_matter(call)?;
    check_name(call, portal, None)?;
    fill_defaults(call)?;
    let name = call.body["name"].clone();
    call.fill("title", name);
    Ok(())
}

/// Refuses a name in use.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    read_front_matter(call)?;
    check_name(call, call.ids[0], Some(call.last_id()))
}
