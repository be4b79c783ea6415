//! What an API has, in raw HTTP: its versions with their specifications, its documents, what
//! implements it, who registered for it; and the attributes of all APIs.

use serde_json::{Value, json};

use crate::support::Konnect;

const NOBODY: &str = "99999999-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-2222-4333-8444-666666666666";

async fn get(konnect: &Konnect, path: &str) -> Value {
    konnect.expect(200, "GET", path, Value::Null).await
}

fn id_of(shown: &Value) -> String {
    shown["id"].as_str().unwrap().to_owned()
}

/// An emulator with an API, and the path of the API.
async fn scene(api: Value) -> (Konnect, String) {
    let konnect = Konnect::start().await;
    let api = konnect.expect(201, "POST", "/v3/apis", api).await;
    let path = format!("/v3/apis/{}", id_of(&api));
    (konnect, path)
}

#[tokio::test]
async fn a_version_takes_from_its_specification_what_it_does_not_say() {
    let (konnect, api) = scene(json!({"name": "Fixtures"})).await;
    assert_eq!(
        get(&konnect, &api).await["current_version_summary"],
        Value::Null
    );
    let versions = format!("{api}/versions");
    let mut made = Vec::new();
    for (body, version, kind, mistakes) in [
        (
            json!({"spec": {"content": "swagger: '2.0'\ninfo:\n  version: 1.4\n"}}),
            "1.4",
            "oas2",
            0,
        ),
        (
            json!({"version": "2", "spec": {"content": "{\"asyncapi\": \"3.0.0\"}"}}),
            "2",
            "asyncapi",
            0,
        ),
        (
            json!({"spec": {"content": "no document"}}),
            "1.0.0",
            "oas3",
            1,
        ),
        // What is not there has no mistake.
        (json!({"version": "3", "spec": {}}), "3", "oas3", 0),
    ] {
        let shown = konnect.expect(201, "POST", &versions, body.clone()).await;
        assert_eq!(shown["version"], version, "{body}");
        assert_eq!(shown["spec"]["type"], kind, "{body}");
        let messages = shown["spec"]["validation_messages"].as_array().unwrap();
        assert_eq!(messages.len(), mistakes, "{body}");
        assert_eq!(shown["spec"]["content"], body["spec"]["content"]);
        let again = json!({"version": version, "spec": {}});
        konnect.expect(409, "POST", &versions, again).await;
        made.push(id_of(&shown));
    }
    let shown = get(&konnect, &api).await;
    assert_eq!(shown["current_version_summary"]["version"], "3", "the last");
    assert_eq!(shown["api_spec_ids"], json!(made));
    let change = json!({"version": "2"});
    konnect.expect(200, "PATCH", &api, change.clone()).await;
    let shown = get(&konnect, &api).await;
    assert_eq!(
        shown["current_version_summary"]["id"],
        json!(made[1]),
        "its own"
    );

    let first = format!("{versions}/{}", made[0]);
    konnect.expect(409, "PATCH", &first, change).await;
    konnect
        .expect(400, "PATCH", &format!("{first}?force=no"), json!({}))
        .await;
    let change = json!({"version": "9", "spec": {"content": "openapi: 3.1.0"}});
    let shown = konnect
        .expect(200, "PATCH", &format!("{first}?force=true"), change)
        .await;
    assert_eq!(shown["version"], "9");
    assert_eq!(shown["spec"]["type"], "oas3");
    let listed = get(&konnect, &format!("{versions}?filter[version][eq]=9")).await;
    assert_eq!(listed["meta"]["page"]["total"], 1);
    assert_eq!(listed["data"][0]["spec"], json!({"type": "oas3"}));
    konnect.expect(204, "DELETE", &first, Value::Null).await;
    konnect.expect(404, "GET", &first, Value::Null).await;
    konnect.expect(204, "DELETE", &api, Value::Null).await;
    konnect.expect(404, "GET", &versions, Value::Null).await;
}

