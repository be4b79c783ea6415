//! Who signs in by an identity provider: whom it makes a developer, which teams its groups give and
//! take, and what is in the log afterwards.

use konnect_emulator::{Scope, SsoSignIn, SsoSignedIn};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Konnect, Receiver};

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";

/// A portal with an OIDC provider that is enabled and a SAML provider that is not.
struct Scene {
    konnect: Konnect,
    portal: Uuid,
    oidc: Uuid,
    saml: Uuid,
}

fn id_of(shown: &Value) -> Uuid {
    shown["id"].as_str().unwrap().parse().unwrap()
}

impl Scene {
    async fn new() -> Self {
        let (konnect, portal) = Konnect::with_portal(json!({})).await;
        let providers = format!("/v3/portals/{portal}/identity-providers");
        let config = json!({"issuer_url": "https://idp.example", "client_id": "c"});
        let oidc = json!({"type": "oidc", "enabled": true, "config": config});
        let oidc = id_of(&konnect.expect(201, "POST", &providers, oidc).await);
        let saml = json!({"type": "saml"});
        let saml = id_of(&konnect.expect(201, "POST", &providers, saml).await);
        Self {
            portal: portal.parse().unwrap(),
            oidc,
            saml,
            konnect,
        }
    }

    async fn call(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/v3/portals/{}/{path}", self.portal);
        self.konnect.expect(status, method, &path, body).await
    }

    /// Makes a team, with a group of the OIDC provider unless it is empty.
    async fn team(&self, name: &str, group: &str) -> Uuid {
        let team = json!({"name": name});
        let team = id_of(&self.call(201, "POST", "teams", team).await);
        if !group.is_empty() {
            let mapping = json!({"team_id": team, "group": group});
            let path = format!("identity-providers/{}/team-group-mappings", self.oidc);
            self.call(201, "POST", &path, mapping).await;
        }
        team
    }

    fn sign_in(&self, email: &str, groups: &[&str]) -> SsoSignedIn {
        let mut asked = SsoSignIn::new(self.portal, email);
        asked.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.konnect.emulator.sso_sign_in(&asked).unwrap()
    }

    async fn teams_of(&self, developer: Uuid) -> Vec<Uuid> {
        let path = format!("developers/{developer}/teams");
        let listed = self.call(200, "GET", &path, Value::Null).await;
        listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(id_of)
            .collect()
    }
}

#[tokio::test]
async fn groups_put_into_teams_and_take_out_of_them_where_the_portal_says_so() {
    let scene = Scene::new().await;
    let backs = scene.team("Backs", "backs").await;
    let wings = scene.team("Wings", "wings").await;
    let by_hand = scene.team("Captains", "").await;
    let before = scene.sign_in("ann@x.example", &["backs"]);
    assert!(before.newcomer && before.joined.is_empty(), "{before:?}");
    let on = json!({"idp_mapping_enabled": true});
    scene
        .call(200, "PATCH", "authentication-settings", on)
        .await;
    let ann = before.developer_id;
    let member = json!({"id": ann});
    let path = format!("teams/{by_hand}/developers");
    scene.call(201, "POST", &path, member).await;
    for (groups, joined, left, teams) in [
        (
            &["backs", "else"][..],
            &[backs][..],
            &[][..],
            &[backs, by_hand][..],
        ),
        (&["backs"], &[], &[], &[backs, by_hand]),
        (&["wings", "Backs"], &[wings], &[backs], &[wings, by_hand]),
        (&["wings", "backs"], &[backs], &[], &[backs, wings, by_hand]),
        (&[], &[], &[backs, wings], &[by_hand]),
    ] {
        let signed_in = scene.sign_in("Ann@X.example", groups);
        assert!(signed_in.successful && !signed_in.newcomer);
        assert_eq!(signed_in.developer_id, ann);
        assert_eq!((&signed_in.joined[..], &signed_in.left[..]), (joined, left));
        assert_eq!(scene.teams_of(ann).await, teams, "{groups:?}");
    }
}

