//! APIs, publications and authentication strategies in raw HTTP: what is refused, and how a portal
//! and its developers see what is published.

use serde_json::{Value, json};

use crate::support::Konnect;

const NOBODY: &str = "99999999-2222-4333-8444-555555555555";
const STRATEGIES: &str = "/v2/application-auth-strategies";

/// An emulator with one portal, one API and one strategy, and their ids.
async fn scene(portal: Value) -> (Konnect, [String; 3]) {
    let (konnect, portal) = Konnect::with_portal(portal).await;
    let api = json!({"name": "Fixtures", "version": "v1"});
    let api = konnect.expect(201, "POST", "/v3/apis", api).await;
    let strategy = json!({
        "name": "keys", "display_name": "Keys", "strategy_type": "key_auth",
        "configs": {"key-auth": {"key_names": ["x-key"], "ttl": {"value": 1, "unit": "days"}}},
    });
    let strategy = konnect.expect(201, "POST", STRATEGIES, strategy).await;
    let id = |shown: &Value| shown["id"].as_str().unwrap().to_owned();
    (konnect, [portal, id(&api), id(&strategy)])
}

/// What is called, with what body; the status that it is refused with, and the place it names.
const REFUSED: &str = r#"
POST $apis | {"name": "Fixtures", "version": "v1"} | 400 | name
POST $apis | {"name": "A", "slug": "a b"} | 400 | slug
POST $apis | {"name": "A", "labels": {"kong": "x"}} | 400 | labels.kong
POST $apis | {"name": "A", "labels": {"a": null}} | 400 | labels.a
POST $apis | {"name": "A", "attributes": {"a": []}} | 400 | attributes.a
POST $apis | {"name": "A", "attributes": {"a": ["<"]}} | 400 | attributes.a[0]
PATCH $apis/$other | {"name": "Fixtures", "version": "v1"} | 409 |
PATCH $apis/$other | {"spec_content": "{}"} | 400 | spec_content
PATCH $apis/$other?force=perhaps | {} | 400 | force
PUT $apis/$api/publications/$portal | {"visibility": "secret"} | 400 | visibility
PUT $apis/$api/publications/$portal | {"auth_strategy_ids": []} | 400 | auth_strategy_ids
PUT $apis/$api/publications/$portal | {"auth_strategy_ids": ["$nobody"]} | 400 | auth_strategy_ids[0]
PUT $apis/$api/publications/$nobody | {} | 404 |
PUT $apis/$nobody/publications/$portal | {} | 404 |
GET $apis/$api/publications/$portal | null | 404 |
DELETE $apis/$api/publications/$portal | null | 404 |
POST $all | {"name": "k", "display_name": "", "strategy_type": "saml", "configs": {}} | 400 | strategy_type
POST $all | {"name": "k", "display_name": "", "strategy_type": "key_auth", "configs": {}} | 400 | configs.key-auth
POST $all | {"name": "k", "display_name": "", "strategy_type": "key_auth", "configs": {"key-auth": {}}, "dcr_provider_id": null} | 400 | dcr_provider_id
POST $all | {"name": "t", "display_name": "", "strategy_type": "openid_connect", "configs": {"openid-connect": {"issuer": "nowhere", "credential_claim": [], "scopes": [], "auth_methods": []}}} | 400 | configs.openid-connect.issuer
PATCH $all/$strategy | {"configs": {"openid-connect": {}}} | 400 | configs
PATCH $all/$strategy | {"configs": {"key-auth": {"a": 1}}} | 400 | configs.key-auth.a
PATCH $all/$strategy | {"configs": {}} | 400 | configs.key-auth
PATCH $all/$strategy | {"strategy_type": "key_auth"} | 400 | strategy_type
PATCH $all/$strategy | {"dcr_provider_id": "$nobody"} | 400 | dcr_provider_id
"#;

#[tokio::test]
async fn refuses_what_the_catalog_cannot_hold() {
    let (konnect, [portal, api, strategy]) = scene(json!({})).await;
    let other = json!({"name": "Scores"});
    let other = konnect.expect(201, "POST", "/v3/apis", other).await;
    let places = [
        ("$apis", "/v3/apis"),
        ("$api", &api),
        ("$all", STRATEGIES),
        ("$portal", &portal),
        ("$strategy", &strategy),
        ("$nobody", NOBODY),
        ("$other", other["id"].as_str().unwrap()),
    ];
    for line in REFUSED.trim().lines() {
        let fill = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
        let line = places.iter().fold(line.to_owned(), fill);
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let (method, path) = columns[0].split_once(' ').unwrap();
        let body = serde_json::from_str(columns[1]).unwrap();
        let status = columns[2].parse().unwrap();
        let problem = konnect.expect(status, method, path, body).await;
        let named = problem.pointer("/invalid_parameters/0/field");
        let named = named.and_then(Value::as_str).unwrap_or_default();
        assert_eq!(named, columns[3], "{line}: {problem}");
    }
}

