//! Pages of a portal: a tree with an order, in which every page has its slug and its title.

use std::collections::{HashMap, HashSet};

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

/// How many pages may be above one another. The list shows the whole tree, and parsers of JSON bear
/// no depth at will.
const MAX_DEPTH: usize = 50;

/// The member that holds a page's place among its siblings, from 0; no two have the same.
const ORDER: &str = "order";

/// What a move may hold. The schema does not forbid other members, and forgets the null that the
/// operation's description asks for.
const PLACE: &[Field] = &[
    Field::optional("parent_page_id", Rule::Uuid).or_null(),
    Field::optional(
        "index",
        Rule::Integer {
            min: i32::MIN,
            max: i32::MAX,
        },
    ),
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

/// Shows the pages that match as a tree. One whose parent does not match stands at the top.
fn list_tree(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.last_id();
    let mut rows: Vec<&Row> = call.world.children(Kind::Page, Some(portal)).collect();
    rows.sort_by_key(|row| order_of(row));
    let mut list = call.list(rows, &NODE.listing)?;
    let pages = match list["data"].take() {
        Value::Array(pages) => pages,
        _ => Vec::new(),
    };
    Ok(json!({"data": tree(pages)}))
}

/// Puts pages below their parents, in the order they have.
fn tree(pages: Vec<Value>) -> Vec<Value> {
    let listed: HashSet<Value> = pages.iter().map(|page| page["id"].clone()).collect();
    let mut below: HashMap<Value, Vec<Value>> = HashMap::new();
    for page in pages {
        let parent = &page["parent_page_id"];
        let parent = if listed.contains(parent) {
            parent.clone()
        } else {
            Value::Null
        };
        below.entry(parent).or_default().push(page);
    }
    grow(&Value::Null, &mut below)
}

fn grow(parent: &Value, below: &mut HashMap<Value, Vec<Value>>) -> Vec<Value> {
    let mut pages = below.remove(parent).unwrap_or_default();
    for page in &mut pages {
        page["children"] = json!(grow(&page["id"].clone(), below));
    }
    pages
}

fn order_of(row: &Row) -> u64 {
    row.get(ORDER).as_u64().unwrap_or_default()
}

/// Lists the pages below a page, or those at the top, in their order and without one of them.
fn siblings(world: &World, portal: Uuid, parent: Option<Uuid>, without: Option<Uuid>) -> Vec<&Row> {
    let mut rows: Vec<&Row> = world
        .children(Kind::Page, Some(portal))
        .filter(|row| row.reference("parent_page_id") == parent && Some(row.id) != without)
        .collect();
    rows.sort_by_key(|row| order_of(row));
    rows
}

/// Returns the place behind the last of some siblings.
fn last_place(siblings: &[&Row]) -> u64 {
    siblings.last().map_or(0, |row| order_of(row) + 1)
}

fn has_slug(siblings: &[&Row], slug: &str) -> bool {
    siblings.iter().any(|row| row.text("slug") == slug)
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

/// Returns whether a page is another one, or below it.
fn is_within(world: &World, page: Uuid, other: Uuid) -> bool {
    let mut at = Some(page);
    while let Some(id) = at {
        if id == other {
            return true;
        }
        at = parent_of(world, id);
    }
    false
}

fn parent_of(world: &World, page: Uuid) -> Option<Uuid> {
    let row = world.find(Kind::Page, page)?;
    row.reference("parent_page_id")
}

/// Returns whether a page, with what is below it, would be too deep below a parent. One that is yet
/// to be made has nothing below it.
fn is_too_deep(world: &World, portal: Uuid, page: Option<Uuid>, parent: Option<Uuid>) -> bool {
    let above = std::iter::successors(parent, |page| parent_of(world, *page)).count();
    let mut height = 1;
    let mut level: HashSet<Uuid> = page.into_iter().collect();
    while above + height <= MAX_DEPTH {
        let is_below = |row: &&Row| {
            let parent = row.reference("parent_page_id");
            parent.is_some_and(|parent| level.contains(&parent))
        };
        let below = world.children(Kind::Page, Some(portal)).filter(is_below);
        level = below.map(|row| row.id).collect();
        if level.is_empty() {
            return false;
        }
        height += 1;
    }
    true
}

fn too_deep() -> Problem {
    let reason = format!("there cannot be more than {MAX_DEPTH} pages above one another");
    Problem::invalid_body("parent_page_id", "invalid", reason)
}

/// Returns whether a page may be the parent of one of a portal.
fn is_of_portal(world: &World, portal: Uuid, page: Uuid) -> bool {
    world
        .find(Kind::Page, page)
        .is_some_and(|row| row.parent == Some(portal))
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
    let Some(parent) = call.reference("parent_page_id") else {
        return Ok(());
    };
    if !is_of_portal(call.world, portal, parent) {
        return Err(Problem::invalid_body(
            "parent_page_id",
            "missing_reference",
            "this page does not exist",
        ));
    }
    call.body.insert("parent_page_id".to_owned(), json!(parent));
    Ok(())
}

/// Refuses a slug that a sibling has, and fills in defaults: the slug is the title, the portal says
/// who sees the page, and the page is the last of its siblings. No 409 is declared.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.last_id();
    prepare(call, portal)?;
    let slug = call.text("slug").unwrap_or_default().to_owned();
    let parent = call.reference("parent_page_id");
    let siblings = siblings(call.world, portal, parent, None);
    if has_slug(&siblings, &slug) {
        return Err(slug_in_use());
    }
    if is_too_deep(call.world, portal, None, parent) {
        return Err(too_deep());
    }
    let order = last_place(&siblings);
    fill_defaults(call)?;
    let title = slug.strip_prefix('/').filter(|rest| !rest.is_empty());
    call.fill("title", json!(title.unwrap_or(&slug)));
    call.fill("parent_page_id", Value::Null);
    call.fill(ORDER, json!(order));
    Ok(())
}

/// Refuses a slug that a sibling has and a parent below the page itself. A page with a new parent
/// becomes the last one there.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    let (portal, page) = (call.ids[0], call.last_id());
    prepare(call, portal)?;
    let row = call.row(Kind::Page, page)?;
    let before = row.reference("parent_page_id");
    let parent = if call.body.contains_key("parent_page_id") {
        call.reference("parent_page_id")
    } else {
        before
    };
    if parent.is_some_and(|parent| is_within(call.world, parent, page)) {
        let reason = "a page cannot be below itself";
        return Err(Problem::invalid_body("parent_page_id", "invalid", reason));
    }
    let siblings = siblings(call.world, portal, parent, Some(page));
    let slug = call.text("slug").unwrap_or_else(|| row.text("slug"));
    if has_slug(&siblings, slug) {
        return Err(slug_in_use());
    }
    if parent != before {
        if is_too_deep(call.world, portal, Some(page), parent) {
            return Err(too_deep());
        }
        let order = last_place(&siblings);
        call.body.insert(ORDER.to_owned(), json!(order));
    }
    Ok(())
}

