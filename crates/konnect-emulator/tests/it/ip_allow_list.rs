//! IP allow lists over raw HTTP: what is refused and how, and what a list is told.

use serde_json::{Value, json};

use crate::support::Konnect;

#[tokio::test]
async fn refuses_what_is_no_list_of_addresses() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let lists = format!("/v3/portals/{portal}/ip-allow-list");
    let made = json!({"allowed_ips": ["10.0.0.1"]});
    let made = konnect.expect(201, "POST", &lists, made).await;
    let one = format!("{lists}/{}", made["id"].as_str().unwrap());
    let many: Vec<String> = (0..26).map(|number| format!("10.0.0.{number}")).collect();
    let refused = [
        (json!({"allowed_ips": []}), "allowed_ips", "min_items"),
        (json!({"allowed_ips": many}), "allowed_ips", "max_items"),
        (json!({"allowed_ips": null}), "allowed_ips", "is_array"),
        (json!({"allowed_ips": "::1"}), "allowed_ips", "is_array"),
        (
            json!({"allowed_ips": ["::1", "::1"]}),
            "allowed_ips",
            "invalid",
        ),
        (json!({"allowed_ips": [7]}), "allowed_ips[0]", "invalid"),
        (
            json!({"allowed_ips": ["::1", "10.0.0.256"]}),
            "allowed_ips[1]",
            "invalid",
        ),
        (
            json!({"allowed_ips": ["10.0.0.0/33"]}),
            "allowed_ips[0]",
            "invalid",
        ),
        (
            json!({"allowed_ips": ["fd00::/129"]}),
            "allowed_ips[0]",
            "invalid",
        ),
        (
            json!({"allowed_ips": ["host.example"]}),
            "allowed_ips[0]",
            "invalid",
        ),
        (
            json!({"allowed_ips": ["::1"], "id": made["id"]}),
            "id",
            "unknown_property",
        ),
    ];
    for (body, field, rule) in refused {
        for (method, path) in [("POST", &lists), ("PUT", &one), ("PATCH", &one)] {
            let answer = konnect.expect(400, method, path, body.clone()).await;
            let named = &answer["invalid_parameters"][0];
            let expected = (&json!(field), &json!(rule));
            assert_eq!(
                (&named["field"], &named["rule"]),
                expected,
                "{method} {body}"
            );
        }
    }
    for (method, path) in [("POST", &lists), ("PUT", &one), ("PATCH", &one)] {
        for body in [json!({}), Value::Null] {
            let answer = konnect.expect(400, method, path, body).await;
            let named = &answer["invalid_parameters"][0];
            assert_eq!(
                (&named["field"], &named["rule"]),
                (&json!("allowed_ips"), &json!("required"))
            );
        }
    }
    // Nothing of it took effect.
    let listed = konnect.expect(200, "GET", &lists, Value::Null).await;
    let page = json!({"next": null, "previous": null, "size": 10});
    assert_eq!(listed, json!({"data": [made], "meta": page}));
    let all = json!({"allowed_ips": many[..25]});
    let shown = konnect.expect(200, "PATCH", &one, all.clone()).await;
    assert_eq!(
        shown,
        json!({"id": made["id"], "allowed_ips": all["allowed_ips"]})
    );
}

#[tokio::test]
async fn lists_are_of_their_portal_alone() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let other = konnect
        .expect(201, "POST", "/v3/portals", json!({"name": "Other"}))
        .await;
    let lists = |portal: &str| format!("/v3/portals/{portal}/ip-allow-list");
    let body = json!({"allowed_ips": ["::1"]});
    let made = konnect
        .expect(201, "POST", &lists(&portal), body.clone())
        .await;
    let id = made["id"].as_str().unwrap();
    let (own, foreign) = (lists(&portal), lists(other["id"].as_str().unwrap()));
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let path = format!("{foreign}/{id}");
        let absent = konnect.expect(404, method, &path, body.clone()).await;
        assert_eq!(absent["title"], "Not Found", "{method}");
    }
    let wrong = format!("{own}?page[after]=nowhere");
    konnect.expect(400, "GET", &wrong, Value::Null).await;
    let listed = konnect.expect(200, "GET", &foreign, Value::Null).await;
    assert_eq!(listed["data"], json!([]));
}
