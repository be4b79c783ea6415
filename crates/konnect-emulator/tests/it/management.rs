//! The management API: what it creates, lists and refuses.

use serde_json::{Value, json};

use crate::support::Konnect;

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";

#[tokio::test]
async fn answers_as_the_gateway_does_around_the_api() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let gone = konnect.expect(404, "GET", "/v3/nothing", Value::Null).await;
    assert_eq!(
        gone,
        json!({"message": "no Route matched with those values"})
    );
    konnect.expect(405, "PUT", "/v3/portals", json!({})).await;
    let no_uuid = konnect
        .expect(404, "GET", "/v3/portals/main", Value::Null)
        .await;
    assert_eq!(no_uuid["title"], "Not Found");

    let url = format!("{}/v3/portals", konnect.emulator.url());
    let anonymous = konnect.client.get(&url).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
    assert_eq!(
        anonymous.headers()["content-type"],
        "application/problem+json"
    );
    let wrong = konnect
        .client
        .get(&url)
        .bearer_auth("kpat_wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    let text = konnect
        .request("POST", "/v3/portals")
        .body("name=x")
        .send()
        .await
        .unwrap();
    assert_eq!(text.status(), 415);
    let broken = konnect
        .request("PATCH", &format!("/v3/portals/{portal}"))
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(broken.status(), 400);
    let sent = async |body: String| {
        let path = format!("/v3/portals/{portal}/snippets");
        let request = konnect.request("POST", &path);
        let request = request.header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    // Each character of the longest content, escaped, takes twelve bytes.
    let longest = "\\ud83d\\ude00".repeat(1_000_000);
    let body = format!(r#"{{"name": "a", "content": "{longest}"}}"#);
    assert_eq!(sent(body).await.0, 201);
    let body = " ".repeat(16 * 1024 * 1024 + 1);
    let too_large = r#"{"message":"Payload too large"}"#.to_owned();
    assert_eq!(sent(body).await, (413, too_large));
    let body = format!(r#"{{"name": {}"#, "[".repeat(10_000));
    assert_eq!(sent(body).await.0, 400);
    let body = r#"{"name": "b", "name": "c", "content": ""}"#.to_owned();
    assert!(sent(body).await.1.contains(r#""name":"c""#));
}

#[tokio::test]
async fn a_missing_parent_is_not_found_whatever_is_asked_below_it() {
    let konnect = Konnect::start().await;
    let paths = [
        ("GET", "developers"),
        ("POST", "developers"),
        ("POST", "teams"),
        ("POST", "applications"),
        ("GET", "application-registrations"),
        ("PATCH", "audit-log-webhook"),
        ("PUT", "audit-log-replay-job"),
    ];
    for (method, path) in paths {
        konnect
            .expect(
                404,
                method,
                &format!("/v3/portals/{NOBODY}/{path}"),
                Value::Null,
            )
            .await;
    }
}

#[tokio::test]
async fn a_row_of_another_portal_is_not_found() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let other = konnect
        .expect(201, "POST", "/v3/portals", json!({"name": "Other"}))
        .await;
    let developer = json!({"email": "ann@x.example", "full_name": "Ann"});
    let path = format!("/v3/portals/{portal}/developers");
    let ann = konnect.expect(201, "POST", &path, developer).await;
    let (id, other) = (ann["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    konnect
        .expect(200, "GET", &format!("{path}/{id}"), Value::Null)
        .await;
    konnect
        .expect(
            404,
            "GET",
            &format!("/v3/portals/{other}/developers/{id}"),
            Value::Null,
        )
        .await;
}

#[tokio::test]
async fn names_what_is_wrong_with_a_body_as_konnect_does() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let path = format!("/v3/portals/{portal}/developers");
    let problem = konnect
        .expect(
            400,
            "POST",
            &path,
            json!({"email": "a@b.example", "age": 3}),
        )
        .await;
    assert_eq!(problem["title"], "Invalid Request");
    assert!(
        problem["instance"]
            .as_str()
            .unwrap()
            .starts_with("kong:trace:")
    );
    assert_eq!(
        problem["invalid_parameters"],
        json!([
            {"field": "full_name", "rule": "required", "source": "body", "reason": "\"full_name\" is required"},
            {"field": "age", "rule": "unknown_property", "source": "body", "reason": "\"age\" is not allowed"},
        ])
    );
    let blank = json!({"name": "x", "endpoint": "", "authorization": " "});
    let problem = konnect
        .expect(400, "POST", "/v3/audit-log-destinations", blank)
        .await;
    assert_eq!(
        problem["invalid_parameters"],
        json!([
            {"field": "endpoint", "reason": "cannot be blank"},
            {"field": "authorization", "reason": "cannot be blank"},
        ])
    );
    assert!(
        problem["instance"]
            .as_str()
            .unwrap()
            .starts_with("konnect:trace:")
    );
}

#[tokio::test]
async fn pages_filters_and_sorts_developers() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let developers: Vec<Value> = (0..23)
        .map(|number| {
            let status = if number % 2 == 0 { "pending" } else { "approved" };
            json!({"portal_id": portal, "email": format!("dev{number:02}@x.example"), "full_name": "Dev", "status": status})
        })
        .collect();
    konnect
        .emulator
        .seed(&json!({"developers": developers}))
        .unwrap();
    let list = async |query: &str| {
        let path = format!("/v3/portals/{portal}/developers?{query}");
        konnect.expect(200, "GET", &path, Value::Null).await
    };
    let third = list("page%5Bsize%5D=10&page%5Bnumber%5D=3").await;
    assert_eq!(
        third["meta"],
        json!({"page": {"number": 3, "size": 10, "total": 23}})
    );
    assert_eq!(third["data"].as_array().unwrap().len(), 3);
    assert_eq!(
        list("filter[status][eq]=pending").await["meta"]["page"]["total"],
        12
    );
    assert_eq!(
        list("filter[email][contains]=dev1&filter[status]=approved").await["meta"]["page"]["total"],
        5
    );
    assert_eq!(
        list("filter[status][oeq]=pending,approved").await["meta"]["page"]["total"],
        23
    );
    assert_eq!(
        list("sort=email+desc&page[size]=1").await["data"][0]["email"],
        "dev22@x.example"
    );

    for (query, rule) in [
        ("page[size]=ten", "is_number"),
        ("sort=age", "enum"),
        ("filter[age]=3", "unknown_property"),
        ("filter[email][like]=x", "unknown_property"),
    ] {
        let path = format!("/v3/portals/{portal}/developers?{query}");
        let problem = konnect.expect(400, "GET", &path, Value::Null).await;
        assert_eq!(problem["invalid_parameters"][0]["rule"], rule, "{query}");
        assert_eq!(problem["invalid_parameters"][0]["source"], "query");
    }
}

#[tokio::test]
async fn a_developer_has_one_address_and_one_status() {
    let (konnect, portal) = Konnect::with_portal(json!({"auto_approve_developers": true})).await;
    let path = format!("/v3/portals/{portal}/developers");
    let ann = json!({"email": "ann@x.example", "full_name": "Ann"});
    let made = konnect.expect(201, "POST", &path, ann.clone()).await;
    assert_eq!(made["status"], "approved");
    assert_eq!(
        made["created_at"].as_str().unwrap().len(),
        "2026-01-01T00:00:00.000Z".len()
    );
    let conflict = konnect.expect(409, "POST", &path, ann).await;
    assert_eq!(
        conflict["detail"],
        "Developer with the given email already exists"
    );
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        konnect
            .expect(200, "PATCH", &one, json!({"status": "revoked"}))
            .await["status"],
        "revoked"
    );
    konnect
        .expect(400, "PATCH", &one, json!({"full_name": "Anne"}))
        .await;
    konnect.expect(204, "DELETE", &one, Value::Null).await;
    konnect.expect(404, "DELETE", &one, Value::Null).await;
}

#[tokio::test]
async fn a_developer_joins_a_team_once() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let seed = json!({
        "teams": [{"portal_id": portal, "name": "Partners"}],
        "developers": [{"portal_id": portal, "email": "a@x.example", "full_name": "A", "status": "approved"}],
    });
    let made = konnect.emulator.seed(&seed).unwrap();
    let (team, developer) = (
        made["teams"][0]["id"].as_str().unwrap(),
        &made["developers"][0]["id"],
    );
    let members = format!("/v3/portals/{portal}/teams/{team}/developers");
    let added = konnect
        .expect(201, "POST", &members, json!({"id": developer}))
        .await;
    assert_eq!(added, Value::Null);
    konnect
        .expect(409, "POST", &members, json!({"id": developer}))
        .await;
    konnect
        .expect(404, "POST", &members, json!({"id": NOBODY}))
        .await;
    let listed = konnect
        .expect(
            200,
            "GET",
            &format!("{members}?filter[active]=true"),
            Value::Null,
        )
        .await;
    assert_eq!(listed["data"][0]["active"], true);
    assert_eq!(listed["data"][0].get("status"), None);
    let developer = developer.as_str().unwrap();
    let teams = format!("/v3/portals/{portal}/developers/{developer}/teams");
    assert_eq!(
        konnect.expect(200, "GET", &teams, Value::Null).await["data"][0]["name"],
        "Partners"
    );
    konnect
        .expect(
            204,
            "DELETE",
            &format!("{members}/{developer}"),
            Value::Null,
        )
        .await;
    konnect
        .expect(
            404,
            "DELETE",
            &format!("{members}/{developer}"),
            Value::Null,
        )
        .await;
}

#[tokio::test]
async fn applications_and_registrations_end_with_their_owner() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let seed = json!({
        "apis": [{"name": "Fixtures", "portal_id": portal}],
        "developers": [{"portal_id": portal, "email": "a@x.example", "full_name": "A", "status": "approved"}],
    });
    let made = konnect.emulator.seed(&seed).unwrap();
    let (api, developer) = (
        &made["apis"][0]["id"],
        made["developers"][0]["id"].as_str().unwrap(),
    );
    let applications = format!("/v3/portals/{portal}/applications");
    let owner = json!({"name": "App", "owner": {"type": "developer", "id": developer}});
    let application = konnect.expect(201, "POST", &applications, owner).await;
    let unknown = json!({"name": "App", "owner": {"type": "developer", "id": NOBODY}});
    let problem = konnect.expect(400, "POST", &applications, unknown).await;
    assert_eq!(
        problem["invalid_parameters"][0]["rule"],
        "missing_reference"
    );

    let application = application["id"].as_str().unwrap();
    let registrations = format!("{applications}/{application}/registrations");
    let made = konnect
        .expect(201, "POST", &registrations, json!({"api_id": api}))
        .await;
    assert_eq!(
        (&made["status"], &made["api"]["name"]),
        (&json!("pending"), &json!("Fixtures"))
    );
    let conflict = konnect
        .expect(409, "POST", &registrations, json!({"api_id": api}))
        .await;
    assert_eq!(
        conflict["detail"],
        "API is already registered to the application"
    );
    let of_portal = format!(
        "/v3/portals/{portal}/application-registrations?filter[developer_id][eq]={developer}&filter[status]=pending"
    );
    let listed = konnect.expect(200, "GET", &of_portal, Value::Null).await;
    assert_eq!(
        listed["data"][0]["application"],
        json!({"id": application, "name": "App"})
    );
    let one = format!("{registrations}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        konnect
            .expect(200, "PATCH", &one, json!({"status": "approved"}))
            .await["status"],
        "approved"
    );
    let shown = konnect
        .expect(
            200,
            "GET",
            &format!("/v3/applications/{application}"),
            Value::Null,
        )
        .await;
    assert_eq!(shown["registration_count"], 1);

    konnect
        .expect(
            204,
            "DELETE",
            &format!("/v3/portals/{portal}/developers/{developer}"),
            Value::Null,
        )
        .await;
    konnect.expect(404, "GET", &one, Value::Null).await;
    konnect
        .expect(
            404,
            "GET",
            &format!("/v3/applications/{application}"),
            Value::Null,
        )
        .await;
}

#[tokio::test]
async fn destinations_are_paged_by_cursor_and_keep_their_authorization() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"name": format!("d{number}"), "endpoint": "http://127.0.0.1:9/", "authorization": "x"});
        let made = konnect
            .expect(201, "POST", "/v3/audit-log-destinations", body)
            .await;
        assert_eq!(
            (made.get("authorization"), &made["log_format"]),
            (None, &json!("cef"))
        );
        ids.push(made["id"].clone());
    }
    let mut seen = Vec::new();
    let mut next = "/v3/audit-log-destinations?page[size]=2".to_owned();
    loop {
        let page = konnect.expect(200, "GET", &next, Value::Null).await;
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].clone()),
        );
        match page["meta"]["next"].as_str() {
            Some(path) => path.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let one = format!("/v3/audit-log-destinations/{}", ids[0].as_str().unwrap());
    let webhook = format!("/v3/portals/{portal}/audit-log-webhook");
    konnect
        .expect(400, "PATCH", &webhook, json!({"enabled": true}))
        .await;
    konnect
        .expect(
            400,
            "PATCH",
            &webhook,
            json!({"audit_log_destination_id": NOBODY}),
        )
        .await;
    konnect
        .expect(
            200,
            "PATCH",
            &webhook,
            json!({"audit_log_destination_id": ids[0]}),
        )
        .await;
    assert_eq!(
        konnect.expect(409, "DELETE", &one, Value::Null).await["detail"],
        "destination is in use"
    );
    konnect.expect(204, "DELETE", &webhook, Value::Null).await;
    assert_eq!(
        konnect.expect(200, "GET", &webhook, Value::Null).await,
        json!({"enabled": false})
    );
    let legacy = one.replace("/v3/", "/v2/");
    konnect.expect(204, "DELETE", &legacy, Value::Null).await;
}

#[tokio::test]
async fn a_required_body_must_be_sent_and_a_page_below_one_counts_as_left_out() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let path = format!("/v3/portals/{portal}");
    let refused = konnect.expect(400, "PATCH", &path, Value::Null).await;
    assert_eq!(refused["invalid_parameters"][0]["field"], "body");
    konnect.expect(200, "PATCH", &path, json!({})).await;
    for query in ["page[size]=0&page[number]=-1", "page[size]=&page[number]="] {
        let path = format!("/v3/portals?{query}");
        let list = konnect.expect(200, "GET", &path, Value::Null).await;
        let page = json!({"number": 1, "size": 10, "total": 1});
        assert_eq!(list["meta"]["page"], page, "{query}");
        assert_eq!(list["data"][0]["id"], *portal, "{query}");
    }
}
