//! What ends with a portal, a developer, a team or an application, and what stays.

use serde_json::{Value, json};

use crate::support::Konnect;

/// A portal in which everything that exists has something of it.
struct Scene {
    konnect: Konnect,
    portal: String,
    developer: String,
    other: String,
    team: String,
    api: String,
    destination: String,
    /// Applications of the developer and of the team, each with a registration.
    own: Application,
    shared: Application,
}

struct Application {
    path: String,
    id: String,
    registration: String,
}

impl Scene {
    async fn start() -> Self {
        let (konnect, portal) = Konnect::with_portal(json!({})).await;
        let at = format!("/v3/portals/{portal}");
        let seed = json!({ "apis": [{ "name": "Flights", "portals": [portal] }] });
        let api = text(&konnect.emulator.seed(&seed).unwrap()["apis"][0]["id"]);
        let person = |email| json!({ "email": email, "full_name": "A", "status": "approved" });
        let developers = format!("{at}/developers");
        let developer = make(&konnect, &developers, person("a@x.example")).await;
        let other = make(&konnect, &developers, person("b@x.example")).await;
        let team = json!({ "name": "Team", "can_own_applications": true });
        let team = make(&konnect, &format!("{at}/teams"), team).await;
        for member in [&developer, &other] {
            let path = format!("{at}/teams/{team}/developers");
            let body = json!({ "id": member });
            konnect.expect(201, "POST", &path, body).await;
        }
        let role = json!({
            "role_name": "API Viewer", "entity_id": api, "entity_type_name": "Services",
            "entity_region": "eu",
        });
        make(&konnect, &format!("{at}/teams/{team}/assigned-roles"), role).await;
        let own = application(&konnect, &at, &api, "developer", &developer).await;
        let shared = application(&konnect, &at, &api, "team", &team).await;
        let sink = json!({
            "name": "Sink", "endpoint": "https://sink.example", "authorization": "Bearer s3cret",
        });
        let destination = make(&konnect, "/v3/audit-log-destinations", sink).await;
        let bind = json!({ "audit_log_destination_id": destination, "enabled": true });
        konnect
            .expect(200, "PATCH", &format!("{at}/audit-log-webhook"), bind)
            .await;
        Self {
            konnect,
            portal,
            developer,
            other,
            team,
            api,
            destination,
            own,
            shared,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v3/portals/{}{rest}", self.portal)
    }

    async fn delete(&self, path: &str) {
        self.konnect.expect(204, "DELETE", path, Value::Null).await;
    }

    async fn get(&self, status: u16, path: &str) -> Value {
        self.konnect.expect(status, "GET", path, Value::Null).await
    }

    async fn total(&self, path: &str) -> Value {
        self.get(200, path).await["meta"]["page"]["total"].clone()
    }

    /// Holds that an application is there with its registration, or that neither is.
    async fn expect_application(&self, application: &Application, is_there: bool) {
        let status = if is_there { 200 } else { 404 };
        let unscoped = format!("/v3/applications/{}", application.id);
        for path in [&application.path, &application.registration, &unscoped] {
            self.get(status, path).await;
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn make(konnect: &Konnect, path: &str, body: Value) -> String {
    text(&konnect.expect(201, "POST", path, body).await["id"])
}

async fn application(
    konnect: &Konnect,
    at: &str,
    api: &str,
    kind: &str,
    owner: &str,
) -> Application {
    let body = json!({ "name": "App", "owner": { "type": kind, "id": owner } });
    let id = make(konnect, &format!("{at}/applications"), body).await;
    let path = format!("{at}/applications/{id}");
    let registrations = format!("{path}/registrations");
    let registration = make(konnect, &registrations, json!({ "api_id": api })).await;
    Application {
        id,
        registration: format!("{registrations}/{registration}"),
        path,
    }
}

#[tokio::test]
async fn a_developer_takes_their_applications_and_memberships_along() {
    let scene = Scene::start().await;
    let developer = scene.path(&format!("/developers/{}", scene.developer));
    scene.delete(&developer).await;
    scene.get(404, &developer).await;
    scene.expect_application(&scene.own, false).await;
    scene.expect_application(&scene.shared, true).await;
    let registrations = scene.path("/application-registrations");
    assert_eq!(scene.total(&registrations).await, 1);
    let members = scene.path(&format!("/teams/{}/developers", scene.team));
    assert_eq!(scene.get(200, &members).await["data"][0]["id"], scene.other);
    assert_eq!(scene.total(&members).await, 1);
    // The address is free again, and whoever has it next starts with nothing.
    let again = json!({ "email": "a@x.example", "full_name": "A" });
    let again = make(&scene.konnect, &scene.path("/developers"), again).await;
    let teams = scene.path(&format!("/developers/{again}/teams"));
    assert_eq!(scene.total(&teams).await, 0);
}

#[tokio::test]
async fn a_team_takes_its_roles_memberships_and_applications_along() {
    let scene = Scene::start().await;
    let team = scene.path(&format!("/teams/{}", scene.team));
    let roles = format!("{team}/assigned-roles");
    assert_eq!(scene.total(&roles).await, 1);
    scene.delete(&team).await;
    for path in [&team, &roles, &format!("{team}/developers")] {
        scene.get(404, path).await;
    }
    scene.expect_application(&scene.shared, false).await;
    scene.expect_application(&scene.own, true).await;
    for member in [&scene.developer, &scene.other] {
        let path = scene.path(&format!("/developers/{member}"));
        scene.get(200, &path).await;
        assert_eq!(scene.total(&format!("{path}/teams")).await, 0);
    }
}

#[tokio::test]
async fn an_application_takes_its_registrations_along_and_no_other() {
    let scene = Scene::start().await;
    scene.delete(&scene.own.path).await;
    scene.expect_application(&scene.own, false).await;
    scene.expect_application(&scene.shared, true).await;
    let registrations = scene.path("/application-registrations");
    assert_eq!(scene.total(&registrations).await, 1);
}

#[tokio::test]
async fn a_portal_takes_everything_along_but_what_the_organisation_has() {
    let scene = Scene::start().await;
    let portal = scene.path("");
    for query in ["", "?force=false", "?force=x"] {
        let path = format!("{portal}{query}");
        let refused = scene
            .konnect
            .expect(400, "DELETE", &path, Value::Null)
            .await;
        let named = &refused["invalid_parameters"][0];
        assert_eq!(
            (&named["field"], &named["source"]),
            (&json!("force"), &json!("query"))
        );
    }
    scene.get(200, &portal).await;
    let in_use = format!("/v3/audit-log-destinations/{}", scene.destination);
    scene
        .konnect
        .expect(409, "DELETE", &in_use, Value::Null)
        .await;

    scene.delete(&format!("{portal}?force=true")).await;
    for rest in [
        "",
        "/developers",
        &format!("/developers/{}", scene.developer),
        "/teams",
        &format!("/teams/{}", scene.team),
        &format!("/teams/{}/assigned-roles", scene.team),
        "/applications",
        "/application-registrations",
        "/audit-log-webhook",
        "/audit-log-webhook/status",
        "/audit-log-replay-job",
    ] {
        scene.get(404, &scene.path(rest)).await;
    }
    for application in [&scene.own, &scene.shared] {
        scene.expect_application(application, false).await;
    }
    // Its webhook is gone, so that nothing holds the destination.
    scene.delete(&in_use).await;
    // The API is the organisation's, and is still there: its id is in use.
    let seed = json!({ "apis": [{ "id": scene.api, "name": "Flights", "portals": [] }] });
    let taken = scene.konnect.emulator.seed(&seed).unwrap_err().to_string();
    assert!(taken.contains("in use"), "{taken}");
}
