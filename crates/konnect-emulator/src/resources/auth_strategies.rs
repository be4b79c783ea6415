//! Strategies by which applications authenticate: by key, or by a token of an identity provider.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    fields::{Field, Form, Rule},
    forms::is_uri,
    operation::{Act, Operation, op},
    problem::Problem,
    read::Read,
    resource::{Merge, Resource},
    resources::members::{
        CREATED_AT, NEW_LABELS, UPDATED_AT, by, member, merge_labels, text_filter, uuid_filter,
    },
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v2/application-auth-strategies", 200, Act::Special(None, list)),
    op("POST",   "/v2/application-auth-strategies", 201, Act::Create(&STRATEGY)),
    op("GET",    "/v2/application-auth-strategies/{authStrategyId}", 200, Act::Get(&STRATEGY)),
    op("PUT",    "/v2/application-auth-strategies/{authStrategyId}", 201, Act::Special(Some(STRATEGY.create), replace)),
    op("PATCH",  "/v2/application-auth-strategies/{authStrategyId}", 200, Act::Update(&STRATEGY)).with_body(),
    op("DELETE", "/v2/application-auth-strategies/{authStrategyId}", 204, Act::Delete(&STRATEGY)).also(&[409]),
];

const KEY_AUTH: &str = "key_auth";
const OPENID_CONNECT: &str = "openid_connect";

const DISPLAY_NAME: Rule = Rule::Text { min: 0, max: 256 };
const STRATEGY_NAME: Rule = Rule::Text { min: 1, max: 256 };
const PRINCIPALS: Rule = Rule::Object(&[Field::required("enabled", Rule::Boolean)]);
const TTL: Rule = Rule::Object(&[
    Field::required(
        "value",
        Rule::Integer {
            min: 1,
            max: i32::MAX,
        },
    ),
    Field::required("unit", Rule::Choice(&["days", "weeks", "years"])),
]);
const KEY_NAMES: Field =
    Field::optional("key_names", texts(&Rule::Text { min: 0, max: 256 }, 1, 10));
const ISSUER: Rule = Rule::Pattern {
    min: 1,
    max: 256,
    is: is_uri,
    words: "must be a valid URL",
};
const CLAIMS: Rule = texts(&Rule::Text { min: 0, max: 128 }, 0, 10);
const SCOPES: Rule = texts(&Rule::Text { min: 0, max: 128 }, 0, 50);
const METHODS: Rule = texts(&Rule::Text { min: 0, max: 64 }, 0, 10);

const fn texts(item: &'static Rule, min: usize, max: usize) -> Rule {
    Rule::List {
        item,
        min,
        max,
        unique: false,
    }
}

const CONFIGS: Rule = Rule::Beside {
    by: "strategy_type",
    forms: FORMS,
};
const FORMS: &[Form] = &[
    (
        KEY_AUTH,
        &[Field::required(
            "key-auth",
            Rule::Object(&[KEY_NAMES.or_left_out(), Field::optional("ttl", TTL)]),
        )],
    ),
    (
        OPENID_CONNECT,
        &[Field::required(
            "openid-connect",
            Rule::Keeping(&[
                Field::required("issuer", ISSUER),
                Field::required("credential_claim", CLAIMS),
                Field::required("scopes", SCOPES),
                Field::required("auth_methods", METHODS),
            ]),
        )],
    ),
];

/// A change does not say the type; the member of the settings does.
const CONFIGS_CHANGE: Rule = Rule::Beside {
    by: "strategy_type",
    forms: FORMS_OF_CHANGE,
};
const FORMS_OF_CHANGE: &[Form] = &[
    (
        KEY_AUTH,
        &[Field::required(
            "key-auth",
            Rule::Object(&[KEY_NAMES, Field::optional("ttl", TTL).or_null()]),
        )],
    ),
    (
        OPENID_CONNECT,
        &[Field::required(
            "openid-connect",
            Rule::Keeping(&[
                Field::optional("issuer", ISSUER),
                Field::optional("credential_claim", CLAIMS),
                Field::optional("scopes", SCOPES),
                Field::optional("auth_methods", METHODS),
            ]),
        )],
    ),
];

