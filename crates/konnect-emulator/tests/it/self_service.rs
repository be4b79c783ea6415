//! A developer's way through the portal, and what it leaves in the log.

use serde_json::{Value, json};

use crate::support::{Konnect, Receiver};

/// Somebody at a portal, with a session once they are in.
struct Visitor<'a> {
    konnect: &'a Konnect,
    portal: &'a str,
    session: String,
}

impl<'a> Visitor<'a> {
    fn new(konnect: &'a Konnect, portal: &'a str) -> Self {
        Self {
            konnect,
            portal,
            session: String::new(),
        }
    }

    /// Calls the portal and keeps the cookie it sets.
    async fn call(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!(
            "{}/portal/{}/api/v3/{path}",
            self.konnect.emulator.url(),
            self.portal
        );
        let method = method.parse().unwrap();
        let mut request = self
            .konnect
            .client
            .request(method, url)
            .header("cookie", &self.session);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            cookie
                .split_once(';')
                .unwrap()
                .0
                .clone_into(&mut self.session);
        }
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Signs up, confirms the address and sets the password `s3cret`.
    async fn sign_up(&mut self, email: &str) {
        let form = json!({"email": email, "full_name": "Ann"});
        assert_eq!(self.call("POST", "developer", form).await.0, 201);
        let path = format!("/emulator/mailbox?email={email}");
        let mails = self.konnect.expect(200, "GET", &path, Value::Null).await;
        let token = json!({"token": mails[0]["token"]});
        let (status, body) = self
            .call("POST", "developer/verify-email", token.clone())
            .await;
        assert_eq!((status, &body["email"]), (202, &json!(email)));
        assert_eq!(
            self.call("POST", "developer/verify-email", token).await.0,
            404
        );
        let reset = json!({"password": "s3cret", "token": body["token"]});
        assert_eq!(
            self.call("POST", "developer/reset-password", reset).await.0,
            204
        );
    }

    async fn sign_in(&mut self, email: &str, password: &str) -> (u16, Value) {
        let form = json!({"username": email, "password": password});
        self.call("POST", "developer/authenticate", form).await
    }
}

const ANN: &str = "ann@x.example";

/// An open portal with one API, and Bob in a team that may own applications.
async fn club() -> (Konnect, String, Value) {
    let (konnect, portal) = Konnect::with_portal(json!({"auto_approve_developers": true})).await;
    let seed = json!({
        "apis": [{"name": "Fixtures", "portal_id": portal}],
        "teams": [{"portal_id": portal, "name": "Owners", "can_own_applications": true}],
        "developers": [{
            "portal_id": portal, "email": "bob@x.example", "full_name": "Bob", "status": "approved",
            "password": "bobs", "teams": ["Owners"],
        }],
    });
    let made = konnect.emulator.seed(&seed).unwrap();
    (konnect, portal, made)
}

#[tokio::test]
async fn a_newcomer_gets_in_once_approved() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let mut ann = Visitor::new(&konnect, &portal);
    ann.sign_up(ANN).await;
    let again = json!({"email": "ANN@x.example", "full_name": "Ann"});
    assert_eq!(ann.call("POST", "developer", again).await.0, 400);
    let (status, problem) = ann.sign_in(ANN, "s3cret").await;
    assert_eq!(
        (status, &problem["title"]),
        (401, &json!("Approval Required"))
    );

    let developers = format!("/v3/portals/{portal}/developers");
    let path = format!("{developers}?filter[status]=pending");
    let pending = konnect.expect(200, "GET", &path, Value::Null).await;
    let one = format!(
        "{developers}/{}",
        pending["data"][0]["id"].as_str().unwrap()
    );
    konnect
        .expect(200, "PATCH", &one, json!({"status": "approved"}))
        .await;
    assert_eq!(ann.sign_in(ANN, "s3cret").await.0, 204);
    assert!(ann.session.starts_with("portalaccesstoken="));
    assert_eq!(
        ann.call("GET", "developer/me", Value::Null).await.1["email"],
        ANN
    );

    konnect
        .expect(200, "PATCH", &one, json!({"status": "revoked"}))
        .await;
    assert_eq!(ann.call("GET", "developer/me", Value::Null).await.0, 401);
}