/// Moves a page to a place below another, or at the top. Without an index it becomes the last one;
/// an index beyond an end is that end.
fn move_page(call: &mut Call<'_>) -> Result<Value, Problem> {
    let (portal, page) = (call.ids[0], call.last_id());
    let parent = call.reference("parent_page_id");
    if parent.is_some_and(|parent| !is_of_portal(call.world, portal, parent)) {
        return Err(Problem::not_found());
    }
    if parent.is_some_and(|parent| is_within(call.world, parent, page)) {
        return Err(Problem::conflict("A page cannot be moved below itself"));
    }
    if is_too_deep(call.world, portal, Some(page), parent) {
        return Err(too_deep());
    }
    let row = call.row(Kind::Page, page)?;
    let siblings = siblings(call.world, portal, parent, Some(page));
    if has_slug(&siblings, row.text("slug")) {
        return Err(Problem::conflict("A page with this slug is already there"));
    }
    let mut order: Vec<Uuid> = siblings.iter().map(|row| row.id).collect();
    let index = call.body.get("index").and_then(Value::as_i64);
    order.insert(place(index.unwrap_or(-1), order.len()), page);
    let mut value = row.value.clone();
    value.insert("parent_page_id".to_owned(), json!(parent));
    call.world.replace(page, value, call.now);
    for (place, id) in order.into_iter().enumerate() {
        let row = call.row(Kind::Page, id)?;
        let (mut value, at) = (row.value.clone(), row.updated_at);
        value.insert(ORDER.to_owned(), json!(place));
        // A page that makes room is not changed by that.
        call.world.replace(id, value, at);
    }
    Ok(Value::Null)
}

/// Returns the place that an index means among `others`: a negative one counts from the end, where
/// -1 is behind all of them.
fn place(index: i64, others: usize) -> usize {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index < 0 {
        (others + 1).saturating_sub(distance)
    } else {
        distance.min(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_counts_from_either_end() {
        for (index, expected) in [
            (0, 0),
            (2, 2),
            (3, 3),
            (4, 3),
            (-1, 3),
            (-2, 2),
            (-4, 0),
            (-5, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(place(index, 3), expected, "{index}");
        }
    }
}
