//! What Kong's Terraform provider sends that the documents do not name.

use serde_json::{Value, json};

use crate::support::Konnect;

/// A team without a description never shows an empty one, however it came to be without.
#[tokio::test]
async fn a_team_without_a_description_shows_one_that_the_schema_allows() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let teams = format!("/v3/portals/{portal}/teams");
    for (number, body) in [json!({}), json!({ "description": null })]
        .into_iter()
        .enumerate()
    {
        let mut body = body;
        body["name"] = json!(format!("Team {number}"));
        let made = konnect.expect(201, "POST", &teams, body).await;
        assert_eq!(made["description"], made["name"]);
    }
    let made = json!({ "name": "Team", "description": "d" });
    let made = konnect.expect(201, "POST", &teams, made).await;
    assert_eq!(made["description"], "d");
    let one = format!("{teams}/{}", made["id"].as_str().unwrap());
    let changed = konnect
        .expect(200, "PATCH", &one, json!({ "description": null }))
        .await;
    assert_eq!(changed["description"], "Team");
    konnect
        .expect(400, "PATCH", &one, json!({ "description": "" }))
        .await;
}

#[tokio::test]
async fn a_destination_without_a_format_has_the_default_one() {
    let konnect = Konnect::start().await;
    let sink = json!({
        "name": "Sink", "endpoint": "https://sink.example", "authorization": "Bearer s3cret",
    });
    for path in ["/v2/audit-log-destinations", "/v3/audit-log-destinations"] {
        let made = konnect.expect(201, "POST", path, sink.clone()).await;
        assert_eq!(made["log_format"], "cef", "{path}");
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        assert_eq!(konnect.expect(200, "GET", &one, Value::Null).await, made);
    }
}

/// Method, path below the portal or from the root, a body with what a configuration does not say as
/// null, and what is shown afterwards.
const LEFT_OUT: &str = r#"
PATCH authentication-settings | {"basic_auth_enabled": false, "oidc_issuer": null, "oidc_client_id": null, "oidc_client_secret": null, "oidc_scopes": null, "oidc_claim_mappings": null} | {"basic_auth_enabled": false, "oidc_config": null}
PATCH custom-domain | {"enabled": false, "ssl": {"custom_certificate": null, "custom_private_key": null}} | {"enabled": false}
PUT customization | {"css": "a", "menu": {"main": null, "footer_sections": null, "footer_bottom": null}} | {"css": "a", "menu": {}}
PATCH audit-log-webhook | {"enabled": true, "audit_log_destination_id": "$destination"} | {"enabled": true}
PATCH audit-log-webhook | {"audit_log_destination_id": null} | {"enabled": false, "audit_log_destination_id": null}
POST /v2/application-auth-strategies | {"name": "k", "display_name": "K", "strategy_type": "key_auth", "configs": {"key-auth": {"key_names": null}}} | {"configs": {"key-auth": {}}}
POST /v3/apis/$api/versions | {"version": null, "spec": {"content": null}} | {"version": "1.0.0"}
PATCH /v2/audit-log-webhook | {"enabled": false, "endpoint": "https://sink.example", "authorization": "Bearer x", "log_format": "json"} | {"enabled": false}
PATCH /v2/audit-log-webhook | {"enabled": true, "endpoint": null, "authorization": null} | {"enabled": true, "endpoint": "https://sink.example"}
"#;

#[tokio::test]
async fn null_stands_for_what_a_configuration_leaves_out() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let portal = format!("/v3/portals/{portal}");
    let domain = json!({"hostname": "p.example", "enabled": true,
        "ssl": {"domain_verification_method": "http"}});
    let made = [
        (format!("{portal}/custom-domain"), domain, ""),
        ("/v3/apis".to_owned(), json!({"name": "A"}), "$api"),
        (
            "/v3/audit-log-destinations".to_owned(),
            json!({"name": "D", "endpoint": "https://d.example", "authorization": "Bearer x"}),
            "$destination",
        ),
    ];
    let mut ids = Vec::new();
    for (path, body, name) in made {
        let shown = konnect.expect(201, "POST", &path, body).await;
        ids.push((name, shown["id"].as_str().unwrap_or_default().to_owned()));
    }
    for line in LEFT_OUT.trim().lines() {
        let fill = |text: String, (name, id): &(&str, String)| match *name {
            "" => text,
            name => text.replace(name, id),
        };
        let line = ids.iter().fold(line.to_owned(), fill);
        let columns: Vec<&str> = line.split(" | ").collect();
        let (method, path) = columns[0].split_once(' ').unwrap();
        let path = match path.strip_prefix('/') {
            Some(_) => path.to_owned(),
            None => format!("{portal}/{path}"),
        };
        let [body, expected]: [Value; 2] =
            [1, 2].map(|index| serde_json::from_str(columns[index]).unwrap());
        let status = if method == "POST" { 201 } else { 200 };
        let shown = konnect.expect(status, method, &path, body).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{line}: {shown}");
        }
    }
}