pub(crate) static STRATEGY: Resource = Resource::new(Kind::AuthStrategy, view)
    .create(&[
        Field::required("name", STRATEGY_NAME),
        Field::required("display_name", DISPLAY_NAME),
        Field::required("strategy_type", Rule::Choice(&[KEY_AUTH, OPENID_CONNECT])),
        Field::required("configs", CONFIGS),
        Field::optional("dcr_provider_id", Rule::Uuid).or_null(),
        Field::optional("labels", NEW_LABELS),
        Field::optional("principals", PRINCIPALS),
    ])
    .update(&[
        Field::optional("name", STRATEGY_NAME),
        Field::optional("display_name", DISPLAY_NAME),
        Field::optional("labels", Rule::Labels).or_null(),
        Field::optional("dcr_provider_id", Rule::Uuid).or_null(),
        Field::optional("configs", CONFIGS_CHANGE),
        Field::optional("principals", PRINCIPALS),
    ])
    .filters(&[
        text_filter("strategy_type", member!("strategy_type")),
        text_filter("name", member!("name")),
        text_filter("display_name", member!("display_name")),
        uuid_filter("dcr_provider_id", Read::Made(no_provider)),
        text_filter("dcr_provider_name", Read::Made(no_provider)),
        text_filter("dcr_provider_type", Read::Made(no_provider)),
    ])
    .sorts(&[
        CREATED_AT,
        UPDATED_AT,
        by("strategy_type", member!("strategy_type")),
        by("name", member!("name")),
        by("display_name", member!("display_name")),
        by("dcr_provider_id", Read::Made(no_provider)),
        by("dcr_provider_name", Read::Made(no_provider)),
        by("dcr_provider_type", Read::Made(no_provider)),
    ])
    .before_create(before_create)
    .before_update(before_update)
    .before_delete(before_delete);

/// Makes the strategy that every organisation has. It is found by its id, and not listed.
pub(crate) fn build_in(world: &mut World, now: DateTime<Utc>) {
    let value = json!({
        "name": "key-auth",
        "display_name": "key-auth",
        "strategy_type": KEY_AUTH,
        "configs": {"key-auth": {"key_names": ["apikey"]}},
        "labels": {},
        "principals": {"enabled": false},
    });
    if let Value::Object(value) = value {
        let id = world.auth_strategy_id;
        world.insert_with_id(id, Kind::AuthStrategy, None, value, now);
    }
}

/// Lists the strategies that were made here, in the order they were.
fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    let rows = call.world.children(Kind::AuthStrategy, None);
    let rows = rows.filter(|row| row.id != call.world.auth_strategy_id);
    call.list(rows.collect(), &STRATEGY.listing)
}

/// There are no providers for the registration of clients here.
fn no_provider(_: &World, _: &Row) -> Value {
    Value::Null
}

/// Shows a strategy.
pub(crate) fn view(world: &World, row: &Row) -> Value {
    let mut shown = row.show(&[
        "name",
        "display_name",
        "strategy_type",
        "configs",
        "labels",
        "principals",
    ]);
    shown.insert("active".to_owned(), json!(is_used(world, row.id)));
    shown.insert("dcr_provider".to_owned(), Value::Null);
    // Without a provider the one client of an application is the developer's own.
    let several = row.text("strategy_type") == KEY_AUTH;
    shown.insert("supports_multiple_credentials".to_owned(), json!(several));
    Value::Object(shown)
}

/// Shows a strategy as an application that has it does.
pub(crate) fn view_of_application(row: &Row) -> Value {
    let mut shown = json!({"id": row.id, "name": row.get("name")});
    let configs = row.get("configs");
    if is_by_token(row) {
        shown["credential_type"] = json!("self_managed_client_credentials");
        shown["auth_methods"] = configs["openid-connect"]["auth_methods"].clone();
    } else {
        let config = &configs["key-auth"];
        shown["credential_type"] = json!(KEY_AUTH);
        shown["key_names"] = config
            .get("key_names")
            .cloned()
            .unwrap_or_else(|| json!(["apikey"]));
        if let Some(ttl) = config.get("ttl") {
            shown["ttl"] = ttl.clone();
        }
    }
    shown
}