#[tokio::test]
async fn the_slug_of_an_api_has_the_first_number_of_its_version() {
    for (version, slug) in [
        ("3.2.0", "sms-api-3"),
        ("v1", "sms-api-v1"),
        ("", "sms-api"),
    ] {
        let mut api = json!({"name": "SMS API"});
        if !version.is_empty() {
            api["version"] = json!(version);
        }
        let (konnect, api) = scene(api).await;
        assert_eq!(get(&konnect, &api).await["slug"], slug);
    }
}

#[tokio::test]
async fn a_specification_is_a_version_by_its_older_name() {
    let (konnect, api) = scene(json!({
        "name": "Fixtures", "version": "v2", "spec_content": "openapi: 3.0.3\ninfo:\n  version: 7\n",
    }))
    .await;
    let shown = get(&konnect, &api).await;
    assert_eq!(shown["current_version_summary"]["version"], "v2");
    let specifications = format!("{api}/specifications");
    let more = json!({"content": "openapi: 3.0.3"});
    let alone = konnect
        .expect(201, "POST", &specifications, more.clone())
        .await;
    konnect.expect(409, "POST", &specifications, more).await;
    let version = format!("{api}/versions/{}", id_of(&alone));
    assert_eq!(get(&konnect, &version).await["version"], "2", "v2 is taken");
    konnect.expect(204, "DELETE", &version, Value::Null).await;
    let listed = get(&konnect, &specifications).await;
    let one = format!("{specifications}/{}", id_of(&listed["data"][0]));
    assert_eq!(get(&konnect, &one).await["validation_messages"], json!([]));
    let shown = konnect
        .expect(200, "PATCH", &one, json!({"content": "swagger: 2"}))
        .await;
    assert_eq!(shown["type"], "oas2");
    konnect.expect(204, "DELETE", &one, Value::Null).await;
    let typed = json!({"content": "openapi: 3.0.3", "type": "asyncapi"});
    let shown = konnect.expect(201, "POST", &specifications, typed).await;
    assert_eq!(shown["type"], "asyncapi", "what is said wins");
    let version = get(&konnect, &format!("{api}/versions/{}", id_of(&shown))).await;
    assert_eq!(version["version"], "v2");
    for (content, mistakes) in [("openapi: 3.0.3", 0), ("x", 1)] {
        let checked = json!({ "content": content });
        let path = "/v3/apis/validate-specification";
        let shown = konnect.expect(201, "POST", path, checked).await;
        assert_eq!(
            shown["validation_messages"].as_array().unwrap().len(),
            mistakes
        );
    }
}

#[tokio::test]
async fn a_document_takes_from_its_content_what_it_does_not_say() {
    let (konnect, api) = scene(json!({"name": "Fixtures"})).await;
    let documents = format!("{api}/documents");
    let mut ids = Vec::new();
    for (body, title, slug, status) in [
        (
            json!({"content": "# First steps"}),
            "First steps",
            "first-steps",
            "unpublished",
        ),
        (json!({"content": "", "slug": "b"}), "b", "b", "unpublished"),
        (
            json!({"content": "---\ntitle: Front\nslug: front\nstatus: published\n---\n# A"}),
            "Front",
            "front",
            "published",
        ),
        (
            json!({"content": "---\ntitle: Front\n---\n", "title": "Said", "status": "published"}),
            "Said",
            "said",
            "published",
        ),
    ] {
        let shown = konnect.expect(201, "POST", &documents, body.clone()).await;
        for (member, value) in [("title", title), ("slug", slug), ("status", status)] {
            assert_eq!(shown[member], value, "{member}: {body}");
        }
        ids.push(id_of(&shown));
    }
    for (body, status) in [
        (json!({"content": "", "slug": "b"}), 409),
        (json!({"content": "", "slug": "a b"}), 400),
        (json!({"content": "---\nslug: a b\n---\n"}), 400),
        (json!({"content": "---\nstatus: no\n---\n"}), 400),
        (json!({"content": "", "parent_document_id": NOBODY}), 400),
        (
            json!({"content": "", "slug": "b", "parent_document_id": ids[1]}),
            201,
        ),
    ] {
        konnect.expect(status, "POST", &documents, body).await;
    }
}

