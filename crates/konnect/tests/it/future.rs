//! Answers of a later API are read: every answer with members added in all places and with words
//! that no enum knows yet. A new kind of answer has its row in the table of its noun.

use std::fmt::Debug;

use konnect::catalog::{
    Api, ApiPortal, ApiPublication, ApiSpecSummary, ApiVersionSummary, AppAuthStrategy,
    DcrProvider, KeyAuthConfig, KeyTtl, ListedPublication, OpenIdConnectConfig, Principals,
    StrategyConfigs,
};
use konnect::content::{Asset, DefaultContent, PageNode, PortalPage, Snippet, SnippetInfo};
use konnect::{
    Application, ApplicationDeveloper, ApplicationOwner, AssignedRole, AuthStrategy, Credential,
    DcrProviderReference, Destination, Developer, EntityRoles, InvalidParameter, Jwk, Jwks,
    KeyLifetime, Portal, PortalReference, Problem, RegisteredApi, RegisteredApplication,
    Registration, RegistrationConsumer, ReplayJob, RoleCatalogue, RoleDescription, Team,
    TeamMember, Webhook, WebhookStatus, WebhookV2,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::source;

const ID: &str = "7cd9feff-b4da-4a9f-ba49-cbe83c75ff22";
const TIME: &str = "2026-01-01T00:00:00Z";
/// A word that no enum knows.
const WORD: &str = "word-of-the-future";
/// Members that are maps of the caller's own: what is added there is no unknown member.
const MAPS: [&str; 4] = ["labels", "attributes", "openid-connect", "widget_config"];

/// Holds a kind of answer to the future: `sample` has every member, `words` are the JSON pointers
/// of those that are an enum.
#[expect(clippy::needless_pass_by_value, reason = "rows read better so")]
fn row<T>(sample: Value, words: &[&str])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let name = std::any::type_name::<T>();
    let read = |value: &Value| T::deserialize(value).unwrap_or_else(|e| panic!("{name}: {e}"));
    let known = read(&sample);
    let mut grown = sample.clone();
    grow(&mut grown);
    assert_ne!(grown, sample, "{name}: nothing was added");
    assert_eq!(read(&grown), known, "{name}");
    for word in words {
        *grown.pointer_mut(word).expect("a member of the sample") = json!(WORD);
    }
    let written = serde_json::to_value(read(&grown)).unwrap();
    for word in words {
        assert_eq!(written.pointer(word), Some(&json!(WORD)), "{name}{word}");
    }
}

/// Adds members of every kind to every object.
fn grow(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let own = members.iter_mut();
            own.filter(|(name, _)| !MAPS.contains(&name.as_str()))
                .for_each(|(_, value)| grow(value));
            for (number, added) in [json!(null), json!([{}]), json!({"id": 1}), json!(1e300)]
                .into_iter()
                .enumerate()
            {
                members.insert(format!("future_{number}"), added);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(grow),
        _ => {}
    }
}

#[test]
fn answers_about_portals_may_grow() {
    let portal = json!({
        "id": ID, "name": "P", "display_name": "P", "description": null, "labels": {"a": "b"},
        "authentication_enabled": true, "rbac_enabled": true, "sipr_enabled": false,
        "auto_approve_developers": true, "auto_approve_applications": false,
        "default_api_visibility": "public", "default_page_visibility": "private",
        "default_application_auth_strategy_id": ID, "default_domain": "d", "canonical_domain": "c",
        "notifications_developer_pii_visibility_enabled": false,
        "created_at": TIME, "updated_at": TIME,
    });
    let words = ["/default_api_visibility", "/default_page_visibility"];
    row::<Portal>(portal, &words);
}

#[test]
fn answers_about_people_may_grow() {
    let times = json!({ "id": ID, "created_at": TIME, "updated_at": TIME });
    let with = |members: Value| {
        let mut all = times.clone();
        let members = members.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(members);
        all
    };
    let developer = with(json!({ "email": "a@b.example", "full_name": "A", "status": "pending" }));
    row::<Developer>(developer, &["/status"]);
    let team = with(json!({ "name": "T", "description": "d", "can_own_applications": true }));
    row::<Team>(team, &[]);
    let member = with(json!({ "email": "a@b.example", "full_name": "A", "active": true }));
    row::<TeamMember>(member, &[]);

    let role = json!({ "name": "API Viewer", "description": "d" });
    row::<RoleDescription>(role.clone(), &[]);
    let roles = json!({ "name": "Services", "roles": { "apiviewer": role } });
    row::<EntityRoles>(roles.clone(), &[]);
    row::<RoleCatalogue>(json!({ "services": roles }), &[]);
    let assigned = json!({
        "id": ID, "role_name": "API Viewer", "entity_id": ID, "entity_type_name": "Services",
        "entity_region": "*",
    });
    row::<AssignedRole>(assigned, &["/entity_region", "/entity_type_name"]);
}

