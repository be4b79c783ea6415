//! Documents of an API: a tree of Markdown texts with an order, each with a title and a slug.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    query::Paging,
    resource::Resource,
    resources::{
        content::value_of,
        members::{SLUG, TEXT, is_slug, member, slugify, text_filter},
        tree::{INDEX, ORDER, Tree, has_slug, last_place},
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/apis/{apiId}/documents", 200, Act::Special(None, list_tree)),
    op("POST",   "/v3/apis/{apiId}/documents", 201, Act::Create(&DOCUMENT)).also(&[409]),
    op("GET",    "/v3/apis/{apiId}/documents/{documentId}", 200, Act::Get(&DOCUMENT)),
    op("PATCH",  "/v3/apis/{apiId}/documents/{documentId}", 200, Act::Update(&DOCUMENT)).also(&[409]).with_body(),
    op("DELETE", "/v3/apis/{apiId}/documents/{documentId}", 204, Act::Delete(&DOCUMENT)),
    op("POST",   "/v3/apis/{apiId}/documents/{documentId}/move", 204, Act::Special(Some(PLACE), move_document))
        .also(&[409]).dropping_unknown().with_body(),
];

const STATUSES: &[&str] = &["published", "unpublished"];

static TREE: Tree = Tree {
    kind: Kind::ApiDocument,
    above: "parent_document_id",
    noun: "document",
};

/// What a move may hold. The schema forgets the null that the operation's description asks for.
const PLACE: &[Field] = &[
    Field::optional("parent_document_id", Rule::Uuid).or_null(),
    INDEX,
];

/// The members of a document.
const fn document_fields(content: Field) -> [Field; 8] {
    [
        content,
        Field::optional("title", TEXT),
        Field::optional("slug", SLUG),
        Field::optional("status", Rule::Choice(STATUSES)),
        Field::optional("parent_document_id", Rule::Uuid).or_null(),
        Field::read_only("id"),
        Field::read_only("created_at"),
        Field::read_only("updated_at"),
    ]
}

static DOCUMENT: Resource = Resource::new(Kind::ApiDocument, view)
    .create(&document_fields(Field::required("content", TEXT)))
    .update(&document_fields(Field::optional("content", TEXT)))
    .before_create(before_create)
    .before_update(before_update);

/// The list: the documents without their content, each beside the others.
static NODE: Resource = Resource::new(Kind::ApiDocument, node)
    .filters(&[text_filter("status", member!("status"))])
    .paging(Paging::Whole);

/// Shows a document with its content.
fn view(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&["title", "slug", "status", "parent_document_id", "content"]))
}

/// Shows a document of the tree, before it has its children.
fn node(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["title", "slug", "status", "parent_document_id"]);
    shown.insert("children".to_owned(), json!([]));
    Value::Object(shown)
}

fn list_tree(call: &mut Call<'_>) -> Result<Value, Problem> {
    TREE.list(call, &NODE.listing)
}

fn move_document(call: &mut Call<'_>) -> Result<Value, Problem> {
    TREE.move_row(call)
}

fn slug_in_use() -> Problem {
    Problem::conflict("A document with this slug is already there")
}

/// Takes what the front matter says and the body does not, and refuses a parent that there is not.
fn prepare(call: &mut Call<'_>, api: Uuid) -> Result<(), Problem> {
    let content = call.text("content").unwrap_or_default();
    let found = ["title", "slug", "status"].map(|name| (name, value_of(content, name)));
    for (name, value) in found {
        let Some(value) = value.filter(|_| !call.body.contains_key(name)) else {
            continue;
        };
        let wrong = match name {
            "slug" if !is_slug(&value) => Some(("pattern", "must be a valid slug")),
            "status" if !STATUSES.contains(&value.as_str()) => {
                Some(("enum", "must be one of [published, unpublished]"))
            }
            _ => None,
        };
        if let Some((rule, reason)) = wrong {
            let mistake = InvalidParameter::body(name, rule, format!("\"{name}\" {reason}"));
            let mistake = if rule == "enum" {
                mistake.with("choices", json!(STATUSES))
            } else {
                mistake
            };
            return Err(Problem::invalid(vec![mistake]));
        }
        call.body.insert(name.to_owned(), json!(value));
    }
    TREE.check_parent(call, api)
}

/// Returns the first heading of a Markdown text.
fn heading(content: &str) -> Option<&str> {
    let mut lines = content.lines();
    let found = lines.find_map(|line| line.strip_prefix("# "))?.trim();
    (!found.is_empty()).then_some(found)
}

/// Refuses a slug that a sibling has, and fills in defaults: the title is the first heading, the
/// slug is made of the title, and the document is the last of its siblings.
fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let api = call.last_id();
    prepare(call, api)?;
    let title = heading(call.text("content").unwrap_or_default());
    let title = title.or_else(|| call.text("slug")).unwrap_or("Document");
    call.fill("title", json!(title.to_owned()));
    let slug = slugify(call.text("title").unwrap_or_default(), "document");
    call.fill("slug", json!(slug));
    let parent = call.reference("parent_document_id");
    let siblings = TREE.siblings(call.world, api, parent, None);
    if has_slug(&siblings, call.text("slug").unwrap_or_default()) {
        return Err(slug_in_use());
    }
    TREE.check_depth(call.world, api, None, parent)?;
    let order = last_place(&siblings);
    call.fill("status", json!("unpublished"));
    call.fill("parent_document_id", Value::Null);
    call.fill(ORDER, json!(order));
    Ok(())
}

/// Refuses what cannot be where it is to be.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    prepare(call, call.ids[0])?;
    TREE.before_update(call, slug_in_use)
}
