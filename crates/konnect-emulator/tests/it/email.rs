//! E-mails over raw HTTP: what is refused and how, and which path means what.

use serde_json::{Value, json};

use crate::support::Konnect;

/// Method, path below the portal, body, the member that is named, and by which rule. `@9` is a text
/// of nine characters.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str, &str, &str)] = &[
    ("POST", "email-domains", "{}", "domain", "required"),
    ("POST", "email-domains", r#"{"domain": ""}"#, "domain", "is_fqdn"),
    ("POST", "email-domains", r#"{"domain": "a/b.example"}"#, "domain", "is_fqdn"),
    ("POST", "email-domains", r#"{"domain": 7}"#, "domain", "is_fqdn"),
    ("POST", "email-domains", r#"{"domain": "there.example"}"#, "domain", "invalid"),
    ("POST", "email-domains", r#"{"domain": "a.example", "id": 1}"#, "id", "unknown_property"),
    ("POST", "email-config", "", "body", "required"),
    ("POST", "email-config", r#"{"from_email": "nobody"}"#, "from_email", "invalid"),
    ("POST", "email-config", r#"{"from_name": 7}"#, "from_name", "is_string"),
    ("POST", "email-config", r#"{"domain_name": "-"}"#, "domain_name", "is_fqdn"),
    ("POST", "email-config", r#"{"id": "x"}"#, "id", "unknown_property"),
    ("PATCH", "email-delivery", "", "body", "required"),
    ("PATCH", "email-delivery", r#"{"enabled": null}"#, "enabled", "is_boolean"),
    ("PATCH", "email-delivery", r#"{"reply_to_email": ""}"#, "reply_to_email", "min_length"),
    ("PATCH", "email-delivery", r#"{"from_name": "x"}"#, "from_name", "unknown_property"),
    ("PATCH", TEMPLATE, "", "body", "required"),
    ("PATCH", TEMPLATE, r#"{"enabled": "yes"}"#, "enabled", "is_boolean"),
    ("PATCH", TEMPLATE, r#"{"content": "x"}"#, "content", "is_object"),
    ("PATCH", TEMPLATE, r#"{"content": {"subject": "@1025"}}"#, "content.subject", "max_length"),
    ("PATCH", TEMPLATE, r#"{"content": {"title": "@1025"}}"#, "content.title", "max_length"),
    ("PATCH", TEMPLATE, r#"{"content": {"body": "@4097"}}"#, "content.body", "max_length"),
    ("PATCH", TEMPLATE, r#"{"content": {"button_label": "@129"}}"#, "content.button_label", "max_length"),
    ("POST", TEST, "", "body", "required"),
    ("POST", TEST, "{}", "content", "required"),
    ("POST", TEST, r#"{"content": null}"#, "content", "is_object"),
    ("POST", TEST, r#"{"content": {"subject": "S", "title": "T"}}"#, "content.body", "required"),
    ("POST", TEST, r#"{"content": {"button_label": null}}"#, "content.button_label", "is_string"),
    ("POST", TEST, r#"{"content": {"body": "@4097"}}"#, "content.body", "max_length"),
];

const TEMPLATE: &str = "email-templates/reset-password";
const TEST: &str = "email-templates/reset-password/send-test-email";
const DOMAINS: &str = "/v3/portals/email-domains";

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

#[tokio::test]
async fn refuses_bodies_that_konnect_refuses() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let there = json!({"domain": "there.example"});
    konnect.expect(201, "POST", DOMAINS, there).await;
    for (method, below, body, field, rule) in REFUSED {
        let path = match *below {
            "email-domains" => DOMAINS.to_owned(),
            below => format!("/v3/portals/{portal}/{below}"),
        };
        let refused = konnect.expect(400, method, &path, filled(body)).await;
        let named = refused["invalid_parameters"].as_array().unwrap();
        let fits = |item: &Value| item["field"] == *field && item["rule"] == *rule;
        assert!(named.iter().any(fits), "{path} {body}: {refused}");
    }
    // Nothing of it took effect.
    for below in ["email-config", "email-delivery", TEMPLATE] {
        let path = format!("/v3/portals/{portal}/{below}");
        let absent = konnect.expect(404, "GET", &path, Value::Null).await;
        assert_eq!(absent["title"], "Not Found", "{path}");
    }
    let list = konnect.expect(200, "GET", DOMAINS, Value::Null).await;
    assert_eq!(list["meta"]["page"]["total"], 1);
}

#[tokio::test]
async fn takes_what_is_as_long_as_it_may_be_and_what_the_schema_leaves_open() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let path = format!("/v3/portals/{portal}/email-templates/reset-password");
    let long = |length: usize| "é".repeat(length);
    let content = json!({
        "subject": long(1024), "title": long(1024), "body": long(4096), "button_label": long(128),
    });
    let mut sent = content.clone();
    sent["footer"] = json!("dropped");
    let body = json!({"content": sent, "locale": "dropped"});
    let shown = konnect.expect(200, "PATCH", &path, body.clone()).await;
    assert_eq!(shown["content"], content);
    assert_eq!(shown.get("locale"), None);
    let test = format!("{path}/send-test-email");
    konnect.expect(204, "POST", &test, body).await;
    let mailbox = "/emulator/mailbox?email=user@konnect.example";
    let mails = konnect.expect(200, "GET", mailbox, Value::Null).await;
    let [mail] = &mails.as_array().unwrap()[..] else {
        panic!("{mails}")
    };
    assert_eq!(
        (&mail["kind"], &mail["portal_id"]),
        (&json!("test"), &json!(portal))
    );
    assert_eq!(mail["template"], "reset-password");
    assert_eq!((&mail["content"], mail.get("token")), (&content, None));

    // The one PATCH whose body is not required changes nothing without one.
    let config = format!("/v3/portals/{portal}/email-config");
    let made = konnect.expect(201, "POST", &config, json!({})).await;
    let same = konnect.expect(200, "PATCH", &config, Value::Null).await;
    assert_eq!(same["id"], made["id"]);
    for member in ["domain_name", "from_name", "from_email", "reply_to_email"] {
        assert_eq!(same.get(member), Some(&Value::Null), "{member}");
    }
}

#[tokio::test]
async fn a_domain_is_the_same_in_any_case() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let made = json!({"domain": "Mail.Example"});
    konnect.expect(201, "POST", DOMAINS, made.clone()).await;
    let again = json!({"domain": "mail.example"});
    konnect.expect(400, "POST", DOMAINS, again).await;
    let config = format!("/v3/portals/{portal}/email-config");
    let named = json!({"domain_name": "MAIL.example"});
    konnect.expect(201, "POST", &config, named).await;
    let list = konnect.expect(200, "GET", DOMAINS, Value::Null).await;
    assert_eq!(list["meta"]["page"]["total"], 1, "{list}");
    let path = format!("{DOMAINS}/mail.EXAMPLE");
    let shown = konnect.expect(200, "GET", &path, Value::Null).await;
    assert_eq!(shown["domain"], made["domain"]);
    konnect.expect(204, "DELETE", &path, Value::Null).await;
    let left = konnect.expect(200, "GET", &config, Value::Null).await;
    assert_eq!(left["domain_name"], Value::Null);
}

#[tokio::test]
async fn words_win_over_ids_in_a_path() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let list = konnect.expect(200, "GET", DOMAINS, Value::Null).await;
    assert_eq!(list["meta"]["page"]["total"], 0);
    konnect.expect(405, "DELETE", DOMAINS, Value::Null).await;
    // A domain of that name, which there is not, and no portal's templates.
    let path = format!("{DOMAINS}/email-templates");
    konnect.expect(404, "GET", &path, Value::Null).await;
    for (path, count) in [
        ("/v3/portals/email-templates".to_owned(), 11),
        ("/v3/portals/email-templates/variables".to_owned(), 12),
        (format!("/v3/portals/{portal}/email-templates"), 0),
    ] {
        let list = konnect.expect(200, "GET", &path, Value::Null).await;
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{path}");
        assert_eq!(list.get("meta"), None, "{path}");
    }
    // No template is called so.
    let path = format!("/v3/portals/{portal}/email-templates/variables");
    konnect.expect(404, "GET", &path, Value::Null).await;
}
