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
