//! Authentication settings of a portal. What the API deprecates of them is said by the identity
//! providers here too: the older members show those, and change them.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Rule},
    forms::is_uri,
    operation::{Act, Operation, op},
    problem::{InvalidParameter, Problem},
    resources::identity_providers::{CLAIMS, OIDC, SAML, SCOPES, merge_oidc, of_type},
    singleton::{Absent, Singleton},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/authentication-settings", 200, Act::GetOne(&SETTINGS)),
    op("PATCH",  "/v3/portals/{portalId}/authentication-settings", 200, Act::PatchOne(&SETTINGS)),
];

const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};

static SETTINGS: Singleton = Singleton::new(Kind::AuthSettings, view)
    .update(&[
        Field::optional("basic_auth_enabled", Rule::Boolean),
        Field::optional("konnect_mapping_enabled", Rule::Boolean),
        Field::optional("idp_mapping_enabled", Rule::Boolean),
        Field::optional("oidc_team_mapping_enabled", Rule::Boolean),
        Field::optional("oidc_auth_enabled", Rule::Boolean),
        Field::optional("saml_auth_enabled", Rule::Boolean),
        Field::optional(
            "oidc_issuer",
            Rule::Pattern {
                min: 1,
                max: usize::MAX,
                is: is_uri,
                words: "must be a valid URI",
            },
        )
        .or_left_out(),
        Field::optional("oidc_client_id", TEXT).or_left_out(),
        Field::optional("oidc_client_secret", TEXT).or_left_out(),
        Field::optional("oidc_scopes", SCOPES).or_left_out(),
        Field::optional("oidc_claim_mappings", Rule::Object(CLAIMS)).or_left_out(),
        Field::read_only("oidc_config"),
    ])
    .absent(Absent::Default(defaults))
    .before_update(before_update);

/// The members that configure the OIDC provider, with their names in its own configuration.
const CONFIG: [(&str, &str); 5] = [
    ("oidc_issuer", "issuer_url"),
    ("oidc_client_id", "client_id"),
    ("oidc_client_secret", "client_secret"),
    ("oidc_scopes", "scopes"),
    ("oidc_claim_mappings", "claim_mappings"),
];

/// The members that enable an identity provider, with its protocol.
const PROVIDERS: [(&str, &str); 2] = [("oidc_auth_enabled", OIDC), ("saml_auth_enabled", SAML)];

/// The two names of one switch.
const MAPPING: [&str; 2] = ["idp_mapping_enabled", "oidc_team_mapping_enabled"];

/// A new portal has passwords and lets admins put developers into teams.
fn defaults(_: &Call<'_>) -> Result<Map<String, Value>, Problem> {
    let members = [
        ("basic_auth_enabled", true),
        ("konnect_mapping_enabled", true),
        ("idp_mapping_enabled", false),
        ("oidc_team_mapping_enabled", false),
        ("oidc_auth_enabled", false),
        ("saml_auth_enabled", false),
    ];
    let members = members.map(|(name, value)| (name.to_owned(), json!(value)));
    Ok(members.into_iter().collect())
}

/// Shows the settings, with what the identity providers say.
fn view(world: &World, row: &Row) -> Value {
    let mut shown = json!({});
    for name in ["basic_auth_enabled", "konnect_mapping_enabled"] {
        shown[name] = row.get(name).clone();
    }
    for name in MAPPING {
        shown[name] = row.get(name).clone();
    }
    let portal = row.parent.unwrap_or_default();
    for (name, kind) in PROVIDERS {
        let provider = of_type(world, portal, kind);
        shown[name] = provider
            .map_or_else(|| row.get(name), |row| row.get("enabled"))
            .clone();
    }
    if let Some(config) = of_type(world, portal, OIDC).map(|row| row.get("config"))
        && config.is_object()
    {
        shown["oidc_config"] = json!({
            "issuer": config["issuer_url"],
            "client_id": config["client_id"],
            "scopes": config["scopes"],
            "claim_mappings": config["claim_mappings"],
        });
    }
    shown
}

