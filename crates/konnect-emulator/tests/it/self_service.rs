//! A developer's way through the portal, and what it leaves in the log.

use serde_json::{Value, json};

use crate::support::{Konnect, Receiver};

/// Calls a portal with a session cookie, if there is one.
async fn call(
    konnect: &Konnect,
    session: &str,
    method: &str,
    path: &str,
    body: Value,
) -> (u16, Value, String) {
    let url = format!("{}{path}", konnect.emulator.url());
    let mut request = konnect
        .client
        .request(method.parse().unwrap(), url)
        .header("cookie", session);
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let cookie = response
        .headers()
        .get("set-cookie")
        .map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
    (
        status,
        body,
        cookie
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap()
            .to_owned(),
    )
}

async fn sign_in(konnect: &Konnect, portal: &str, password: &str) -> (u16, Value, String) {
    let path = format!("/portal/{portal}/api/v3/developer/authenticate");
    call(
        konnect,
        "",
        "POST",
        &path,
        json!({"username": "ann@x.example", "password": password}),
    )
    .await
}

/// Signs up, confirms the address and sets a password.
async fn sign_up(konnect: &Konnect, portal: &str) {
    let base = format!("/portal/{portal}/api/v3/developer");
    let form = json!({"email": "ann@x.example", "full_name": "Ann"});
    assert_eq!(call(konnect, "", "POST", &base, form.clone()).await.0, 201);
    assert_eq!(call(konnect, "", "POST", &base, form).await.0, 400);
    let mails = konnect
        .expect(
            200,
            "GET",
            "/emulator/mailbox?email=ann@x.example",
            Value::Null,
        )
        .await;
    let token = json!({"token": mails[0]["token"]});
    let (status, body, _) = call(
        konnect,
        "",
        "POST",
        &format!("{base}/verify-email"),
        token.clone(),
    )
    .await;
    assert_eq!((status, &body["email"]), (202, &json!("ann@x.example")));
    assert_eq!(
        call(konnect, "", "POST", &format!("{base}/verify-email"), token)
            .await
            .0,
        404
    );
    let reset = json!({"password": "s3cret", "token": body["token"]});
    assert_eq!(
        call(
            konnect,
            "",
            "POST",
            &format!("{base}/reset-password"),
            reset
        )
        .await
        .0,
        204
    );
}

#[tokio::test]
async fn a_newcomer_gets_in_once_approved_and_only_sign_ins_are_logged() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(
            &format!("/v3/portals/{portal}/audit-log-webhook"),
            &receiver,
            "json",
        )
        .await;
    sign_up(&konnect, &portal).await;

    let (status, problem, _) = sign_in(&konnect, &portal, "s3cret").await;
    assert_eq!(
        (status, &problem["title"]),
        (401, &json!("Approval Required"))
    );
    assert_eq!(sign_in(&konnect, &portal, "guess").await.0, 401);
    let developers = format!("/v3/portals/{portal}/developers");
    let listed = konnect
        .expect(
            200,
            "GET",
            &format!("{developers}?filter[status]=pending"),
            Value::Null,
        )
        .await;
    let id = listed["data"][0]["id"].as_str().unwrap();
    konnect
        .expect(
            200,
            "PATCH",
            &format!("{developers}/{id}"),
            json!({"status": "approved"}),
        )
        .await;
    let (status, _, session) = sign_in(&konnect, &portal, "s3cret").await;
    assert_eq!(status, 204);
    assert!(session.starts_with("portalaccesstoken="));
    let me = format!("/portal/{portal}/api/v3/developer/me");
    assert_eq!(
        call(&konnect, &session, "GET", &me, Value::Null).await.1["email"],
        "ann@x.example"
    );
    assert_eq!(call(&konnect, "", "GET", &me, Value::Null).await.0, 401);

    let entries: Vec<Value> = receiver
        .wait_for_lines(3)
        .await
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
            json!(["AUTHENTICATION_OUTCOME_SUCCESS", "true", 0, id]),
        ]
    );
    assert_eq!(entries[0]["event_product"], "Dev-Portal");
    assert_eq!(entries[0]["portal_id"], json!(portal));
    assert_eq!(entries[0]["request"], "/api/v3/developer/authenticate");

    konnect
        .expect(
            200,
            "PATCH",
            &format!("{developers}/{id}"),
            json!({"status": "revoked"}),
        )
        .await;
    assert_eq!(
        call(&konnect, &session, "GET", &me, Value::Null).await.0,
        401
    );
}