#[test]
fn answers_about_applications_may_grow() {
    let times = json!({ "id": ID, "created_at": TIME, "updated_at": TIME });
    let with = |members: Value| {
        let mut all = times.clone();
        let members = members.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(members);
        all
    };

    let owner = json!({ "type": "team", "id": ID });
    row::<ApplicationOwner>(owner.clone(), &["/type"]);
    let lifetime = json!({ "value": 2, "unit": "weeks" });
    row::<KeyLifetime>(lifetime.clone(), &["/unit"]);
    let strategy = json!({
        "id": ID, "name": "S", "credential_type": "key_auth", "key_names": ["apikey"],
        "ttl": lifetime, "auth_methods": ["bearer"], "available_scopes": ["openid"],
    });
    row::<AuthStrategy>(strategy.clone(), &["/credential_type"]);
    row::<PortalReference>(json!({ "id": ID }), &[]);
    row::<DcrProviderReference>(json!({ "id": ID }), &[]);
    let user = json!({ "id": ID, "email": "a@b.example", "full_name": "A" });
    row::<ApplicationDeveloper>(user, &[]);
    let credential = json!({
        "id": ID, "type": "api_key", "display_name": "K", "status": "active", "client_id": "c",
        "expires_at": TIME, "created_at": TIME,
    });
    row::<Credential>(credential, &["/type", "/status"]);
    let application = with(json!({
        "name": "A", "description": "d", "owner": owner, "client_id": "c", "labels": {"a": null},
        "registration_count": 1, "auth_strategy": strategy, "portal": { "id": ID },
        "dcr_provider": { "id": ID }, "granted_scopes": ["openid"],
    }));
    let words = [
        "/owner/type",
        "/auth_strategy/credential_type",
        "/auth_strategy/ttl/unit",
    ];
    row::<Application>(application, &words);

    let api = json!({ "id": ID, "name": "A", "version": "1", "entity_type": "api" });
    row::<RegisteredApi>(api.clone(), &["/entity_type"]);
    let of = json!({ "id": ID, "name": "A" });
    row::<RegisteredApplication>(of.clone(), &[]);
    let consumer = json!({ "id": ID, "custom_id": "c", "username": "u", "control_plane_id": ID });
    row::<RegistrationConsumer>(consumer.clone(), &[]);
    let registration =
        with(json!({ "status": "approved", "api": api, "application": of, "consumer": consumer }));
    row::<Registration>(registration, &["/status", "/api/entity_type"]);
}

#[test]
fn answers_about_content_may_grow() {
    let words = ["/visibility", "/status"];
    let with = |members: Value| {
        let mut all = json!({
            "id": ID, "title": "T", "description": "d", "visibility": "public",
            "status": "published", "created_at": TIME, "updated_at": TIME,
        });
        let members = members.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(members);
        all
    };
    let page = with(json!({ "slug": "/a", "content": "# A", "parent_page_id": ID }));
    row::<PortalPage>(page, &words);
    let leaf = with(json!({ "slug": "/b", "parent_page_id": ID, "children": [] }));
    let node = with(json!({ "slug": "/a", "parent_page_id": null, "children": [leaf] }));
    row::<PageNode>(node, &["/visibility", "/children/0/status"]);
    row::<Snippet>(with(json!({ "name": "s", "content": "# S" })), &words);
    row::<SnippetInfo>(with(json!({ "name": "s" })), &words);
    let made = json!({ "pages": ["/home"], "snippets": ["s"] });
    row::<DefaultContent>(made, &[]);
    row::<Asset>(json!({ "data": "data:image/png;base64,AAAA" }), &[]);
}

