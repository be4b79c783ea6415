//! Pages of a portal: a tree with an order, in which every page has its slug and its title.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::Paging,
    resource::Resource,
    resources::{
        content::{CONTENT, OPTIONS, fill_defaults, filters, outline, read_front_matter},
        members::{CREATED_AT, UPDATED_AT, by, member, text_filter},
        tree::{INDEX, ORDER, Tree, has_slug, last_place},
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/pages", 200, Act::Special(None, list_tree)),
    op("POST",   "/v3/portals/{portalId}/pages", 201, Act::Create(&PAGE)),
    op("GET",    "/v3/portals/{portalId}/pages/{pageId}", 200, Act::Get(&PAGE)),
    op("PATCH",  "/v3/portals/{portalId}/pages/{pageId}", 200, Act::Update(&PAGE)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/pages/{pageId}", 204, Act::Delete(&PAGE)),
    op("POST",   "/v3/portals/{portalId}/pages/{pageId}/move", 201, Act::Special(Some(PLACE), move_page))
        .also(&[409]).dropping_unknown(),
];

const SLUG_LENGTH: usize = 512;
const SLUG: Rule = Rule::Text {
    min: 0,
    max: SLUG_LENGTH,
};

static TREE: Tree = Tree {
    kind: Kind::Page,
    above: "parent_page_id",
    noun: "page",
};

/// What a move may hold. The schema does not forbid other members, and forgets the null that the
/// operation's description asks for.
const PLACE: &[Field] = &[
    Field::optional("parent_page_id", Rule::Uuid).or_null(),
    INDEX,
];

/// The members of a page, of which a creation must hold the first two.
const fn page_fields(slug: Field, content: Field) -> [Field; 7] {
    let [title, description, visibility, status] = OPTIONS;
    let parent = Field::optional("parent_page_id", Rule::Uuid).or_null();
    [
        slug,
        content,
        title,
        description,
        visibility,
        status,
        parent,
    ]
}

static PAGE: Resource = Resource::new(Kind::Page, view)
    .create(&page_fields(
        Field::required("slug", SLUG),
        Field::required("content", CONTENT),
    ))
    .update(&page_fields(
        Field::optional("slug", SLUG),
        Field::optional("content", CONTENT),
    ))
    .before_create(before_create)
    .before_update(before_update);

/// The list: the pages without their content, each beside the others.
static NODE: Resource = Resource::new(Kind::Page, node)
    .filters(&filters(text_filter("slug", member!("slug"))))
    .sorts(&[
        CREATED_AT,
        UPDATED_AT,
        by("slug", member!("slug")),
        by("title", member!("title")),
        by("visibility", member!("visibility")),
    ])
    .paging(Paging::Whole);

/// Shows a page with its content.
fn view(_: &World, row: &Row) -> Value {
    Value::Object(outline(row, &["slug", "content", "parent_page_id"]))
}

/// Shows a page of the tree, before it has its children.
fn node(_: &World, row: &Row) -> Value {
    let mut shown = outline(row, &["slug", "parent_page_id"]);
    shown.insert("children".to_owned(), json!([]));
    Value::Object(shown)
}

fn list_tree(call: &mut Call<'_>) -> Result<Value, Problem> {
    TREE.list(call, &NODE.listing)
}

fn move_page(call: &mut Call<'_>) -> Result<Value, Problem> {
    TREE.move_row(call)
}

/// Konnect shows a slug with a slash before it, whether it was sent with one or not. One that would
/// become too long for its own answer stays as it is.
fn with_slash(slug: &str) -> String {
    if slug.starts_with('/') || slug.chars().count() >= SLUG_LENGTH {
        slug.to_owned()
    } else {
        format!("/{slug}")
    }
}

fn slug_in_use() -> Problem {
    Problem::invalid_body("slug", "invalid", "\"slug\" is already in use")
}

/// Takes what the content says of itself, completes the slug, and refuses a parent that there is
/// not.
fn prepare(call: &mut Call<'_>, portal: Uuid) -> Result<(), Problem> {
    read_front_matter(call)?;
    if let Some(slug) = call.text("slug").map(with_slash) {
        call.body.insert("slug".to_owned(), json!(slug));
    }
    TREE.check_parent(call, portal)
}

/// Refuses a slug that a sibling has, and fills in defaults: the slug is the title, the portal says
/// who sees the page, and the page is the last of its siblings. No 409 is declared.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.last_id();
    prepare(call, portal)?;
    let slug = call.text("slug").unwrap_or_default().to_owned();
    let parent = call.reference("parent_page_id");
    let siblings = TREE.siblings(call.world, portal, parent, None);
    if has_slug(&siblings, &slug) {
        return Err(slug_in_use());
    }
    TREE.check_depth(call.world, portal, None, parent)?;
    let order = last_place(&siblings);
    fill_defaults(call)?;
    let title = slug.strip_prefix('/').filter(|rest| !rest.is_empty());
    call.fill("title", json!(title.unwrap_or(&slug)));
    call.fill("parent_page_id", Value::Null);
    call.fill(ORDER, json!(order));
    Ok(())
}

/// Refuses what cannot be where it is to be.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    prepare(call, call.ids[0])?;
    TREE.before_update(call, slug_in_use)
}
