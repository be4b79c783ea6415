//! What pages, snippets and assets refuse, and what they show and leave out, in raw HTTP.

use serde_json::{Value, json};

use crate::support::Konnect;

const PNG: &str = "data:image/png;base64,iVBORw==";

/// Calls that are refused: method and path, body, the field that is named, its rule (none where any
/// will do). `PAGE` has `BELOW` below it; `WIDE` is a text of 513 characters.
const REFUSED: &str = r#"
POST pages | {} | slug | required
POST pages | {"slug": "/d"} | content | required
POST pages | {"slug": "WIDE", "content": ""} | slug | max_length
POST pages | {"slug": "/d", "content": "---\ntitle: WIDE\n---"} | title | max_length
POST pages | {"slug": "/d", "content": "", "status": "draft"} | status | enum
POST pages | {"slug": "/d", "content": "", "x": 1} | x | unknown_property
POST pages | {"slug": "a", "content": ""} | slug | invalid
POST pages | {"slug": "/d", "content": "", "parent_page_id": "NOBODY"} | parent_page_id | missing_reference
PATCH pages/PAGE | null | body | required
PATCH pages/PAGE | {"title": null} | title |
PATCH pages/PAGE | {"slug": "c"} | slug | invalid
PATCH pages/PAGE | {"description": "WIDE"} | description | max_length
PATCH pages/PAGE | {"visibility": "all"} | visibility | enum
PATCH pages/PAGE | {"parent_page_id": "a"} | parent_page_id | is_uuid
PATCH pages/PAGE | {"parent_page_id": "BELOW"} | parent_page_id | invalid
PATCH pages/PAGE | {"parent_page_id": "PAGE"} | parent_page_id | invalid
POST pages/PAGE/move | {"index": "0"} | index |
POST pages/PAGE/move | {"index": 0.5} | index |
POST pages/PAGE/move | {"parent_page_id": 1} | parent_page_id | is_uuid
GET pages?filter[content]=x | null | filter[content] | unknown_property
GET pages?filter[id][eq]=x | null | filter[id][eq] | is_uuid
GET pages?sort=content | null | sort | enum
POST snippets | {"name": "c"} | content | required
POST snippets | {"name": "a", "content": ""} | name | invalid
POST snippets | {"name": "c", "content": "", "slug": "/c"} | slug | unknown_property
PATCH snippets/SNIPPET | null | body | required
PATCH snippets/SNIPPET | {"name": "b"} | name | invalid
GET snippets?sort=slug | null | sort | enum
GET snippets?page[size]=x | null | page[size] | is_number
PUT assets/logo | {} | data | required
PUT assets/logo | {"data": "PNG", "filename": "a.png"} | filename | unknown_property
PUT assets/favicon | {"data": "data:image/png;base64,%"} | data |
PUT assets/favicon | {"data": "data:text/plain;base64,AAAA"} | data |
"#;