#[test]
fn answers_about_audit_logs_may_grow() {
    let destination = json!({
        "id": ID, "name": "D", "endpoint": "https://e.example", "log_format": "cef",
        "skip_ssl_verification": false, "created_at": TIME, "updated_at": TIME,
    });
    row::<Destination>(destination, &["/log_format"]);
    let webhook = json!({ "enabled": true, "audit_log_destination_id": ID });
    row::<Webhook>(webhook, &[]);
    let webhook = json!({
        "endpoint": "https://e.example", "enabled": true, "log_format": "cps",
        "skip_ssl_verification": true, "updated_at": TIME,
    });
    row::<WebhookV2>(webhook, &["/log_format"]);
    let status = json!({
        "webhook_status": "active", "webhook_enabled": true, "last_attempt_at": TIME,
        "last_response_code": 200, "last_response_message": "OK",
    });
    row::<WebhookStatus>(status, &["/webhook_status"]);
    let job = json!({ "status": "running", "start_at": TIME, "end_at": TIME, "updated_at": TIME });
    row::<ReplayJob>(job, &["/status"]);
    let key = json!({ "kty": "OKP", "alg": "EdDSA", "kid": "k", "crv": "Ed25519", "x": "x" });
    row::<Jwk>(key.clone(), &[]);
    row::<Jwks>(json!({ "keys": [key] }), &[]);
}

#[cfg(feature = "email")]
#[test]
fn answers_about_emails_may_grow() {
    use konnect::email::{
        DefaultEmailTemplate, DnsRecord, EmailConfig, EmailContent, EmailDelivery, EmailDomain,
        EmailDomainVerification, EmailTemplate, EmailTemplateVariable,
    };
    let verification =
        json!({ "status": "failed", "last_time_checked": TIME, "last_time_success": TIME });
    row::<EmailDomainVerification>(verification.clone(), &["/status"]);
    let record = json!({ "type": "CNAME", "name": "n", "value": "v" });
    row::<DnsRecord>(record.clone(), &[]);
    let domain = json!({
        "domain": "d", "verification": verification, "dns_validation_records": [record],
        "created_at": TIME, "updated_at": TIME,
    });
    row::<EmailDomain>(domain, &["/verification/status"]);
    let config = json!({
        "id": ID, "domain_name": "d", "from_name": "n", "from_email": "a@b.example",
        "reply_to_email": null, "created_at": TIME, "updated_at": TIME,
    });
    row::<EmailConfig>(config, &[]);
    let delivery = json!({
        "enabled": true, "from_email": "a@b.example", "reply_to_email": null,
        "created_at": TIME, "updated_at": TIME,
    });
    row::<EmailDelivery>(delivery, &[]);
    let content = json!({ "subject": "s", "title": "t", "body": "b", "button_label": "l" });
    row::<EmailContent>(content.clone(), &[]);
    let template = json!({
        "name": "reset-password", "label": "l", "default_content": content,
        "variables": ["api_name"],
    });
    row::<DefaultEmailTemplate>(template.clone(), &["/name", "/variables/0"]);
    let mut custom = template;
    custom["content"] = content;
    custom["enabled"] = json!(true);
    custom["created_at"] = json!(TIME);
    custom["updated_at"] = json!(TIME);
    row::<EmailTemplate>(custom, &["/name", "/variables/0"]);
    let variable = json!({
        "name": "api_name", "description": "d", "scope": ["reset-password"], "example": "e",
    });
    row::<EmailTemplateVariable>(variable, &["/name", "/scope/0"]);
}