#[tokio::test]
async fn documents_are_a_tree_that_ends_with_its_api() {
    let (konnect, api) = scene(json!({"name": "Fixtures"})).await;
    let documents = format!("{api}/documents");
    let mut ids = Vec::new();
    for (slug, status) in [
        ("first-steps", "unpublished"),
        ("b", "unpublished"),
        ("front", "published"),
        ("said", "published"),
    ] {
        let body = json!({"content": "", "slug": slug, "status": status});
        ids.push(id_of(&konnect.expect(201, "POST", &documents, body).await));
    }
    let below = json!({"content": "", "slug": "b", "parent_document_id": ids[1]});
    konnect.expect(201, "POST", &documents, below).await;
    let first = format!("{documents}/{}", ids[0]);
    konnect
        .expect(409, "PATCH", &first, json!({"slug": "b"}))
        .await;
    let below_itself = json!({"parent_document_id": ids[0]});
    konnect
        .expect(400, "PATCH", &first, below_itself.clone())
        .await;
    konnect
        .expect(409, "POST", &format!("{first}/move"), below_itself)
        .await;
    let to = |parent: Value, index: i64| json!({"parent_document_id": parent, "index": index});
    let moved = to(json!(ids[1]), 0);
    konnect
        .expect(204, "POST", &format!("{first}/move"), moved)
        .await;
    let slugs = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|node| node["slug"].as_str().unwrap().to_owned())
            .collect()
    };
    let tree = get(&konnect, &documents).await;
    assert_eq!(slugs(&tree["data"]), ["b", "front", "said"]);
    assert_eq!(slugs(&tree["data"][0]["children"]), ["first-steps", "b"]);
    assert!(tree["data"][0].get("content").is_none());
    konnect
        .expect(204, "POST", &format!("{first}/move"), to(Value::Null, -1))
        .await;
    let tree = get(&konnect, &documents).await;
    assert_eq!(slugs(&tree["data"]), ["b", "front", "said", "first-steps"]);
    let published = get(
        &konnect,
        &format!("{documents}?filter[status][eq]=published"),
    )
    .await;
    assert_eq!(slugs(&published["data"]), ["front", "said"]);
    let second = format!("{documents}/{}", ids[1]);
    konnect.expect(204, "DELETE", &second, Value::Null).await;
    assert_eq!(slugs(&get(&konnect, &documents).await["data"]).len(), 3);
    konnect.expect(204, "DELETE", &api, Value::Null).await;
    konnect.expect(404, "GET", &first, Value::Null).await;
}

#[tokio::test]
async fn an_api_says_how_it_is_implemented() {
    let (konnect, api) = scene(json!({"name": "Fixtures"})).await;
    let path = format!("{api}/implementations");
    let service = json!({"service": {"id": NOBODY, "control_plane_id": OTHER}});
    let plane = json!({"control_plane": {"control_plane_id": OTHER}});
    for (body, mode) in [
        (&service, "gateway_entity_binding"),
        (&plane, "access_control_enforcement"),
    ] {
        let shown = konnect.expect(201, "POST", &path, body.clone()).await;
        konnect.expect(409, "POST", &path, body.clone()).await;
        assert_eq!(get(&konnect, &api).await["implementation_mode"], mode);
        let one = format!("{path}/{}", id_of(&shown));
        assert_eq!(get(&konnect, &one).await, shown);
        let of_plane = format!("/v3/api-implementations?filter[control_plane_id][eq]={OTHER}");
        let listed = get(&konnect, &of_plane).await;
        assert_eq!(listed["data"][0]["id"], shown["id"]);
        assert_eq!(
            format!("/v3/apis/{}", listed["data"][0]["api_id"].as_str().unwrap()),
            api
        );
        konnect.expect(204, "DELETE", &one, Value::Null).await;
        assert_eq!(get(&konnect, &of_plane).await["data"], json!([]));
    }
    assert_eq!(
        get(&konnect, &api).await["implementation_mode"],
        Value::Null
    );
    let both = json!({"service": service["service"], "control_plane": plane["control_plane"]});
    for body in [json!({}), both, json!({"service": {"id": NOBODY}})] {
        konnect.expect(400, "POST", &path, body).await;
    }
}

