//! What a portal shows, through the client at the local Konnect: pages, snippets, default content
//! and assets are made, read, changed and ended.

use chrono::DateTime;
use konnect::content::{
    Asset, ListPages, ListSnippets, MovePage, NewPage, NewSnippet, PageId, PageNode, PageUpdate,
    PublishedStatus, SnippetUpdate,
};
use konnect::{
    Client, NewPortal, Patch, PortalId, PortalUpdate, Sort, SortBy, TextFilter, TimeFilter,
    ValueFilter, Visibility,
};
use konnect_emulator::Emulator;
use uuid::Uuid;

/// A local Konnect with a portal that shows its pages to all.
async fn portal() -> (Emulator, Client, PortalId) {
    let konnect = Emulator::start().await.unwrap();
    let client = Client::builder(konnect.url().parse().unwrap());
    let client = client.token(konnect.token().into()).build().unwrap();
    let new = NewPortal {
        name: "P".to_owned(),
        default_page_visibility: Some(Visibility::Public),
        ..NewPortal::default()
    };
    let portal = client.portals().create(&new).await.unwrap().id;
    (konnect, client, portal)
}

fn page(slug: &str, parent_page_id: Option<PageId>) -> NewPage {
    NewPage {
        slug: slug.to_owned(),
        content: format!("# {slug}"),
        parent_page_id,
        ..NewPage::default()
    }
}

/// The paths of a tree in its order.
fn paths(nodes: &[PageNode], above: &str) -> Vec<String> {
    let each = nodes.iter().flat_map(|node| {
        let path = format!("{above}{}", node.slug);
        let below = paths(&node.children, &path);
        [path].into_iter().chain(below)
    });
    each.collect()
}

#[tokio::test]
async fn pages_are_made_read_changed_and_deleted() {
    let (_konnect, client, portal) = portal().await;
    let pages = client.portal(portal).pages();
    let guides = pages.create(&page("guides", None)).await.unwrap();
    assert_eq!(guides.slug, "/guides", "a slug is shown with its slash");
    assert_eq!(guides.title.as_deref(), Some("guides"));
    assert_eq!(guides.description, None);
    assert_eq!(guides.visibility, Some(Visibility::Public), "the portal's");
    assert_eq!(guides.status, Some(PublishedStatus::Unpublished));
    assert_eq!(guides.parent_page_id, None);
    assert!(guides.created_at.is_some());

    let new = NewPage {
        title: Some("Beside".to_owned()),
        description: Some("Beside".to_owned()),
        content: "---\ntitle: Within\n---\n# First".to_owned(),
        visibility: Some(Visibility::Private),
        status: Some(PublishedStatus::Published),
        ..page("/first", Some(guides.id))
    };
    let first = pages.create(&new).await.unwrap();
    assert_eq!(
        first.title.as_deref(),
        Some("Within"),
        "front matter wins over what is sent beside it"
    );
    assert_eq!(first.description.as_deref(), Some("Beside"));
    assert_eq!(first.parent_page_id, Some(guides.id));
    assert_eq!(pages.get(first.id).await.unwrap(), first);

    let update = PageUpdate {
        title: Some("Start".to_owned()),
        parent_page_id: Patch::Null,
        ..PageUpdate::default()
    };
    let updated = pages.update(first.id, &update).await.unwrap();
    assert_eq!(updated.title.as_deref(), Some("Start"));
    assert_eq!(updated.parent_page_id, None);
    assert_eq!(updated.content, first.content, "what is kept stays");
    assert_eq!(pages.get(first.id).await.unwrap(), updated);

    let update = PageUpdate {
        parent_page_id: first.id.into(),
        ..PageUpdate::default()
    };
    pages.update(guides.id, &update).await.unwrap();
    pages.delete(first.id).await.unwrap();
    for id in [first.id, guides.id] {
        let error = pages.get(id).await.unwrap_err();
        assert!(error.is_not_found(), "a page ends with the one above it");
    }
    assert_eq!(pages.list(&ListPages::default()).await.unwrap(), []);
}

