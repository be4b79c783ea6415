//! Identity providers of a portal: one of each protocol, of which one is enabled; their client
//! secrets are kept and never shown.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Form, Rule},
    operation::{Act, Operation, Param, op},
    problem::Problem,
    query::{Operators, Paging},
    resource::Resource,
    resources::members::{filter, member},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/identity-providers", 200, Act::Special(None, list)),
    op("POST",   "/v3/portals/{portalId}/identity-providers", 201, Act::Create(&IDENTITY_PROVIDER)).also(&[409]).with_body(),
    op("GET",    "/v3/portals/{portalId}/identity-providers/{id}", 200, Act::Get(&IDENTITY_PROVIDER)).by(BY_ID),
    op("PATCH",  "/v3/portals/{portalId}/identity-providers/{id}", 200, Act::Update(&IDENTITY_PROVIDER)).by(BY_ID).also(&[409]).with_body(),
    op("DELETE", "/v3/portals/{portalId}/identity-providers/{id}", 204, Act::Delete(&IDENTITY_PROVIDER)).by(BY_ID),
];

const BY_ID: &[(&str, Param)] = &[("id", Param::Row(Kind::IdentityProvider))];

pub(crate) const OIDC: &str = "oidc";
pub(crate) const SAML: &str = "saml";

const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};

/// The claims that say who a developer is; each has its own name by default.
pub(crate) const CLAIMS: &[Field] = &[
    Field::optional("name", TEXT),
    Field::optional("email", TEXT),
    Field::optional("groups", TEXT),
];

/// The scopes that a portal asks for.
pub(crate) const SCOPES: Rule = Rule::List {
    item: &TEXT,
    min: 0,
    max: usize::MAX,
    unique: false,
};

/// What a configuration holds, by the protocol.
const FORMS: &[Form] = &[
    (
        OIDC,
        &[
            Field::required("issuer_url", Rule::Uri),
            Field::required("client_id", TEXT),
            Field::optional("client_secret", TEXT),
            Field::optional("scopes", SCOPES),
            Field::optional("claim_mappings", Rule::Object(CLAIMS)),
        ],
    ),
    (
        SAML,
        &[
            Field::optional("idp_metadata_url", Rule::Uri),
            Field::optional("idp_metadata_xml", TEXT),
            Field::read_only("sp_metadata_url"),
            Field::read_only("sp_entity_id"),
            Field::read_only("callback_url"),
        ],
    ),
];

const CONFIG: Field = Field::optional(
    "config",
    Rule::Beside {
        by: "type",
        forms: FORMS,
    },
);

static IDENTITY_PROVIDER: Resource = Resource::new(Kind::IdentityProvider, view)
    .create(&[
        Field::optional("type", Rule::Choice(&[OIDC, SAML])),
        Field::optional("enabled", Rule::Boolean),
        CONFIG,
    ])
    .update(&[Field::optional("enabled", Rule::Boolean), CONFIG])
    .filters(&[filter("type", Operators::Equals, member!("type"))])
    .paging(Paging::Whole)
    .before_create(before_create)
    .before_update(before_update)
    .before_delete(before_delete);

/// Shows an identity provider without its client secret. What SAML needs to know of the portal is
/// there without any configuration.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["enabled"]);
    let kind = row.text("type");
    if !kind.is_empty() {
        shown.insert("type".to_owned(), json!(kind));
    }
    let mut config = row.get("config").as_object().cloned().unwrap_or_default();
    config.remove("client_secret");
    if kind == SAML {
        let service = "/api/v2/developer/authenticate/saml";
        let entity = format!("https://cloud.konghq.com/sp/{}", row.id);
        config.insert("sp_entity_id".to_owned(), json!(entity));
        config.insert(
            "sp_metadata_url".to_owned(),
            json!(format!("{service}/metadata")),
        );
        config.insert("callback_url".to_owned(), json!(format!("{service}/acs")));
    }
    if !config.is_empty() {
        shown.insert("config".to_owned(), Value::Object(config));
    }
    Value::Object(shown)
}

/// Lists the identity providers as a bare array.
fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let mut shown = IDENTITY_PROVIDER.list_rows(call)?;
    Ok(shown["data"].take())
}

/// Returns the portal's identity provider of a protocol.
pub(crate) fn of_type<'a>(world: &'a World, portal: Uuid, kind: &str) -> Option<&'a Row> {
    world.find_named(Kind::IdentityProvider, Some(portal), "type", kind)
}