#[tokio::test]
async fn sign_ins_are_logged_with_their_outcome_and_sign_ups_are_not() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    let webhook = format!("/v3/portals/{portal}/audit-log-webhook");
    konnect.subscribe(&webhook, &receiver, "json").await;
    let mut ann = Visitor::new(&konnect, &portal);
    ann.sign_up(ANN).await;
    ann.sign_in(ANN, "s3cret").await;
    ann.sign_in(ANN, "guess").await;
    ann.sign_in("nobody@x.example", "guess").await;
    let developers = format!("/v3/portals/{portal}/developers");
    let listed = konnect.expect(200, "GET", &developers, Value::Null).await;
    let id = listed["data"][0]["id"].as_str().unwrap();
    konnect
        .expect(
            200,
            "PATCH",
            &format!("{developers}/{id}"),
            json!({"status": "approved"}),
        )
        .await;
    ann.sign_in(ANN, "s3cret").await;

    let lines = receiver.wait_for_lines(4).await;
    let entries: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!([
                entry["name"],
                entry["success"],
                entry["severity"],
                entry["principal_id"]
            ])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!(["AUTHENTICATION_OUTCOME_DISABLED", "false", 6, id]),
            json!(["AUTHENTICATION_OUTCOME_INVALID_PASSWORD", "false", 1, id]),
            json!(["AUTHENTICATION_OUTCOME_NOT_FOUND", "false", 1, ""]),
            json!(["AUTHENTICATION_OUTCOME_SUCCESS", "true", 0, id]),
        ]
    );
    for entry in entries {
        assert_eq!(entry["event_product"], "Dev-Portal");
        assert_eq!(entry["event_class_id"], "AUTHENTICATION_TYPE_BASIC");
        assert_eq!(entry["portal_id"], json!(portal));
        assert_eq!(entry["org_id"], json!(konnect.emulator.org_id()));
        assert_eq!(entry["request"], "/api/v3/developer/authenticate");
    }
}

#[tokio::test]
async fn tokens_expire_and_unknown_ones_are_not_found() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let mut ann = Visitor::new(&konnect, &portal);
    let form = json!({"email": ANN, "full_name": "Ann"});
    assert_eq!(ann.call("POST", "developer", form).await.0, 201);
    let mails = konnect
        .expect(200, "GET", "/emulator/mailbox", Value::Null)
        .await;
    konnect.emulator.set_clock_offset(25 * 3600);
    let token = json!({"token": mails[0]["token"]});
    assert_eq!(
        ann.call("POST", "developer/verify-email", token).await.0,
        410
    );
    let reset = json!({"token": portal, "password": "x"});
    assert_eq!(
        ann.call("POST", "developer/reset-password", reset).await.0,
        404
    );
    assert_eq!(
        ann.call("POST", "developer/forgot-password", json!({"email": ANN}))
            .await
            .0,
        200
    );
    let mails = konnect
        .expect(200, "GET", "/emulator/mailbox", Value::Null)
        .await;
    let reset = json!({"token": mails[1]["token"], "password": "x"});
    assert_eq!(
        ann.call("POST", "developer/reset-password", reset).await.0,
        204
    );
}