#[tokio::test]
async fn names_what_is_wrong_with_content() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let root = format!("/v3/portals/{portal}");
    let mut made: Vec<String> = Vec::new();
    for (path, body) in [
        ("pages", r#"{"slug": "/a", "content": ""}"#),
        (
            "pages",
            r#"{"slug": "/b", "content": "", "parent_page_id": "PAGE"}"#,
        ),
        ("pages", r#"{"slug": "/c", "content": ""}"#),
        ("snippets", r#"{"name": "a", "content": ""}"#),
        ("snippets", r#"{"name": "b", "content": ""}"#),
    ] {
        let body = made
            .first()
            .map_or_else(|| body.to_owned(), |id| body.replace("PAGE", id));
        let body = serde_json::from_str(&body).unwrap();
        let path = format!("{root}/{path}");
        let shown = konnect.expect(201, "POST", &path, body).await;
        made.push(shown["id"].as_str().unwrap().to_owned());
    }
    let refused = REFUSED
        .replace("PAGE", &made[0])
        .replace("BELOW", &made[1])
        .replace("SNIPPET", &made[3])
        .replace("NOBODY", "11111111-2222-4333-8444-555555555555")
        .replace("WIDE", &"é".repeat(513))
        .replace("PNG", PNG);
    let mut calls = 0;
    for line in refused.trim().lines() {
        let [call, body, field, rule] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let (method, path) = call.trim().split_once(' ').unwrap();
        let body = serde_json::from_str(body).unwrap();
        let path = format!("{root}/{path}");
        let problem = konnect.expect(400, method, &path, body).await;
        let first = &problem["invalid_parameters"][0];
        let (field, rule) = (field.trim(), rule.trim());
        assert_eq!(first["field"], field, "{line}: {problem}");
        let fits = rule.is_empty() || first["rule"] == rule;
        assert!(fits, "{line}: {problem}");
        calls += 1;
    }
    assert_eq!(calls, 33);
    let path = format!("{root}/pages");
    let tree = konnect.expect(200, "GET", &path, Value::Null).await;
    assert_eq!(tree["data"].as_array().unwrap().len(), 2, "{tree}");
}

#[tokio::test]
async fn shows_pages_and_assets_as_konnect_does() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let at = |path: &str| format!("/v3/portals/{portal}/{path}");
    let bare = json!({"slug": "guides", "content": "# Guides"});
    let page = konnect.expect(201, "POST", &at("pages"), bare).await;
    let id = page["id"].as_str().unwrap();
    assert_eq!(page["slug"], "/guides");
    assert_eq!(page["parent_page_id"], Value::Null);
    assert!(page.get("description").is_none(), "none is no text: {page}");
    // A slug is completed only as far as its answer may have it.
    let longest = json!({"slug": "é".repeat(512), "content": ""});
    let shown = konnect
        .expect(201, "POST", &at("pages"), longest.clone())
        .await;
    assert_eq!(shown["slug"], longest["slug"]);
    // A UUID in capitals is the same one.
    let below = json!({"slug": "/x", "content": "", "parent_page_id": id.to_uppercase()});
    konnect.expect(201, "POST", &at("pages"), below).await;
    let moved = at(&format!("pages/{id}/move"));
    for body in [
        Value::Null,
        json!({"parent_page_id": null, "index": 0, "more": 1}),
    ] {
        let answer = konnect.expect(201, "POST", &moved, body).await;
        assert_eq!(answer, Value::Null);
    }
    let tree = konnect.expect(200, "GET", &at("pages"), Value::Null).await;
    assert_eq!(tree["data"][0]["children"][0]["slug"], "/x", "{tree}");
    assert!(tree["data"][0].get("content").is_none() && tree.get("meta").is_none());

    for path in ["assets/logo", "assets/logo/raw", "assets/favicon"] {
        let response = konnect.request("GET", &at(path)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        let media_type = &response.headers()["content-type"];
        assert_eq!(media_type, "application/problem+json", "{path}");
    }
    let put = json!({"data": PNG});
    let path = at("assets/logo");
    let shown = konnect.expect(200, "PUT", &path, put.clone()).await;
    assert_eq!(shown, put);
    let raw = konnect.request("GET", &at("assets/logo/raw"));
    let raw = raw.send().await.unwrap();
    assert_eq!(raw.headers()["content-type"], "image/png");
    assert_eq!(raw.bytes().await.unwrap().as_ref(), b"\x89PNG");
    let path = at("assets/favicon");
    let problem = konnect.expect(404, "GET", &path, Value::Null).await;
    assert_eq!(problem["title"], "Not Found");
}

#[tokio::test]
async fn a_tree_of_pages_has_a_greatest_depth() {
    const DEEPEST: usize = 50;
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let pages = format!("/v3/portals/{portal}/pages");
    let add = async |status, parent: &Value| {
        let body = json!({"slug": "/a", "content": "", "parent_page_id": parent});
        konnect.expect(status, "POST", &pages, body).await["id"].clone()
    };
    let mut chain = vec![add(201, &Value::Null).await];
    while chain.len() < DEEPEST {
        chain.push(add(201, &chain[chain.len() - 1]).await);
    }
    add(400, &chain[DEEPEST - 1]).await;
    // Two pages fit below the last but two, and not below the last but one.
    let body = json!({"slug": "/b", "content": ""});
    let two = konnect.expect(201, "POST", &pages, body).await["id"].clone();
    add(201, &two).await;
    let two = format!("{pages}/{}", two.as_str().unwrap());
    for (status, from_end) in [(400, 2), (200, 3)] {
        let body = json!({"parent_page_id": chain[DEEPEST - from_end]});
        konnect.expect(status, "PATCH", &two, body.clone()).await;
        let status = if status == 200 { 201 } else { status };
        let path = format!("{two}/move");
        konnect.expect(status, "POST", &path, body).await;
    }
    konnect.expect(200, "GET", &pages, Value::Null).await;
    let first = format!("{pages}/{}", chain[0].as_str().unwrap());
    konnect.expect(204, "DELETE", &first, Value::Null).await;
    let tree = konnect.expect(200, "GET", &pages, Value::Null).await;
    assert_eq!(tree["data"], json!([]));
}