/// Returns the portal's only identity provider, as operations see it that know of one: the enabled
/// one, else the first.
pub(crate) fn only(world: &World, portal: Uuid) -> Option<&Row> {
    let mut all = world.children(Kind::IdentityProvider, Some(portal));
    all.find(|row| row.is("enabled"))
        .or_else(|| world.children(Kind::IdentityProvider, Some(portal)).next())
}

/// Adds what was not said of the configuration of an OIDC provider.
pub(crate) fn fill_oidc(config: &mut Map<String, Value>) {
    let scopes = json!(["email", "openid", "profile"]);
    config.entry("scopes").or_insert(scopes);
    let claims = config.entry("claim_mappings").or_insert(json!({}));
    for claim in CLAIMS {
        if claims[claim.name].is_null() {
            claims[claim.name] = json!(claim.name);
        }
    }
}

/// Puts a change into the configuration of an OIDC provider: what it leaves out stays, each claim
/// by itself.
pub(crate) fn merge_oidc(config: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (name, value) in change {
        match (config.get_mut(name), value) {
            (Some(Value::Object(before)), Value::Object(claims)) => {
                before.extend(claims.clone());
            }
            _ => drop(config.insert(name.clone(), value.clone())),
        }
    }
    fill_oidc(config);
}

/// The protocol that a configuration is for.
fn type_of(config: &Map<String, Value>) -> &'static str {
    if config.contains_key("issuer_url") {
        OIDC
    } else {
        SAML
    }
}

fn expect_none_enabled(call: &Call<'_>, except: Option<Uuid>) -> Result<(), Problem> {
    let mut others = call
        .world
        .children(Kind::IdentityProvider, Some(call.ids[0]));
    let wants = call.body.get("enabled") == Some(&json!(true));
    if wants && others.any(|row| Some(row.id) != except && row.is("enabled")) {
        return Err(Problem::conflict(
            "Another identity provider is enabled; only one can be at a time",
        ));
    }
    Ok(())
}

/// Refuses a second one of a protocol, and a second one that is enabled. Without a `type` the
/// configuration tells it.
fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    call.fill("enabled", json!(false));
    if let Some(Value::Object(config)) = call.body.get("config") {
        let kind = type_of(config);
        call.fill("type", json!(kind));
    }
    let kind = call.text("type").unwrap_or_default();
    if !kind.is_empty() && of_type(call.world, call.ids[0], kind).is_some() {
        let detail = format!("The portal already has an identity provider of the type {kind}");
        return Err(Problem::conflict(detail));
    }
    expect_none_enabled(call, None)?;
    if kind == OIDC
        && let Some(Value::Object(config)) = call.body.get_mut("config")
    {
        fill_oidc(config);
    }
    Ok(())
}

/// Refuses a second one that is enabled, and the configuration of the other protocol. What a change
/// of an OIDC configuration leaves out stays, above all the secret; one of SAML says anew where the
/// metadata are.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    expect_none_enabled(call, Some(call.last_id()))?;
    let row = call.row(Kind::IdentityProvider, call.last_id())?;
    let Some(Value::Object(change)) = call.body.get("config") else {
        return Ok(());
    };
    let kind = match row.text("type") {
        "" => type_of(change),
        kind => kind,
    };
    // A configuration of SAML may be empty, which is none of OIDC.
    if kind != type_of(change) {
        let reason = format!("\"config\" is not one of the type {kind}");
        return Err(Problem::invalid_body("config", "invalid", reason));
    }
    let mut config = row.get("config").as_object().cloned().unwrap_or_default();
    let kind = json!(kind);
    if kind == OIDC {
        merge_oidc(&mut config, change);
    } else if !change.is_empty() {
        config.clone_from(change);
    }
    call.body.insert("config".to_owned(), Value::Object(config));
    call.body.insert("type".to_owned(), kind);
    Ok(())
}

/// The authentication settings no longer say that developers sign in with it.
fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    let row = call.row(Kind::IdentityProvider, call.last_id())?;
    let flag = format!("{}_auth_enabled", row.text("type"));
    let portal = Some(call.ids[0]);
    let settings = call.world.children(Kind::AuthSettings, portal).next();
    if let Some(id) = settings.map(|row| row.id) {
        let off = [(flag, json!(false))].into_iter().collect();
        call.world.update(id, off, call.now);
    }
    Ok(())
}
