//! The pages and snippets that a new portal can be filled with.

use serde_json::{Value, json};

use crate::{
    call::{Call, Check},
    operation::{Act, Operation, op},
    problem::Problem,
    resources::{pages, snippets},
    state::Kind,
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("POST", "/v3/portals/{portalId}/default-content", 201, Act::Special(None, create)),
];

/// Slug, title and content of each page.
const PAGES: [(&str, &str, &str); 3] = [
    ("/about", "About", "# About\n\nWho offers these APIs."),
    ("/home", "Home", "# Home\n\nThe APIs of this portal."),
    ("/privacy", "Privacy", "# Privacy\n\nWhat becomes of data."),
];

/// Name and content of each snippet.
const SNIPPETS: [(&str, &str); 2] = [
    ("guides-sidebar-navigation", "- [Guides](/guides)"),
    ("guides-sidebar-toc", "On this page"),
];

/// Makes what is not there yet, published, and names it. What a portal looks like has its default
/// anyway.
fn create(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.last_id();
    let (mut made_pages, mut made_snippets) = (Vec::new(), Vec::new());
    for (slug, title, content) in PAGES {
        let is_there = call
            .world
            .children(Kind::Page, Some(portal))
            .any(|row| row.text("slug") == slug && row.get("parent_page_id").is_null());
        if !is_there {
            let body = json!({"slug": slug, "title": title, "content": content});
            insert(call, Kind::Page, body, pages::before_create)?;
            made_pages.push(slug);
        }
    }
    for (name, content) in SNIPPETS {
        let known = call
            .world
            .find_named(Kind::Snippet, Some(portal), "name", name);
        if known.is_none() {
            let body = json!({"name": name, "content": content});
            insert(call, Kind::Snippet, body, snippets::before_create)?;
            made_snippets.push(name);
        }
    }
    Ok(json!({"pages": made_pages, "snippets": made_snippets}))
}

fn insert(
    call: &mut Call<'_>,
    kind: Kind,
    mut body: Value,
    complete: Check,
) -> Result<(), Problem> {
    body["status"] = json!("published");
    call.body = body.as_object().cloned().unwrap_or_default();
    complete(call)?;
    let body = std::mem::take(&mut call.body);
    let portal = call.last_id();
    call.world.insert(kind, Some(portal), body, call.now);
    Ok(())
}