#[tokio::test]
async fn a_newcomer_is_approved_and_in_and_the_log_has_it() {
    let scene = Scene::new().await;
    let receiver = Receiver::start().await;
    let webhook = format!("/v3/portals/{}/audit-log-webhook", scene.portal);
    scene.konnect.subscribe(&webhook, &receiver, "json").await;
    let asked = json!({"portal_id": scene.portal, "email": "ann@x.example", "full_name": "Ann"});
    let path = "/emulator/sso-sign-ins";
    let answer = scene.konnect.expect(200, "POST", path, asked).await;
    assert_eq!(answer["successful"], true, "{answer}");
    let ann = answer["developer_id"].as_str().unwrap();
    let path = format!("developers/{ann}");
    let shown = scene.call(200, "GET", &path, Value::Null).await;
    assert_eq!(
        (&shown["full_name"], &shown["status"]),
        (&json!("Ann"), &json!("approved"))
    );
    let cookie = format!("portalaccesstoken={}", answer["session"].as_str().unwrap());
    let me = format!(
        "{}/portal/{}/api/v3/developer/me",
        scene.konnect.emulator.url(),
        scene.portal
    );
    let me = scene.konnect.client.get(me).header("cookie", cookie);
    assert_eq!(me.send().await.unwrap().status(), 200);
    let entry: Value = serde_json::from_str(&receiver.wait_for_lines(1).await[0]).unwrap();
    for (member, value) in [
        ("name", "AUTHENTICATION_OUTCOME_SUCCESS"),
        ("event_class_id", "AUTHENTICATION_TYPE_SSO"),
        ("event_product", "Dev-Portal"),
        ("request", "/api/v3/developer/authenticate/sso"),
        ("success", "true"),
        ("principal_id", ann),
        ("portal_id", &scene.portal.to_string()),
    ] {
        assert_eq!(entry[member], value, "{entry}");
    }
}

#[tokio::test]
async fn who_is_not_approved_is_not_in_and_keeps_their_teams() {
    let scene = Scene::new().await;
    let on = json!({"idp_mapping_enabled": true});
    scene
        .call(200, "PATCH", "authentication-settings", on)
        .await;
    scene.team("Backs", "backs").await;
    for (number, status) in ["pending", "revoked", "rejected"].iter().enumerate() {
        let email = format!("{status}@x.example");
        let developer = json!({"email": email, "full_name": "D", "status": status});
        let developer = id_of(&scene.call(201, "POST", "developers", developer).await);
        let signed_in = scene.sign_in(&email, &["backs"]);
        assert!(!signed_in.successful && signed_in.session.is_none());
        assert_eq!(
            (signed_in.developer_id, &signed_in.status[..]),
            (developer, *status)
        );
        assert!(scene.teams_of(developer).await.is_empty());
        let made = scene
            .konnect
            .emulator
            .entries(Some(Scope::Portal(scene.portal)));
        assert_eq!(made.len(), number + 1);
        assert_eq!(made[number].name, "AUTHENTICATION_OUTCOME_DISABLED");
    }
}

#[tokio::test]
async fn without_an_enabled_provider_nobody_signs_in_by_it() {
    let scene = Scene::new().await;
    let portal = scene.portal;
    let other = scene
        .konnect
        .emulator
        .seed(&json!({"portals": [{"name": "Other"}]}))
        .unwrap();
    let other = id_of(&other["portals"][0]);
    let refused = async |asked: Value, words: &str| {
        let path = "/emulator/sso-sign-ins";
        let answer = scene.konnect.expect(400, "POST", path, asked).await;
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    };
    let email = "ann@x.example";
    for (asked, words) in [
        (
            json!({"portal_id": NOBODY, "email": email}),
            "does not exist",
        ),
        (
            json!({"portal_id": other, "email": email}),
            "has no identity provider that is enabled",
        ),
        (
            json!({"portal_id": other, "email": email, "identity_provider_id": scene.oidc}),
            "has no identity provider",
        ),
        (
            json!({"portal_id": portal, "email": email, "identity_provider_id": scene.saml}),
            "is not enabled",
        ),
        (json!({"portal_id": portal, "email": "ann"}), "email"),
        (
            json!({"portal_id": portal, "email": email, "team": "x"}),
            "unknown field",
        ),
    ] {
        refused(asked, words).await;
    }
    let listed = scene.call(200, "GET", "developers", Value::Null).await;
    assert_eq!(listed["data"], json!([]), "nobody was made");
    let off = json!({"enabled": false});
    let path = format!("identity-providers/{}", scene.oidc);
    scene.call(200, "PATCH", &path, off).await;
    refused(
        json!({"portal_id": portal, "email": email}),
        "that is enabled",
    )
    .await;
    let path = format!("identity-providers/{}", scene.saml);
    scene
        .call(200, "PATCH", &path, json!({"enabled": true}))
        .await;
    let mut asked = SsoSignIn::new(portal, email);
    asked.identity_provider_id = Some(scene.saml);
    assert!(
        scene
            .konnect
            .emulator
            .sso_sign_in(&asked)
            .unwrap()
            .successful
    );
}