#[cfg(feature = "customization")]
#[test]
fn answers_about_customization_may_grow() {
    use konnect::customization::{
        CustomDomain, CustomDomainSsl, Customization, EqualWeb, EqualWebConfig, GoogleAnalytics4,
        GoogleAnalytics4Config, GoogleTagManager, GoogleTagManagerConfig, Integrations, Menu,
        MenuItem, MenuSection, SpecRenderer, Theme, ThemeColors,
    };
    let colors = json!({ "primary": "#fff" });
    row::<ThemeColors>(colors.clone(), &[]);
    let theme = json!({ "name": "n", "mode": "dark", "colors": colors });
    row::<Theme>(theme.clone(), &["/mode"]);
    let item = json!({ "path": "/a", "title": "A", "visibility": "public", "external": true });
    row::<MenuItem>(item.clone(), &["/visibility"]);
    let section = json!({ "title": "S", "items": [item] });
    row::<MenuSection>(section.clone(), &["/items/0/visibility"]);
    let menu = json!({ "main": [item], "footer_sections": [section], "footer_bottom": [] });
    row::<Menu>(menu.clone(), &["/main/0/visibility"]);
    let renderer = json!({
        "try_it_ui": true, "try_it_insomnia": true, "infinite_scroll": true, "show_schemas": true,
        "hide_internal": false, "hide_deprecated": false, "allow_custom_server_urls": true,
    });
    row::<SpecRenderer>(renderer.clone(), &[]);
    let customization = json!({
        "theme": theme, "layout": "topnav", "css": "c", "menu": menu, "spec_renderer": renderer,
        "robots": "r",
    });
    row::<Customization>(customization, &["/theme/mode", "/menu/main/0/visibility"]);

    let ssl = json!({
        "domain_verification_method": "custom_certificate", "verification_status": "error",
        "validation_errors": ["e"], "uploaded_at": TIME, "expires_at": TIME, "skip_ca_check": true,
    });
    let words = ["/domain_verification_method", "/verification_status"];
    row::<CustomDomainSsl>(ssl.clone(), &words);
    let domain = json!({
        "hostname": "h", "enabled": true, "ssl": ssl, "cname_status": "pending",
        "created_at": TIME, "updated_at": TIME,
    });
    row::<CustomDomain>(domain, &["/cname_status", "/ssl/verification_status"]);

    let tags = json!({
        "id": "GTM-1", "l": "l", "preview": "p", "cookies_win": true, "debug": true, "npa": true,
        "data_layer": "d", "env_name": "e", "auth_referrer_policy": "a",
    });
    row::<GoogleTagManagerConfig>(tags.clone(), &[]);
    let tag_manager = json!({ "enabled": true, "type": "tracking", "config_data": tags });
    row::<GoogleTagManager>(tag_manager.clone(), &["/type"]);
    let measures = json!({ "id": "G-123", "l": "l" });
    row::<GoogleAnalytics4Config>(measures.clone(), &[]);
    let analytics = json!({ "enabled": true, "type": "analytics", "config_data": measures });
    row::<GoogleAnalytics4>(analytics.clone(), &["/type"]);
    let site = json!({ "site_key": "k", "widget_config": { "a": [1] } });
    row::<EqualWebConfig>(site.clone(), &[]);
    let equal_web = json!({ "enabled": true, "type": "accessibility", "config_data": site });
    row::<EqualWeb>(equal_web.clone(), &["/type"]);
    let integrations = json!({
        "google_tag_manager": tag_manager, "google_analytics_4": analytics, "equal_web": equal_web,
    });
    row::<Integrations>(integrations, &["/equal_web/type"]);
}

#[cfg(feature = "ip-allow-list")]
#[test]
fn answers_about_ip_allow_lists_may_grow() {
    use konnect::ip_allow_list::IpAllowList;
    row::<IpAllowList>(json!({ "id": ID, "allowed_ips": ["::1"] }), &[]);
}

#[cfg(feature = "identity")]
#[test]
fn answers_about_sign_in_may_grow() {
    use konnect::identity::{
        AuthenticationSettings, ClaimMappings, GroupMapping, IdentityProvider, OidcConfig,
        OidcSettings, SamlConfig, TeamGroups,
    };
    let claims = json!({ "name": "n", "email": "e", "groups": "g" });
    row::<ClaimMappings>(claims.clone(), &[]);
    let older = json!({
        "issuer": "https://i.example", "client_id": "c", "scopes": ["openid"],
        "claim_mappings": claims,
    });
    row::<OidcSettings>(older.clone(), &[]);
    let settings = json!({
        "basic_auth_enabled": true, "konnect_mapping_enabled": true, "idp_mapping_enabled": false,
        "oidc_auth_enabled": true, "saml_auth_enabled": false, "oidc_team_mapping_enabled": false,
        "oidc_config": older,
    });
    row::<AuthenticationSettings>(settings, &[]);

    let oidc = json!({
        "issuer_url": "https://i.example", "client_id": "c", "scopes": ["openid"],
        "claim_mappings": claims,
    });
    row::<OidcConfig>(oidc.clone(), &[]);
    let saml = json!({
        "idp_metadata_url": "https://i.example", "idp_metadata_xml": "<x/>",
        "sp_metadata_url": "/m", "sp_entity_id": "e", "callback_url": "/c",
    });
    row::<SamlConfig>(saml.clone(), &[]);
    for config in [oidc, saml] {
        let provider = json!({
            "id": ID, "type": "oidc", "enabled": true, "config": config,
            "created_at": TIME, "updated_at": TIME,
        });
        row::<IdentityProvider>(provider, &["/type"]);
    }
    let mapping = json!({
        "id": ID, "team_id": ID, "group": "g", "created_at": TIME, "updated_at": TIME,
    });
    row::<GroupMapping>(mapping, &[]);
    row::<TeamGroups>(json!({ "team_id": ID, "groups": ["g"] }), &[]);
}