#[tokio::test]
async fn an_unknown_address_is_logged_without_a_principal() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(
            &format!("/v3/portals/{portal}/audit-log-webhook"),
            &receiver,
            "cef",
        )
        .await;
    assert_eq!(sign_in(&konnect, &portal, "x").await.0, 401);
    let lines = receiver.wait_for_lines(1).await;
    assert!(
        lines[0].contains("|AUTHENTICATION_OUTCOME_NOT_FOUND|1|"),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains(" principal_id= trace_id="),
        "{}",
        lines[0]
    );
}

#[tokio::test]
async fn a_developer_asks_for_an_api_and_sees_only_their_own() {
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
    sign_up(&konnect, &portal).await;
    let (_, _, ann) = sign_in(&konnect, &portal, "s3cret").await;
    let base = format!("/portal/{portal}/api/v3");
    let credentials = json!({"username": "bob@x.example", "password": "bobs"});
    let (_, _, bob) = call(
        &konnect,
        "",
        "POST",
        &format!("{base}/developer/authenticate"),
        credentials,
    )
    .await;
    let teams = call(
        &konnect,
        &bob,
        "GET",
        &format!("{base}/developer/teams"),
        Value::Null,
    )
    .await
    .1;
    assert_eq!(teams["data"][0]["name"], "Owners");

    let applications = format!("{base}/applications");
    let (status, application, _) = call(
        &konnect,
        &ann,
        "POST",
        &applications,
        json!({"name": "App"}),
    )
    .await;
    assert_eq!(status, 201);
    assert_eq!(
        call(
            &konnect,
            &ann,
            "POST",
            &applications,
            json!({"name": "App"})
        )
        .await
        .0,
        409
    );
    let team = &made["teams"][0]["id"];
    let foreign = json!({"name": "Team app", "team_id": team});
    assert_eq!(
        call(&konnect, &ann, "POST", &applications, foreign.clone())
            .await
            .0,
        403
    );
    assert_eq!(
        call(&konnect, &bob, "POST", &applications, foreign).await.0,
        201
    );
    assert_eq!(
        call(&konnect, &ann, "GET", &applications, Value::Null)
            .await
            .1["meta"]["page"]["total"],
        1
    );

    let one = format!("{applications}/{}", application["id"].as_str().unwrap());
    assert_eq!(call(&konnect, &bob, "GET", &one, Value::Null).await.0, 404);
    let apis = call(&konnect, &ann, "GET", &format!("{base}/apis"), Value::Null)
        .await
        .1;
    let wish = json!({"api_id": apis["data"][0]["id"]});
    let (status, registration, _) = call(
        &konnect,
        &ann,
        "POST",
        &format!("{one}/registrations"),
        wish.clone(),
    )
    .await;
    assert_eq!((status, &registration["status"]), (201, &json!("pending")));
    assert_eq!(
        call(
            &konnect,
            &ann,
            "POST",
            &format!("{one}/registrations"),
            wish.clone()
        )
        .await
        .0,
        409
    );
    let withdrawn = format!(
        "{one}/registrations/{}",
        registration["id"].as_str().unwrap()
    );
    assert_eq!(
        call(&konnect, &ann, "DELETE", &withdrawn, Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(
        call(
            &konnect,
            &ann,
            "POST",
            &format!("{one}/registrations"),
            wish
        )
        .await
        .0,
        201
    );

    let (_, _, session) = call(
        &konnect,
        &ann,
        "POST",
        &format!("{base}/developer/logout"),
        Value::Null,
    )
    .await;
    assert_eq!(session, "portalaccesstoken=");
    assert_eq!(
        call(&konnect, &ann, "GET", &applications, Value::Null)
            .await
            .0,
        401
    );
}