#[tokio::test]
async fn a_publication_takes_from_its_portal_what_it_does_not_say() {
    let (konnect, [portal, api, strategy]) =
        scene(json!({"default_api_visibility": "public"})).await;
    let portal_path = format!("/v3/portals/{portal}");
    let default = json!({ "default_application_auth_strategy_id": strategy });
    konnect.expect(200, "PATCH", &portal_path, default).await;
    let path = format!("/v3/apis/{api}/publications/{portal}");
    for (body, visibility, strategies, approves) in [
        (json!({}), "public", json!([strategy]), false),
        (
            json!({"visibility": "private", "auth_strategy_ids": null, "auto_approve_registrations": true}),
            "private",
            Value::Null,
            true,
        ),
        (json!({}), "public", json!([strategy]), false),
    ] {
        let shown = konnect.expect(200, "PUT", &path, body.clone()).await;
        assert_eq!(shown, konnect.expect(200, "GET", &path, Value::Null).await);
        assert_eq!(shown["visibility"], visibility, "{body}");
        assert_eq!(shown["auth_strategy_ids"], strategies, "{body}");
        assert_eq!(shown["auto_approve_registrations"], approves, "{body}");
    }
    let one = format!("{STRATEGIES}/{strategy}");
    assert_eq!(
        konnect.expect(200, "GET", &one, Value::Null).await["active"],
        true
    );
    konnect.expect(409, "DELETE", &one, Value::Null).await;
    konnect
        .expect(400, "DELETE", &portal_path, Value::Null)
        .await;
    konnect.expect(204, "DELETE", &path, Value::Null).await;
    konnect.expect(204, "DELETE", &one, Value::Null).await;
    let portal = konnect.expect(200, "GET", &portal_path, Value::Null).await;
    assert_eq!(portal["default_application_auth_strategy_id"], Value::Null);
    konnect
        .expect(204, "DELETE", &portal_path, Value::Null)
        .await;
}

#[tokio::test]
async fn developers_register_for_what_is_published() {
    let (konnect, [portal, api, strategy]) = scene(json!({})).await;
    let ann = json!({"email": "ann@x.example", "full_name": "Ann", "status": "approved"});
    let developers = format!("/v3/portals/{portal}/developers");
    let ann = konnect.expect(201, "POST", &developers, ann).await;
    let owner = json!({"type": "developer", "id": ann["id"]});
    let applications = format!("/v3/portals/{portal}/applications");
    let application = json!({"name": "App", "owner": owner, "auth_strategy_id": strategy});
    let application = konnect
        .expect(201, "POST", &applications, application)
        .await;
    let ttl = json!({"value": 1, "unit": "days"});
    assert_eq!(
        application["auth_strategy"],
        json!({"id": strategy, "name": "keys", "credential_type": "key_auth", "key_names": ["x-key"], "ttl": ttl})
    );
    let registrations = format!(
        "{applications}/{}/registrations",
        application["id"].as_str().unwrap()
    );
    let ask = json!({ "api_id": api });
    let refused = konnect
        .expect(400, "POST", &registrations, ask.clone())
        .await;
    assert_eq!(
        refused["invalid_parameters"][0]["rule"],
        "missing_reference"
    );
    let publication = format!("/v3/apis/{api}/publications/{portal}");
    let approving = json!({"auto_approve_registrations": true});
    konnect.expect(200, "PUT", &publication, approving).await;
    let made = konnect
        .expect(201, "POST", &registrations, ask.clone())
        .await;
    assert_eq!(made["status"], "approved");
    assert_eq!(made["api"]["name"], "Fixtures");

    konnect
        .expect(204, "DELETE", &publication, Value::Null)
        .await;
    let one = format!("{registrations}/{}", made["id"].as_str().unwrap());
    konnect.expect(200, "GET", &one, Value::Null).await;
    konnect.expect(204, "DELETE", &one, Value::Null).await;
    konnect.expect(400, "POST", &registrations, ask).await;
}

#[tokio::test]
async fn an_application_by_token_is_of_the_variant_of_its_strategy() {
    let (konnect, [portal, ..]) = scene(json!({})).await;
    let strategy = json!({
        "name": "tokens", "display_name": "Tokens", "strategy_type": "openid_connect",
        "configs": {"openid-connect": {
            "issuer": "https://idp.example", "credential_claim": ["sub"], "scopes": ["openid"],
            "auth_methods": ["bearer"], "hide_credentials": true}},
    });
    let strategy = konnect.expect(201, "POST", STRATEGIES, strategy).await;
    // A setting that only the gateway's plugin knows is kept.
    assert_eq!(
        strategy["configs"]["openid-connect"]["hide_credentials"],
        true
    );
    let portal = format!("/v3/portals/{portal}");
    let default = json!({ "default_application_auth_strategy_id": strategy["id"] });
    konnect.expect(200, "PATCH", &portal, default).await;
    let ann = json!({"email": "ann@x.example", "full_name": "Ann"});
    let ann = konnect
        .expect(201, "POST", &format!("{portal}/developers"), ann)
        .await;
    let application = json!({
        "name": "App", "client_id": "c", "owner": {"type": "developer", "id": ann["id"]},
    });
    let path = format!("{portal}/applications");
    let shown = konnect.expect(201, "POST", &path, application).await;
    assert_eq!(
        shown["auth_strategy"],
        json!({"id": strategy["id"], "name": "tokens", "credential_type": "self_managed_client_credentials", "auth_methods": ["bearer"]})
    );
    assert_eq!(shown["client_id"], "c");
    assert_eq!(shown["granted_scopes"], Value::Null);
}