#[test]
fn answers_about_the_catalog_may_grow() {
    let spec = json!({ "type": "oas3" });
    row::<ApiSpecSummary>(spec.clone(), &["/type"]);
    let version = json!({
        "id": ID, "version": "v1", "spec": spec, "created_at": TIME, "updated_at": TIME,
    });
    row::<ApiVersionSummary>(version.clone(), &["/spec/type"]);
    let portal = json!({ "id": ID, "name": "P", "display_name": "P" });
    row::<ApiPortal>(portal.clone(), &[]);
    let api = json!({
        "id": ID, "name": "A", "description": "d", "version": "v1", "slug": "a-v1",
        "current_version_summary": version, "api_spec_ids": [ID], "portals": [portal],
        "labels": {"a": "b"}, "implementation_mode": "gateway_entity_binding",
        "attributes": {"env": ["x"], "gone": null}, "created_at": TIME, "updated_at": TIME,
    });
    row::<Api>(
        api,
        &["/implementation_mode", "/current_version_summary/spec/type"],
    );

    let publication = json!({
        "auto_approve_registrations": true, "auth_strategy_ids": [ID], "visibility": "public",
        "warnings": ["w"], "created_at": TIME, "updated_at": TIME,
    });
    row::<ApiPublication>(publication.clone(), &["/visibility"]);
    let mut listed = publication;
    for (name, value) in [("api_id", ID), ("portal_id", ID), ("entity_type", "api")] {
        listed[name] = json!(value);
    }
    row::<ListedPublication>(listed, &["/visibility", "/entity_type"]);

    let ttl = json!({ "value": 2, "unit": "weeks" });
    row::<KeyTtl>(ttl.clone(), &["/unit"]);
    let by_key = json!({ "key_names": ["apikey"], "ttl": ttl });
    row::<KeyAuthConfig>(by_key.clone(), &["/ttl/unit"]);
    let by_token = json!({
        "issuer": "https://idp.example", "credential_claim": ["sub"], "scopes": ["openid"],
        "auth_methods": ["bearer"], "hide_credentials": true,
    });
    let configs = json!({ "key-auth": by_key, "openid-connect": by_token });
    row::<StrategyConfigs>(configs.clone(), &["/key-auth/ttl/unit"]);
    let provider = json!({ "id": ID, "name": "D", "display_name": "D", "provider_type": "okta" });
    row::<DcrProvider>(provider.clone(), &["/provider_type"]);
    row::<Principals>(json!({ "enabled": true }), &[]);
    let strategy = json!({
        "id": ID, "name": "S", "display_name": "S", "strategy_type": "key_auth",
        "configs": configs, "active": true, "dcr_provider": provider, "labels": {"a": "b"},
        "supports_multiple_credentials": true, "principals": { "enabled": false },
        "created_at": TIME, "updated_at": TIME,
    });
    let words = [
        "/strategy_type",
        "/configs/key-auth/ttl/unit",
        "/dcr_provider/provider_type",
    ];
    row::<AppAuthStrategy>(strategy, &words);
    // Its unknown members are settings of the plugin, which are kept as they came.
    let read: OpenIdConnectConfig = serde_json::from_value(by_token.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), by_token);
}

/// Problems are read only, so they have no row: what is added must not hide what is known.
#[test]
fn problems_may_grow() {
    let parameter = json!({ "field": "email", "reason": "taken", "rule": "r", "source": "body" });
    let _: InvalidParameter = serde_json::from_value(parameter.clone()).unwrap();
    let sample = json!({
        "type": "t", "status": 400, "title": "T", "detail": "d", "instance": "kong:trace:1",
        "invalid_parameters": [parameter],
    });
    let known: Problem = serde_json::from_value(sample.clone()).unwrap();
    let mut grown = sample;
    grow(&mut grown);
    let grown: Problem = serde_json::from_value(grown).unwrap();
    assert_eq!(grown, known);
}

#[test]
fn every_answer_has_its_row_and_every_enum_is_open() {
    let table = include_str!("future.rs");
    let mut missing = Vec::new();
    for (path, text) in source::files() {
        for part in text.split("#[derive(").skip(1) {
            let (traits, rest) = part.split_once(")]").unwrap();
            let item = rest.lines().find(|line| line.starts_with("pub "));
            if !traits.contains("Deserialize") || !rest.trim_start().starts_with(['#', 'p']) {
                continue;
            }
            let mut words = item.unwrap_or_default().split([' ', '<', '(']).skip(1);
            match (words.next(), words.next()) {
                (Some("enum"), Some(name)) => missing.push(format!(
                    "{path}: {name} is closed: declare it by open_enum!"
                )),
                (Some("struct"), Some(name)) => {
                    let rows = [format!("row::<{name}>("), format!(": {name} = ")];
                    if !rows.iter().any(|row| table.contains(row)) {
                        missing.push(format!("{path}: {name} has no row in tests/it/future.rs"));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}