#[tokio::test]
async fn a_developer_asks_for_an_api_and_may_withdraw() {
    let (konnect, portal, _) = club().await;
    let mut ann = Visitor::new(&konnect, &portal);
    ann.sign_up(ANN).await;
    ann.sign_in(ANN, "s3cret").await;
    let (status, application) = ann
        .call("POST", "applications", json!({"name": "App"}))
        .await;
    assert_eq!(status, 201);
    assert_eq!(
        ann.call("POST", "applications", json!({"name": "App"}))
            .await
            .0,
        409
    );

    let apis = ann.call("GET", "apis", Value::Null).await.1;
    let wish = json!({"api_id": apis["data"][0]["id"]});
    let registrations = format!(
        "applications/{}/registrations",
        application["id"].as_str().unwrap()
    );
    let (status, registration) = ann.call("POST", &registrations, wish.clone()).await;
    assert_eq!((status, &registration["status"]), (201, &json!("pending")));
    assert_eq!(registration["api_slug"], "fixtures");
    assert_eq!(ann.call("POST", &registrations, wish.clone()).await.0, 409);
    let one = format!("{registrations}/{}", registration["id"].as_str().unwrap());
    assert_eq!(ann.call("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(ann.call("POST", &registrations, wish).await.0, 201);
}

#[tokio::test]
async fn a_developer_sees_only_what_is_theirs_or_their_teams() {
    let (konnect, portal, made) = club().await;
    let mut bob = Visitor::new(&konnect, &portal);
    assert_eq!(bob.call("GET", "applications", Value::Null).await.0, 401);
    assert_eq!(bob.sign_in("bob@x.example", "bobs").await.0, 204);
    let teams = bob.call("GET", "developer/teams", Value::Null).await.1;
    assert_eq!(teams["data"][0]["name"], "Owners");
    let mut ann = Visitor::new(&konnect, &portal);
    ann.sign_up(ANN).await;
    ann.sign_in(ANN, "s3cret").await;

    let of_team = json!({"name": "Team app", "team_id": made["teams"][0]["id"]});
    assert_eq!(
        ann.call("POST", "applications", of_team.clone()).await.0,
        403
    );
    let (status, application) = bob.call("POST", "applications", of_team).await;
    assert_eq!(status, 201);
    let one = format!("applications/{}", application["id"].as_str().unwrap());
    assert_eq!(
        bob.call("GET", &one, Value::Null).await.1["team_id"],
        made["teams"][0]["id"]
    );
    assert_eq!(ann.call("GET", &one, Value::Null).await.0, 404);
    let keys = format!("{one}/credentials");
    let (status, key) = bob
        .call("POST", &keys, json!({"display_name": "main"}))
        .await;
    assert_eq!((status, key["credential"].is_string()), (201, true));
    let path = format!("/v3/portals/{portal}/{keys}");
    let listed = konnect.expect(200, "GET", &path, Value::Null).await;
    assert_eq!(listed["data"][0]["display_name"], "main");
    assert_eq!(listed["data"][0].get("credential"), None);
    assert_eq!(ann.call("DELETE", &one, Value::Null).await.0, 404);
    let listed = ann.call("GET", "applications", Value::Null).await.1;
    assert_eq!(listed["meta"]["page"]["total"], 0);

    let (status, _) = bob.call("POST", "developer/logout", Value::Null).await;
    assert_eq!((status, bob.session.as_str()), (204, "portalaccesstoken="));
    assert_eq!(bob.call("GET", "applications", Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_mailed_token_ends_with_whom_it_was_mailed_to() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let developers = format!("/v3/portals/{portal}/developers");
    let invite = async |email: &str| {
        let body = json!({"email": email, "full_name": "Ann", "send_invitation_email": true});
        konnect.expect(201, "POST", &developers, body).await["id"].clone()
    };
    let first = invite("ann@x.example").await;
    let path = format!("{developers}/{}", first.as_str().unwrap());
    konnect.expect(204, "DELETE", &path, Value::Null).await;
    invite("Ann@x.example").await;
    let mails = konnect
        .expect(200, "GET", "/emulator/mailbox", Value::Null)
        .await;
    for (mail, expected) in [(0, 404), (1, 204)] {
        let reset = json!({"token": mails[mail]["token"], "password": "x"});
        let mut ann = Visitor::new(&konnect, &portal);
        let answer = ann.call("POST", "developer/reset-password", reset).await;
        assert_eq!(answer.0, expected, "mail {mail}");
    }
}