#[tokio::test]
async fn pages_move_in_their_tree() {
    let (_konnect, client, portal) = portal().await;
    let pages = client.portal(portal).pages();
    let mut ids = Vec::new();
    for slug in ["/a", "/b", "/c"] {
        ids.push(pages.create(&page(slug, None)).await.unwrap().id);
    }
    let [a, b, c] = ids[..] else { unreachable!() };
    let deep = pages.create(&page("/d", Some(a))).await.unwrap().id;
    let twin = pages.create(&page("/b", Some(a))).await.unwrap().id;
    // What is moved below what, to which place, the status of a refusal, and the tree after it.
    let moves = [
        (c, None, Some(0), None, "/c /a /a/d /a/b /b"),
        (c, None, Some(-1), None, "/a /a/d /a/b /b /c"),
        (c, None, Some(-2), None, "/a /a/d /a/b /c /b"),
        (a, None, None, None, "/c /b /a /a/d /a/b"),
        (c, Some(a), Some(1), None, "/b /a /a/d /a/c /a/b"),
        (c, Some(deep), None, None, "/b /a /a/d /a/d/c /a/b"),
        (b, Some(deep), Some(9), None, "/a /a/d /a/d/c /a/d/b /a/b"),
        (a, Some(b), None, Some(409), "/a /a/d /a/d/c /a/d/b /a/b"),
        (b, Some(a), None, Some(409), "/a /a/d /a/d/c /a/d/b /a/b"),
        (
            twin,
            Some(PageId(Uuid::nil())),
            None,
            Some(404),
            "/a /a/d /a/d/c /a/d/b /a/b",
        ),
    ];
    for (id, parent_page_id, index, refused, tree) in moves {
        let place = MovePage {
            parent_page_id,
            index,
        };
        let status = match pages.move_to(id, &place).await {
            Ok(()) => None,
            Err(error) => error.status(),
        };
        assert_eq!(status, refused, "{place:?}");
        let nodes = pages.list(&ListPages::default()).await.unwrap();
        assert_eq!(paths(&nodes, "").join(" "), tree, "{place:?}");
    }
}

#[tokio::test]
async fn the_tree_holds_what_matches() {
    let (_konnect, client, portal) = portal().await;
    let pages = client.portal(portal).pages();
    let a = pages.create(&page("/a", None)).await.unwrap();
    let b = pages.create(&page("/b", Some(a.id))).await.unwrap();
    pages.create(&page("/c", Some(b.id))).await.unwrap();
    let past = DateTime::UNIX_EPOCH;
    let all = ListPages::default;
    for (options, found) in [
        (all(), "/a /a/b /a/b/c"),
        (
            ListPages {
                id: Some(ValueFilter::Neq(b.id)),
                ..all()
            },
            "/a /c",
        ),
        (
            ListPages {
                slug: Some(TextFilter::OneOf(vec!["/b".to_owned(), "/c".to_owned()])),
                ..all()
            },
            "/b /b/c",
        ),
        (
            ListPages {
                title: Some("c".into()),
                ..all()
            },
            "/c",
        ),
        (
            ListPages {
                visibility: Some(Visibility::Private.into()),
                ..all()
            },
            "",
        ),
        (
            ListPages {
                created_at: Some(TimeFilter::Before(past)),
                ..all()
            },
            "",
        ),
        (
            ListPages {
                updated_at: Some(TimeFilter::Since(past)),
                sort: Some(Sort::descending(SortBy::Slug)),
                ..all()
            },
            "/a /a/b /a/b/c",
        ),
    ] {
        let nodes = pages.list(&options).await.unwrap();
        assert_eq!(paths(&nodes, "").join(" "), found, "{options:?}");
    }
}

#[tokio::test]
async fn a_list_of_snippets_holds_what_matches() {
    let (_konnect, client, portal) = portal().await;
    let past = DateTime::UNIX_EPOCH;
    let snippets = client.portal(portal).snippets();
    for name in ["nav", "toc", "banner"] {
        let new = NewSnippet {
            name: name.to_owned(),
            ..NewSnippet::default()
        };
        snippets.create(&new).await.unwrap();
    }
    let all = ListSnippets {
        page_size: Some(2),
        ..ListSnippets::default()
    };
    for (options, found) in [
        (all.clone(), "nav toc banner"),
        (
            ListSnippets {
                sort: Some(SortBy::Name.into()),
                ..all.clone()
            },
            "banner nav toc",
        ),
        (
            ListSnippets {
                name: Some(TextFilter::Contains("n".to_owned())),
                title: Some(TextFilter::Neq("nav".to_owned())),
                ..all.clone()
            },
            "banner",
        ),
        (
            ListSnippets {
                visibility: Some(Visibility::Public.into()),
                created_at: Some(TimeFilter::Until(past)),
                ..all
            },
            "",
        ),
    ] {
        let listed = snippets.list(&options).await.unwrap();
        let names: Vec<_> = listed.into_iter().map(|snippet| snippet.name).collect();
        assert_eq!(names.join(" "), found, "{options:?}");
    }
}