#[tokio::test]
async fn attributes_are_counted_over_all_apis() {
    let (konnect, _) = scene(json!({"name": "A", "attributes": {"owner": ["x", "y"]}})).await;
    let more = json!({"name": "B", "attributes": {"owner": ["x", "x"], "team": ["t"]}});
    konnect.expect(201, "POST", "/v3/apis", more).await;
    let listed = get(&konnect, "/v3/api-attributes?sort=key").await;
    let counts = |index: usize| listed["data"][index]["values"].clone();
    assert_eq!(
        counts(0),
        json!([{"value": "x", "api_count": 2}, {"value": "y", "api_count": 1}])
    );
    assert_eq!(counts(1), json!([{"value": "t", "api_count": 1}]));
    let one = get(&konnect, "/v3/api-attributes?filter[key][eq]=team").await;
    assert_eq!(one["data"], json!([listed["data"][1]]));
}

#[tokio::test]
async fn an_api_and_a_portal_list_what_is_between_them() {
    let (konnect, api) = scene(json!({"name": "Fixtures"})).await;
    let portal = konnect
        .expect(201, "POST", "/v3/portals", json!({"name": "P"}))
        .await;
    let portal = id_of(&portal);
    let publications = format!("/v3/portals/{portal}/api-publications");
    assert_eq!(get(&konnect, &publications).await["data"], json!([]));
    let publication = format!("{api}/publications/{portal}");
    konnect.expect(200, "PUT", &publication, json!({})).await;
    let listed = get(&konnect, &publications).await;
    assert_eq!(listed["data"][0]["portal_ids"], json!([portal]));
    let none = format!("{publications}?filter[api_name][eq]=Scores");
    assert_eq!(get(&konnect, &none).await["data"], json!([]));

    let developers = format!("/v3/portals/{portal}/developers");
    let ann = json!({"email": "ann@x.example", "full_name": "Ann"});
    let ann = konnect.expect(201, "POST", &developers, ann).await;
    let applications = format!("/v3/portals/{portal}/applications");
    let owner = json!({"type": "developer", "id": ann["id"]});
    let application = json!({"name": "App", "description": "Mine", "owner": owner});
    let application = konnect
        .expect(201, "POST", &applications, application)
        .await;
    let registrations = format!("{applications}/{}/registrations", id_of(&application));
    let id = api.rsplit_once('/').unwrap().1;
    let made = konnect
        .expect(201, "POST", &registrations, json!({"api_id": id}))
        .await;
    let of_api = format!("{api}/registrations");
    assert_eq!(
        get(&konnect, &of_api).await["data"],
        json!([{
            "id": made["id"], "status": "pending", "portal": {"id": portal, "name": "P"},
            "application": {
                "id": application["id"], "name": "App", "description": "Mine", "owner": owner,
            },
        }])
    );
    let teams = format!("{of_api}?filter[application_owner_type][eq]=team");
    assert_eq!(get(&konnect, &teams).await["data"], json!([]));
}