/// Returns whether applications authenticate by a token of an identity provider.
pub(crate) fn is_by_token(row: &Row) -> bool {
    row.text("strategy_type") == OPENID_CONNECT
}

fn is_used(world: &World, id: Uuid) -> bool {
    let id = json!(id);
    world.all(Kind::ApiPublication).any(|row| {
        let ids = row.get("auth_strategy_ids").as_array();
        ids.is_some_and(|ids| ids.contains(&id))
    })
}

/// Refuses a provider, of which there is none here.
fn check_provider(call: &Call<'_>) -> Result<(), Problem> {
    let Some(provider) = call.body.get("dcr_provider_id") else {
        return Ok(());
    };
    if provider.is_null() {
        return Ok(());
    }
    Err(Problem::invalid_body(
        "dcr_provider_id",
        "missing_reference",
        "this dcr provider does not exist",
    ))
}

/// Fills in defaults.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    if call.text("strategy_type") == Some(KEY_AUTH) && call.body.contains_key("dcr_provider_id") {
        return Err(Problem::invalid_body(
            "dcr_provider_id",
            "unknown_property",
            "\"dcr_provider_id\" is not allowed",
        ));
    }
    check_provider(call)?;
    call.body.remove("dcr_provider_id");
    call.fill("labels", json!({}));
    call.fill("principals", json!({"enabled": false}));
    Ok(())
}

/// Puts the body in place of a strategy, which keeps its type.
fn replace(call: &mut Call<'_>) -> Result<Value, Problem> {
    let row = call.row(Kind::AuthStrategy, call.last_id())?;
    if call.text("strategy_type") != Some(row.text("strategy_type")) {
        let reason = "\"strategy_type\" cannot be changed";
        return Err(Problem::invalid_body("strategy_type", "invalid", reason));
    }
    before_create(call)?;
    STRATEGY.replace_row(call)
}

/// Merges settings and labels. A strategy keeps its type.
pub(crate) fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    check_provider(call)?;
    call.body.remove("dcr_provider_id");
    let row = call.row(Kind::AuthStrategy, call.last_id())?;
    let mut configs = row.get("configs").as_object().cloned().unwrap_or_default();
    let labels = call
        .body
        .get("labels")
        .map(|change| merge_labels(row.get("labels"), change));
    if let Some(labels) = labels {
        call.body.insert("labels".to_owned(), labels);
    }
    let Some(Value::Object(change)) = call.body.remove("configs") else {
        return Ok(());
    };
    if !change.keys().all(|name| configs.contains_key(name)) {
        let reason = "\"configs\" must be of the type of the strategy";
        return Err(Problem::invalid_body("configs", "invalid", reason));
    }
    Merge::Deep.apply(&mut configs, change);
    // Null ends the time to live; the settings never show it.
    if let Some(Value::Object(config)) = configs.get_mut("key-auth") {
        config.retain(|name, value| name != "ttl" || !value.is_null());
    }
    call.body.insert("configs".to_owned(), json!(configs));
    Ok(())
}

/// Refuses the strategy that is built in, and one that something published uses. Portals lose it as
/// their default.
pub(crate) fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    const DEFAULT: &str = "default_application_auth_strategy_id";
    let id = call.last_id();
    if id == call.world.auth_strategy_id || is_used(call.world, id) {
        return Err(Problem::conflict("the auth strategy is in use"));
    }
    let portals: Vec<Uuid> = call
        .world
        .children(Kind::Portal, None)
        .filter(|portal| portal.reference(DEFAULT) == Some(id))
        .map(|portal| portal.id)
        .collect();
    for portal in portals {
        let members = Map::from_iter([(DEFAULT.to_owned(), Value::Null)]);
        call.world.update(portal, members, call.now);
    }
    Ok(())
}
