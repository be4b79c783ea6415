//! Customization, custom domains and integrations over raw HTTP: what is refused and how, and what
//! null and leaving out mean.

use serde_json::{Value, json};

use crate::support::Konnect;

/// Method, path below the portal, body, the member that is named, and by which rule. `@9` is a text
/// of nine characters.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str, &str, &str)] = &[
    ("PUT", LOOKS, r#"{"my_property": 1}"#, "my_property", "unknown_property"),
    ("PUT", LOOKS, r#"{"theme": null}"#, "theme", "is_object"),
    ("PATCH", LOOKS, r#"{"theme": {"mode": "grey"}}"#, "theme.mode", "enum"),
    ("PATCH", LOOKS, r##"{"theme": {"colors": {"primary": "#ffff"}}}"##, "theme.colors.primary", "matches_regex"),
    ("PUT", LOOKS, r#"{"theme": {"colors": {"second": "x"}}}"#, "theme.colors.second", "unknown_property"),
    ("PATCH", LOOKS, r#"{"layout": null}"#, "layout", "is_string"),
    ("PUT", LOOKS, r#"{"css": 7}"#, "css", "is_string"),
    ("PUT", LOOKS, r#"{"menu": {"main": {}}}"#, "menu.main", "is_array"),
    ("PUT", LOOKS, r#"{"menu": {"main": [{"path": "/", "title": "t", "visibility": "public"}]}}"#, "menu.main[0].external", "required"),
    ("PUT", LOOKS, r#"{"menu": {"footer_bottom": [{"path": "@513"}]}}"#, "menu.footer_bottom[0].path", "max_length"),
    ("PUT", LOOKS, r#"{"menu": {"footer_sections": [{"title": "@513"}]}}"#, "menu.footer_sections[0].title", "max_length"),
    ("PATCH", LOOKS, r#"{"menu": {"footer_sections": [{"title": "t"}]}}"#, "menu.footer_sections[0].items", "required"),
    ("PATCH", LOOKS, r#"{"menu": {"footer_sections": [{"items": [{"visibility": "all"}]}]}}"#, "menu.footer_sections[0].items[0].visibility", "enum"),
    ("PATCH", LOOKS, r#"{"spec_renderer": {"try_it_ui": "yes"}}"#, "spec_renderer.try_it_ui", "is_boolean"),
    ("PATCH", LOOKS, r#"{"spec_renderer": {"show": true}}"#, "spec_renderer.show", "unknown_property"),
    ("POST", DOMAIN, "", "body", "required"),
    ("PATCH", DOMAIN, "", "body", "required"),
    ("POST", DOMAIN, "{}", "hostname", "required"),
    ("POST", DOMAIN, "{}", "enabled", "required"),
    ("POST", DOMAIN, "{}", "ssl", "required"),
    ("POST", DOMAIN, r#"{"hostname": "a b", "enabled": true, "ssl": {}}"#, "hostname", "is_fqdn"),
    ("POST", DOMAIN, r#"{"ssl": {}}"#, "ssl.domain_verification_method", "required"),
    ("POST", DOMAIN, r#"{"ssl": {"domain_verification_method": "dns"}}"#, "ssl.domain_verification_method", "enum"),
    ("POST", DOMAIN, r#"{"ssl": {"domain_verification_method": "http", "skip_ca_check": true}}"#, "ssl.skip_ca_check", "unknown_property"),
    ("POST", DOMAIN, r#"{"ssl": {"domain_verification_method": "custom_certificate", "custom_certificate": "c"}}"#, "ssl.custom_private_key", "required"),
    ("POST", DOMAIN, r#"{"hostname": "TAKEN.example.com", "enabled": true, "ssl": {"domain_verification_method": "http"}}"#, "hostname", "invalid"),
    ("PATCH", DOMAIN, r#"{"hostname": "a.example.com"}"#, "hostname", "unknown_property"),
    ("PATCH", DOMAIN, r#"{"ssl": {"domain_verification_method": "http"}}"#, "ssl.domain_verification_method", "unknown_property"),
    ("PATCH", DOMAIN, r#"{"ssl": {"custom_certificate": 7}}"#, "ssl.custom_certificate", "is_string"),
    ("PUT", INTEGRATIONS, r#"{"my_property": 1}"#, "my_property", "unknown_property"),
    ("PUT", INTEGRATIONS, r#"{"google_tag_manager": {}}"#, "google_tag_manager.type", "required"),
    ("PUT", INTEGRATIONS, r#"{"google_tag_manager": {"type": "analytics"}}"#, "google_tag_manager.type", "enum"),
    ("PUT", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": {}}}"#, "google_tag_manager.config_data.id", "required"),
    ("PUT", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": {"id": "G-123"}}}"#, "google_tag_manager.config_data.id", "matches_regex"),
    ("PATCH", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": {"id": "GTM-"}}}"#, "google_tag_manager.config_data.id", "min_length"),
    ("PATCH", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": {"id": "@21"}}}"#, "google_tag_manager.config_data.id", "max_length"),
    ("PATCH", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": {"env_name": "@101"}}}"#, "google_tag_manager.config_data.env_name", "max_length"),
    ("PATCH", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": {"npa": "no"}}}"#, "google_tag_manager.config_data.npa", "is_boolean"),
    ("PATCH", INTEGRATIONS, r#"{"google_tag_manager": {"config_data": null}}"#, "google_tag_manager.config_data", "is_object"),
    ("PATCH", INTEGRATIONS, r#"{"google_analytics_4": {"config_data": {"id": "G-1 23"}}}"#, "google_analytics_4.config_data.id", "matches_regex"),
    ("PATCH", INTEGRATIONS, r#"{"google_analytics_4": {"config_data": {"npa": true}}}"#, "google_analytics_4.config_data.npa", "unknown_property"),
    ("PATCH", INTEGRATIONS, r#"{"equal_web": {"config_data": {"site_key": "a"}}}"#, "equal_web.config_data.site_key", "min_length"),
    ("PATCH", INTEGRATIONS, r#"{"equal_web": {"config_data": {"site_key": "@32"}}}"#, "equal_web.config_data.site_key", "matches_regex"),
    ("PATCH", INTEGRATIONS, r#"{"equal_web": {"config_data": {"widget_config": []}}}"#, "equal_web.config_data.widget_config", "is_object"),
    // What there is not yet cannot be changed in part.
    ("PATCH", INTEGRATIONS, r#"{"equal_web": {"enabled": true}}"#, "equal_web.config_data", "required"),
];

const LOOKS: &str = "customization";
const DOMAIN: &str = "custom-domain";
const INTEGRATIONS: &str = "integrations";

/// Puts texts in the places of a body that ask for them by their length.
fn filled(body: &str) -> Value {
    let mut parts = body.split('@');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (length, rest) = part.split_once('"').unwrap();
        filled += &"é".repeat(length.parse().unwrap());
        filled.push('"');
        filled += rest;
    }
    serde_json::from_str(&filled).unwrap_or_default()
}

fn domain(hostname: &str) -> Value {
    let ssl = json!({"domain_verification_method": "http"});
    json!({"hostname": hostname, "enabled": true, "ssl": ssl})
}

#[tokio::test]
async fn refuses_bodies_that_konnect_refuses() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let other = konnect
        .expect(201, "POST", "/v3/portals", json!({"name": "Other"}))
        .await;
    let path = format!("/v3/portals/{}/{DOMAIN}", other["id"].as_str().unwrap());
    let taken = domain("taken.example.com");
    konnect.expect(201, "POST", &path, taken).await;
    for (method, below, body, field, rule) in REFUSED {
        let path = format!("/v3/portals/{portal}/{below}");
        let refused = konnect.expect(400, method, &path, filled(body)).await;
        let named = refused["invalid_parameters"].as_array().unwrap();
        let fits = |item: &Value| item["field"] == *field && item["rule"] == *rule;
        assert!(named.iter().any(fits), "{method} {below} {body}: {refused}");
    }
    // Nothing of it took effect.
    for (below, status, nothing) in [
        (LOOKS, 200, json!({})),
        (INTEGRATIONS, 200, json!({})),
        (DOMAIN, 404, Value::Null),
    ] {
        let path = format!("/v3/portals/{portal}/{below}");
        let shown = konnect.expect(status, "GET", &path, Value::Null).await;
        assert!(status == 404 || shown == nothing, "{below}: {shown}");
    }
}

#[tokio::test]
async fn null_is_kept_and_what_is_left_out_is_not_there() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let looks = format!("/v3/portals/{portal}/{LOOKS}");
    let integrations = format!("/v3/portals/{portal}/{INTEGRATIONS}");
    let config = json!({"id": "GTM-1A2B", "l": "x"});
    let tags = json!({"enabled": true, "type": "tracking", "config_data": config});
    let mut tags_without = tags.clone();
    tags_without["config_data"]["l"] = Value::Null;
    let steps = [
        ("PATCH", &looks, json!({"css": null}), json!({"css": null})),
        (
            "PATCH",
            &looks,
            json!({"layout": ""}),
            json!({"css": null, "layout": ""}),
        ),
        (
            "PATCH",
            &looks,
            Value::Null,
            json!({"css": null, "layout": ""}),
        ),
        (
            "PUT",
            &looks,
            json!({"robots": null}),
            json!({"robots": null}),
        ),
        ("PUT", &looks, Value::Null, json!({})),
        (
            "PUT",
            &integrations,
            json!({"google_tag_manager": tags, "equal_web": null}),
            json!({"google_tag_manager": tags, "equal_web": null}),
        ),
        (
            "PATCH",
            &integrations,
            json!({"google_tag_manager": {"config_data": {"l": null}}}),
            json!({"google_tag_manager": tags_without, "equal_web": null}),
        ),
        (
            "PATCH",
            &integrations,
            json!({"google_tag_manager": null}),
            json!({"google_tag_manager": null, "equal_web": null}),
        ),
        ("PUT", &integrations, Value::Null, json!({})),
    ];
    for (method, path, body, expected) in steps {
        let shown = konnect.expect(200, method, path, body.clone()).await;
        assert_eq!(shown, expected, "{method} {path} {body}");
        let read = konnect.expect(200, "GET", path, Value::Null).await;
        assert_eq!(read, expected, "GET {path} after {body}");
    }
    let key = "a1".repeat(16);
    let equal_web =
        json!({"enabled": false, "type": "accessibility", "config_data": {"site_key": key}});
    let body = json!({"equal_web": equal_web});
    let shown = konnect.expect(200, "PUT", &integrations, body).await;
    let widget = &shown["equal_web"]["config_data"]["widget_config"];
    assert_eq!(*widget, json!({}), "its default");
}

#[tokio::test]
async fn a_domain_that_cannot_be_found_stays_pending_until_a_certificate_comes() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let path = format!("/v3/portals/{portal}/{DOMAIN}");
    let made = domain("portal.invalid");
    let made = konnect.expect(201, "POST", &path, made).await;
    konnect.emulator.advance_clock(3_600);
    let shown = konnect.expect(200, "GET", &path, Value::Null).await;
    assert_eq!(shown, made);
    let ssl = json!({"domain_verification_method": "http", "verification_status": "pending"});
    assert_eq!(shown["ssl"], ssl);

    let certificate = json!({"ssl": {"custom_certificate": "-----BEGIN CERTIFICATE-----"}});
    let shown = konnect.expect(200, "PATCH", &path, certificate).await;
    let ssl = json!({
        "domain_verification_method": "custom_certificate", "verification_status": "error",
        "validation_errors": ["the private key is not in PEM format"], "skip_ca_check": false,
        "uploaded_at": shown["updated_at"],
    });
    assert_eq!(
        (&shown["ssl"], &shown["cname_status"]),
        (&ssl, &json!("pending"))
    );

    let portals = "/v3/portals?filter[canonical_domain]=portal.invalid";
    let found = konnect.expect(200, "GET", portals, Value::Null).await;
    assert_eq!(found["data"][0]["id"], json!(portal));
    konnect.expect(204, "DELETE", &path, Value::Null).await;
    let found = konnect.expect(200, "GET", portals, Value::Null).await;
    assert_eq!(found["data"], json!([]));
}