#[tokio::test]
async fn a_strategy_can_be_replaced_by_one_of_its_type() {
    let konnect = Konnect::start().await;
    let all = "/v2/application-auth-strategies";
    let keys = |name: &str, configs: Value| {
        json!({"name": name, "display_name": name, "strategy_type": "key_auth",
            "configs": {"key-auth": configs}})
    };
    let ttl = json!({"key_names": ["a"], "ttl": {"value": 1, "unit": "days"}});
    let mut labelled = keys("one", ttl);
    labelled["labels"] = json!({"a": "b"});
    let made = konnect.expect(201, "POST", all, labelled).await;
    let one = format!("{all}/{}", id_of(&made));
    let shown = konnect
        .expect(201, "PUT", &one, keys("two", json!({})))
        .await;
    assert_eq!(shown["id"], made["id"]);
    assert_eq!(shown["name"], "two");
    assert_eq!(shown["configs"], json!({"key-auth": {}}));
    assert_eq!(shown["labels"], json!({}));
    let settings = json!({"issuer": "https://idp.example", "credential_claim": [], "scopes": [],
        "auth_methods": []});
    let other = json!({"name": "t", "display_name": "t", "strategy_type": "openid_connect",
        "configs": {"openid-connect": settings}});
    konnect.expect(400, "PUT", &one, other).await;
    let nobody = format!("{all}/{NOBODY}");
    konnect
        .expect(404, "PUT", &nobody, keys("x", json!({})))
        .await;
}

#[tokio::test]
async fn the_strategy_that_is_built_in_is_found_by_its_id() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let ann = json!({"email": "ann@x.example", "full_name": "Ann"});
    let developers = format!("/v3/portals/{portal}/developers");
    let ann = konnect.expect(201, "POST", &developers, ann).await;
    let owner = json!({"type": "developer", "id": ann["id"]});
    let applications = format!("/v3/portals/{portal}/applications");
    let application = json!({"name": "App", "owner": owner});
    let made = konnect
        .expect(201, "POST", &applications, application)
        .await;
    let shown = &made["auth_strategy"];
    let one = format!("/v2/application-auth-strategies/{}", id_of(shown));
    let strategy = get(&konnect, &one).await;
    assert_eq!(strategy["name"], shown["name"]);
    assert_eq!(
        strategy["configs"]["key-auth"]["key_names"],
        shown["key_names"]
    );
    let listed = get(&konnect, "/v2/application-auth-strategies").await;
    assert_eq!(listed["data"], json!([]));
    konnect.expect(409, "DELETE", &one, Value::Null).await;
}

#[tokio::test]
async fn the_icon_of_an_api_is_made_once_and_replaced_after_that() {
    let (konnect, api) = scene(json!({"name": "Flights"})).await;
    let path = format!("{api}/images/icon");
    let id = api.rsplit_once('/').unwrap().1;
    let raw = format!("{path}/raw");
    for path in [&path, &raw] {
        konnect.expect(404, "GET", path, Value::Null).await;
    }
    let mut places = Vec::new();
    for (status, data, media, bytes) in [
        (201, "data:image/png;base64,AAEC", "image/png", [0, 1, 2]),
        (200, "data:image/svg+xml,AwQF", "image/svg+xml", [3, 4, 5]),
    ] {
        let body = json!({"data": data});
        let put = konnect.expect(status, "PUT", &path, body).await;
        assert_eq!(
            (&put["api_id"], &put["image_type"]),
            (&json!(id), &json!("icon"))
        );
        assert_eq!(
            (&put["status"], &put["error"]),
            (&json!("valid"), &Value::Null)
        );
        assert_eq!(konnect.expect(200, "GET", &path, Value::Null).await, put);
        let found = konnect.request("GET", &raw).send().await.unwrap();
        assert_eq!(found.status(), 302);
        let place = found.headers()["location"].to_str().unwrap().to_owned();
        let url = format!("{}{place}", konnect.emulator.url());
        // Whoever follows it to another host sends no token.
        let shown = konnect.client.get(url).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        assert_eq!(shown.headers()["content-type"], media);
        assert_eq!(shown.bytes().await.unwrap()[..], bytes);
        places.push(place);
    }
    let gif = json!({"data": "data:image/gif;base64,AAEC"});
    konnect.expect(400, "PUT", &path, gif).await;
    let other = format!("{api}/images/banner");
    let body = json!({"data": "data:image/png;base64,AAEC"});
    konnect.expect(404, "PUT", &other, body).await;
    konnect.expect(204, "DELETE", &api, Value::Null).await;
    konnect.expect(404, "GET", &places[1], Value::Null).await;
}