/// Changes the identity providers as the older members say. Groups can only put developers into
/// teams while an identity provider is enabled.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.ids[0];
    let change = take_config(call);
    if !change.is_empty() {
        check_config(call.world, portal, &change)?;
    }
    match MAPPING.map(|name| call.body.get(name).cloned()) {
        [Some(value), None] => call.fill(MAPPING[1], value),
        [None, Some(value)] => call.fill(MAPPING[0], value),
        _ => {}
    }
    let on = json!(true);
    let wanted = MAPPING
        .iter()
        .find(|name| call.body.get(**name) == Some(&on));
    if let Some(name) = wanted
        && !any_enabled(call, portal)
    {
        let reason = format!("\"{name}\" cannot be enabled when no IdP is enabled");
        return Err(Problem::invalid_body(name, "invalid", reason));
    }
    if !change.is_empty() {
        configure(call, portal, &change);
    }
    for (name, kind) in PROVIDERS {
        let id = of_type(call.world, portal, kind).map(|row| row.id);
        if let (Some(id), Some(enabled)) = (id, call.body.get(name)) {
            let members = [("enabled".to_owned(), enabled.clone())];
            call.world
                .update(id, members.into_iter().collect(), call.now);
        }
    }
    Ok(())
}

/// Takes what configures the OIDC provider out of the body.
fn take_config(call: &mut Call<'_>) -> Map<String, Value> {
    let taken = CONFIG.iter().filter_map(|(older, name)| {
        let value = call.body.remove(*older)?;
        Some(((*name).to_owned(), value))
    });
    taken.collect()
}

/// The first configuration says where the provider is, and who the portal is there.
fn check_config(world: &World, portal: Uuid, change: &Map<String, Value>) -> Result<(), Problem> {
    let provider = of_type(world, portal, OIDC);
    if provider.is_some_and(|row| row.get("config").is_object()) {
        return Ok(());
    }
    let missing: Vec<InvalidParameter> = CONFIG[..2]
        .iter()
        .filter(|(_, name)| !change.contains_key(*name))
        .map(|(older, _)| {
            InvalidParameter::body(older, "required", format!("\"{older}\" is required"))
        })
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(missing))
    }
}

/// Whether an identity provider will be enabled after the change.
fn any_enabled(call: &Call<'_>, portal: Uuid) -> bool {
    let settings = call.world.children(Kind::AuthSettings, Some(portal)).next();
    let by_flag = PROVIDERS.iter().any(|(name, kind)| {
        let provider = of_type(call.world, portal, kind);
        match (call.body.get(*name), provider, settings) {
            (Some(wanted), ..) => wanted == &json!(true),
            (None, Some(provider), _) => provider.is("enabled"),
            (None, None, settings) => settings.is_some_and(|row| row.is(name)),
        }
    });
    let mut providers = call.world.children(Kind::IdentityProvider, Some(portal));
    by_flag || providers.any(|row| row.text("type").is_empty() && row.is("enabled"))
}

/// Changes the configuration of the OIDC provider, which is made if there is none.
fn configure(call: &mut Call<'_>, portal: Uuid, change: &Map<String, Value>) {
    let provider = of_type(call.world, portal, OIDC);
    let mut config = provider
        .and_then(|row| row.get("config").as_object().cloned())
        .unwrap_or_default();
    let id = provider.map(|row| row.id);
    merge_oidc(&mut config, change);
    let mut members = Map::new();
    members.insert("config".to_owned(), Value::Object(config));
    if let Some(id) = id {
        call.world.update(id, members, call.now);
    } else {
        members.insert("type".to_owned(), json!(OIDC));
        let settings = call.world.children(Kind::AuthSettings, Some(portal)).next();
        let enabled = settings.is_some_and(|row| row.is("oidc_auth_enabled"));
        members.insert("enabled".to_owned(), json!(enabled));
        let (kind, now) = (Kind::IdentityProvider, call.now);
        call.world.insert(kind, Some(portal), members, now);
    }
}