#[tokio::test]
async fn snippets_are_made_read_changed_and_deleted() {
    let (_konnect, client, portal) = portal().await;
    let snippets = client.portal(portal).snippets();
    let new = NewSnippet {
        name: "nav".to_owned(),
        content: "---\ndescription: 'Where to go'\n---".to_owned(),
        ..NewSnippet::default()
    };
    let made = snippets.create(&new).await.unwrap();
    assert_eq!(made.title.as_deref(), Some("nav"));
    assert_eq!(made.description.as_deref(), Some("Where to go"));
    assert_eq!(made.visibility, Some(Visibility::Public), "the portal's");
    assert_eq!(made.status, Some(PublishedStatus::Unpublished));
    assert_eq!(snippets.get(made.id).await.unwrap(), made);
    let taken = snippets.create(&new).await.unwrap_err();
    assert_eq!(taken.status(), Some(400), "{taken}");

    let update = SnippetUpdate {
        name: Some("menu".to_owned()),
        status: Some(PublishedStatus::Published),
        ..SnippetUpdate::default()
    };
    let updated = snippets.update(made.id, &update).await.unwrap();
    assert_eq!(updated.name, "menu");
    assert_eq!(updated.status, Some(PublishedStatus::Published));
    assert_eq!(updated.content, made.content, "what is kept stays");
    assert_eq!(snippets.get(made.id).await.unwrap(), updated);
    snippets.delete(made.id).await.unwrap();
    let error = snippets.delete(made.id).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn default_content_adds_what_is_not_there() {
    let (_konnect, client, portal) = portal().await;
    let portal = client.portal(portal);
    let home = portal.pages().create(&page("/home", None)).await.unwrap();
    let made = portal.create_default_content().await.unwrap();
    assert_eq!(made.pages, ["/about", "/privacy"]);
    assert_eq!(made.snippets.len(), 2);
    let nodes = portal.pages().list(&ListPages::default()).await.unwrap();
    assert_eq!(paths(&nodes, "").join(" "), "/home /about /privacy");
    assert_eq!(nodes[1].status, Some(PublishedStatus::Published));
    assert_eq!(portal.pages().get(home.id).await.unwrap(), home);
    let options = ListSnippets::default();
    let snippets = portal.snippets().list(&options).await.unwrap();
    let names = snippets.into_iter().map(|snippet| snippet.name);
    assert_eq!(names.collect::<Vec<_>>(), made.snippets);

    let again = portal.create_default_content().await.unwrap();
    assert!(again.pages.is_empty() && again.snippets.is_empty());
}

#[tokio::test]
async fn assets_are_replaced_and_read_as_bytes() {
    let (_konnect, client, portal) = portal().await;
    let assets = client.portal(portal).assets();
    assert_eq!(assets.logo().await.unwrap(), None);
    assert_eq!(assets.favicon_raw().await.unwrap(), None);
    let logo = Asset::new("image/svg+xml", b"<svg/>");
    assert_eq!(assets.replace_logo(&logo).await.unwrap(), logo);
    let favicon = Asset::new("image/png", b"\x89PNG\r\n");
    assert_eq!(assets.replace_favicon(&favicon).await.unwrap(), favicon);
    assert_eq!(assets.logo().await.unwrap(), Some(logo));
    assert_eq!(assets.favicon().await.unwrap(), Some(favicon));
    let raw = assets.logo_raw().await.unwrap().unwrap();
    assert_eq!(raw.media_type.as_deref(), Some("image/svg+xml"));
    assert_eq!(raw.bytes, b"<svg/>");
    let raw = assets.favicon_raw().await.unwrap().unwrap();
    assert_eq!(raw.media_type.as_deref(), Some("image/png"));
    assert_eq!(raw.bytes, b"\x89PNG\r\n");
    let other = Asset::new("image/jpeg", &[0xff, 0xd8]);
    assets.replace_logo(&other).await.unwrap();
    assert_eq!(assets.logo().await.unwrap(), Some(other));
    let wrong = Asset::new("image/webp", b"RIFF");
    let error = assets.replace_logo(&wrong).await.unwrap_err();
    assert_eq!(error.status(), Some(400), "{error}");
}

#[tokio::test]
async fn content_ends_with_its_portal_and_follows_its_default() {
    let (_konnect, client, id) = portal().await;
    let portal = client.portal(id);
    let made = portal.pages().create(&page("/", None)).await.unwrap();
    let update = PortalUpdate {
        default_page_visibility: Some(Visibility::Private),
        ..PortalUpdate::default()
    };
    portal.update(&update).await.unwrap();
    let later = portal.pages().create(&page("/later", None)).await.unwrap();
    assert_eq!(later.visibility, Some(Visibility::Private));
    let before = portal.pages().get(made.id).await.unwrap();
    assert_eq!(before.visibility, Some(Visibility::Public));
    portal.delete(false).await.unwrap();
    for status in [
        portal.pages().get(made.id).await.unwrap_err().status(),
        portal.create_default_content().await.unwrap_err().status(),
        portal
            .snippets()
            .list(&ListSnippets::default())
            .await
            .unwrap_err()
            .status(),
    ] {
        assert_eq!(status, Some(404));
    }
}
