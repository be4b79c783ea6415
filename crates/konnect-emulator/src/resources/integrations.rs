//! Services of others that a portal's pages load: tag manager, analytics, accessibility.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fields::{Field, Need, Rule, Unknown},
    operation::{Act, Operation, op},
    problem::{Dialect, Problem},
    resource::Merge,
    singleton::{Absent, Singleton},
    state::{Kind, Row, World},
    validate,
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/integrations", 200, Act::GetOne(&INTEGRATIONS)),
    op("PUT",    "/v3/portals/{portalId}/integrations", 200, Act::PutOne(&INTEGRATIONS)),
    op("PATCH",  "/v3/portals/{portalId}/integrations", 200, Act::PatchOne(&INTEGRATIONS)),
];

static INTEGRATIONS: Singleton = Singleton::new(Kind::Integrations, view)
    .replace(&integrations(&TAG_MANAGER, &ANALYTICS, &EQUAL_WEB))
    .update(&integrations(
        &TAG_MANAGER_CHANGE,
        &ANALYTICS_CHANGE,
        &EQUAL_WEB_CHANGE,
    ))
    .absent(Absent::Default(none_chosen))
    .merge(Merge::Deep)
    .before_update(before_update);

const SHORT_TEXT: Rule = Rule::Text { min: 0, max: 100 };

const fn integrations(
    tag_manager: &'static [Field],
    analytics: &'static [Field],
    equal_web: &'static [Field],
) -> [Field; 3] {
    [
        Field::optional("google_tag_manager", Rule::Object(tag_manager)).or_null(),
        Field::optional("google_analytics_4", Rule::Object(analytics)).or_null(),
        Field::optional("equal_web", Rule::Object(equal_web)).or_null(),
    ]
}

const TRACKING: Rule = Rule::Choice(&["tracking"]);
static TAG_MANAGER: [Field; 3] = integration(Need::Required, TRACKING, &TAGS);
static TAG_MANAGER_CHANGE: [Field; 3] = integration(Need::Optional, TRACKING, &TAGS_CHANGE);
static TAGS: [Field; 9] = tags(Need::Required);
static TAGS_CHANGE: [Field; 9] = tags(Need::Optional);

const ANALYTIC: Rule = Rule::Choice(&["analytics"]);
static ANALYTICS: [Field; 3] = integration(Need::Required, ANALYTIC, &MEASURES);
static ANALYTICS_CHANGE: [Field; 3] = integration(Need::Optional, ANALYTIC, &MEASURES_CHANGE);
static MEASURES: [Field; 2] = measures(Need::Required);
static MEASURES_CHANGE: [Field; 2] = measures(Need::Optional);

const ACCESSIBILITY: Rule = Rule::Choice(&["accessibility"]);
static EQUAL_WEB: [Field; 3] = integration(Need::Required, ACCESSIBILITY, &SITE);
static EQUAL_WEB_CHANGE: [Field; 3] = integration(Need::Optional, ACCESSIBILITY, &SITE_CHANGE);
static SITE: [Field; 2] = site(Need::Required);
static SITE_CHANGE: [Field; 2] = site(Need::Optional);

const fn field(name: &'static str, rule: Rule, need: Need) -> Field {
    Field {
        need,
        ..Field::optional(name, rule)
    }
}

const fn integration(need: Need, kind: Rule, config: &'static [Field]) -> [Field; 3] {
    [
        field("enabled", Rule::Boolean, need),
        field("type", kind, need),
        field("config_data", Rule::Object(config), need),
    ]
}

const fn tags(need: Need) -> [Field; 9] {
    let id = Rule::Pattern {
        min: 5,
        max: 20,
        is: |text| is_word_after("GTM-", text, ""),
        words: "must be the id of a container of Google Tag Manager, as GTM-XXXXXX",
    };
    [
        field("id", id, need),
        Field::optional("l", SHORT_TEXT).or_null(),
        Field::optional("preview", SHORT_TEXT).or_null(),
        Field::optional("cookies_win", Rule::Boolean).or_null(),
        Field::optional("debug", Rule::Boolean).or_null(),
        Field::optional("npa", Rule::Boolean).or_null(),
        Field::optional("data_layer", SHORT_TEXT).or_null(),
        Field::optional("env_name", SHORT_TEXT).or_null(),
        Field::optional("auth_referrer_policy", SHORT_TEXT).or_null(),
    ]
}

const fn measures(need: Need) -> [Field; 2] {
    let id = Rule::Pattern {
        min: 5,
        max: 20,
        is: |text| is_word_after("G-", text, "-"),
        words: "must be a measurement id of Google Analytics, as G-XXXXXXX",
    };
    [
        field("id", id, need),
        Field::optional("l", SHORT_TEXT).or_null(),
    ]
}

const fn site(need: Need) -> [Field; 2] {
    let key = Rule::Pattern {
        min: 32,
        max: 32,
        is: |text| is_word_after("", text, ""),
        words: "must be a site key of EqualWeb: 32 letters and digits",
    };
    [
        field("site_key", key, need),
        Field::optional("widget_config", Rule::AnyObject),
    ]
}

/// Returns whether a text is a prefix and then letters, digits and other characters that may be.
fn is_word_after(prefix: &str, text: &str, others: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
        !rest.is_empty() && rest.chars().all(fits)
    })
}

fn none_chosen(_: &Call<'_>) -> Result<Map<String, Value>, Problem> {
    Ok(Map::new())
}

/// Shows the integrations that were ever said, null if they were taken away.
fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.value.clone();
    let config = shown
        .get_mut("equal_web")
        .and_then(|integration| integration.get_mut("config_data"))
        .and_then(Value::as_object_mut);
    if let Some(config) = config {
        config.entry("widget_config").or_insert(json!({}));
    }
    Value::Object(shown)
}

/// What a change makes of an integration must be a whole one, though the change need not be.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    let mut value = INTEGRATIONS.read(call)?.value;
    Merge::Deep.apply(&mut value, call.body.clone());
    validate::check(
        &value,
        INTEGRATIONS.replace,
        Unknown::Refuse,
        Dialect::Portal,
    )
    .map(drop)
    .map_err(Problem::invalid)
}
