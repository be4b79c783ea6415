//! What identity providers, their mappings and the authentication settings refuse, in raw HTTP.

use serde_json::{Value, json};

use crate::support::Konnect;

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";

/// A portal with an OIDC provider that is enabled, a SAML provider that is not, and a team.
struct Scene {
    konnect: Konnect,
    portal: String,
    oidc: String,
    saml: String,
    team: String,
}

async fn scene() -> Scene {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let make = async |path: &str, body: Value| {
        let path = format!("/v3/portals/{portal}/{path}");
        let made = konnect.expect(201, "POST", &path, body).await;
        made["id"].as_str().unwrap().to_owned()
    };
    let config = json!({"issuer_url": "https://idp.example", "client_id": "c",
        "client_secret": "s3cret"});
    let oidc = json!({"type": "oidc", "enabled": true, "config": config});
    let oidc = make("identity-providers", oidc).await;
    let saml = make("identity-providers", json!({"type": "saml"})).await;
    let team = make("teams", json!({"name": "Team"})).await;
    Scene {
        portal: portal.clone(),
        oidc,
        saml,
        team,
        konnect,
    }
}

/// Method, path below the portal, body, and the one mistake: its field and rule.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str, &str, &str)] = &[
    ("PATCH", "authentication-settings", r#"{"basic_auth_enabled": "true"}"#, "basic_auth_enabled", "is_boolean"),
    ("PATCH", "authentication-settings", r#"{"oidc_issuer": 7}"#, "oidc_issuer", "is_string"),
    ("PATCH", "authentication-settings", r#"{"oidc_issuer": "idp"}"#, "oidc_issuer", "matches_regex"),
    ("PATCH", "authentication-settings", r#"{"oidc_scopes": "openid"}"#, "oidc_scopes", "is_array"),
    ("PATCH", "authentication-settings", r#"{"oidc_scopes": [1]}"#, "oidc_scopes[0]", "is_string"),
    ("PATCH", "authentication-settings", r#"{"oidc_claim_mappings": {"age": "a"}}"#, "oidc_claim_mappings.age", "unknown_property"),
    ("PATCH", "authentication-settings", r#"{"realm": "r"}"#, "realm", "unknown_property"),
    ("POST", "identity-providers", "null", "body", "required"),
    ("POST", "identity-providers", r#"{"type": "ldap", "config": {}}"#, "type", "enum"),
    ("POST", "identity-providers", r#"{"type": "oidc", "config": {"client_id": "c"}}"#, "config.issuer_url", "required"),
    ("POST", "identity-providers", r#"{"type": "saml", "config": {"issuer_url": "https://i.example"}}"#, "config.issuer_url", "unknown_property"),
    ("POST", "identity-providers", r#"{"type": "saml", "config": {"idp_metadata_url": "x"}}"#, "config.idp_metadata_url", "invalid"),
    ("POST", "identity-providers", r#"{"login_path": "l"}"#, "login_path", "unknown_property"),
    ("PATCH", "identity-providers/{oidc}", "null", "body", "required"),
    ("PATCH", "identity-providers/{oidc}", r#"{"type": "saml"}"#, "type", "unknown_property"),
    ("PATCH", "identity-providers/{oidc}", r#"{"config": {}}"#, "config", "invalid"),
    ("PATCH", "identity-providers/{saml}", r#"{"config": {"idp_metadata_url": 7}}"#, "config.idp_metadata_url", "invalid"),
    ("POST", "identity-providers/{oidc}/team-group-mappings", r#"{"team_id": "{team}"}"#, "group", "required"),
    ("POST", "identity-providers/{oidc}/team-group-mappings", r#"{"team_id": "team", "group": "g"}"#, "team_id", "is_uuid"),
    ("POST", "identity-providers/{oidc}/team-group-mappings", r#"{"team_id": "{nobody}", "group": "g"}"#, "team_id", "invalid"),
    ("GET", "identity-providers/{oidc}/team-group-mappings?filter[team_id][eq]=x", "null", "filter[team_id][eq]", "is_uuid"),
    ("GET", "identity-providers/{oidc}/team-group-mappings?filter[group][contains]=x", "null", "filter[group][contains]", "unknown_property"),
    ("GET", "identity-providers?filter[type][neq]=x", "null", "filter[type][neq]", "unknown_property"),
    ("PATCH", "identity-provider/team-group-mappings", r#"{"data": {}}"#, "data", "is_array"),
    ("PATCH", "identity-provider/team-group-mappings", r#"{"data": [{"groups": []}]}"#, "data[0].team_id", "required"),
    ("PATCH", "identity-provider/team-group-mappings", r#"{"data": [{"team_id": "{nobody}", "groups": []}]}"#, "data[0].team_id", "invalid"),
];

#[tokio::test]
async fn bad_input_is_refused_where_it_is_wrong() {
    let scene = scene().await;
    let fill = |text: &str| {
        text.replace("{oidc}", &scene.oidc)
            .replace("{saml}", &scene.saml)
            .replace("{team}", &scene.team)
            .replace("{nobody}", NOBODY)
    };
    for (method, path, body, field, rule) in MISTAKES {
        let path = format!("/v3/portals/{}/{}", scene.portal, fill(path));
        let sent = serde_json::from_str(&fill(body)).unwrap();
        let refused = scene.konnect.expect(400, method, &path, sent).await;
        let [mistake] = &refused["invalid_parameters"].as_array().unwrap()[..] else {
            panic!("{method} {path} {body}: {refused}")
        };
        assert_eq!(mistake["field"], *field, "{method} {path} {body}");
        assert_eq!(mistake["rule"], *rule, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn the_first_configuration_of_the_older_settings_is_whole() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let path = format!("/v3/portals/{portal}/authentication-settings");
    let claims = json!({"oidc_claim_mappings": {"groups": "teams"}});
    let refused = konnect.expect(400, "PATCH", &path, claims.clone()).await;
    assert_eq!(
        refused["invalid_parameters"],
        json!([
            {"field": "oidc_issuer", "rule": "required", "source": "body",
                "reason": "\"oidc_issuer\" is required"},
            {"field": "oidc_client_id", "rule": "required", "source": "body",
                "reason": "\"oidc_client_id\" is required"},
        ])
    );
    let mapping = json!({"idp_mapping_enabled": true});
    let refused = konnect.expect(400, "PATCH", &path, mapping).await;
    let reason = refused["invalid_parameters"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot be enabled when no IdP is enabled"));
    let whole = json!({"oidc_issuer": "https://idp.example", "oidc_client_id": "c"});
    konnect.expect(200, "PATCH", &path, whole).await;
    let shown = konnect.expect(200, "PATCH", &path, claims).await;
    assert_eq!(shown["oidc_config"]["claim_mappings"]["groups"], "teams");
    assert_eq!(shown["oidc_config"]["issuer"], "https://idp.example");
}

#[tokio::test]
async fn no_answer_holds_a_secret_or_a_null() {
    let scene = scene().await;
    let base = format!("/v3/portals/{}", scene.portal);
    let (oidc, saml) = (&scene.oidc, &scene.saml);
    let settings = json!({"oidc_client_secret": "s3cret-2"});
    let calls = [
        ("GET", "identity-providers".to_owned(), Value::Null),
        ("GET", format!("identity-providers/{oidc}"), Value::Null),
        ("GET", format!("identity-providers/{saml}"), Value::Null),
        (
            "PATCH",
            format!("identity-providers/{oidc}"),
            json!({"enabled": true}),
        ),
        ("PATCH", "authentication-settings".to_owned(), settings),
        ("GET", "authentication-settings".to_owned(), Value::Null),
    ];
    for (method, path, body) in calls {
        let path = format!("{base}/{path}");
        let shown = scene.konnect.expect(200, method, &path, body).await;
        let text = shown.to_string();
        assert!(!text.contains("s3cret") && !text.contains("null"), "{text}");
    }
}

#[tokio::test]
async fn a_provider_is_found_below_its_portal_only() {
    let scene = scene().await;
    let konnect = &scene.konnect;
    let other = json!({"name": "Other"});
    let other = konnect.expect(201, "POST", "/v3/portals", other).await;
    let other = other["id"].as_str().unwrap();
    let mapping = json!({"team_id": scene.team, "group": "g"});
    let own = format!("/v3/portals/{}/identity-providers", scene.portal);
    let path = format!("{own}/{}/team-group-mappings", scene.oidc);
    let made = konnect.expect(201, "POST", &path, mapping.clone()).await;
    let made = made["id"].as_str().unwrap();
    for path in [
        format!("/v3/portals/{other}/identity-providers/{}", scene.oidc),
        format!("/v3/portals/{NOBODY}/identity-providers"),
        format!("/v3/portals/{NOBODY}/authentication-settings"),
        format!("/v3/portals/{NOBODY}/identity-provider/team-group-mappings"),
        format!("{own}/{}/team-group-mappings/{made}", scene.saml),
        format!("{own}/{NOBODY}/team-group-mappings"),
    ] {
        let gone = konnect.expect(404, "GET", &path, Value::Null).await;
        assert_eq!(gone["status"], 404, "{path}");
    }
    // A team of another portal is none of this one.
    let provider = json!({"type": "saml", "config": {}});
    let providers = format!("/v3/portals/{other}/identity-providers");
    let provider = konnect.expect(201, "POST", &providers, provider).await;
    let provider = provider["id"].as_str().unwrap();
    let path = format!("{providers}/{provider}/team-group-mappings");
    konnect.expect(400, "POST", &path, mapping).await;
}

#[tokio::test]
async fn a_team_that_is_named_without_groups_loses_those_it_has() {
    let scene = scene().await;
    let path = format!(
        "/v3/portals/{}/identity-provider/team-group-mappings",
        scene.portal
    );
    for (item, groups) in [
        (json!({"team_id": scene.team, "groups": ["a", "b"]}), 2),
        (json!({"team_id": scene.team}), 0),
    ] {
        let body = json!({"data": [item]});
        let shown = scene.konnect.expect(200, "PATCH", &path, body).await;
        let teams = shown["data"].as_array().unwrap().iter();
        let count: usize = teams
            .map(|team| team["groups"].as_array().unwrap().len())
            .sum();
        assert_eq!(count, groups);
    }
}
