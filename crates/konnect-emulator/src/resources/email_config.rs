//! Whom a portal's e-mails come from: the configuration, and the older delivery, which is a thing
//! of its own.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    resources::email_domains,
    singleton::{Absent, Singleton},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/email-config", 200, Act::GetOne(&CONFIG)),
    op("POST",   "/v3/portals/{portalId}/email-config", 201, Act::CreateOne(&CONFIG)).also(&[409]).with_body(),
    op("PATCH",  "/v3/portals/{portalId}/email-config", 200, Act::PatchOne(&CONFIG)),
    op("DELETE", "/v3/portals/{portalId}/email-config", 204, Act::DeleteOne(&CONFIG)),
    op("GET",    "/v3/portals/{portalId}/email-delivery", 200, Act::GetOne(&DELIVERY)),
    op("PATCH",  "/v3/portals/{portalId}/email-delivery", 200, Act::PatchOne(&DELIVERY)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/email-delivery", 204, Act::DeleteOne(&DELIVERY)),
];

/// No schema here has a limit.
const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};
const ADDRESS: Rule = Rule::Email { max: usize::MAX };

const CONFIG_FIELDS: &[Field] = &[
    Field::optional("domain_name", Rule::Hostname).or_null(),
    Field::optional("from_name", TEXT).or_null(),
    Field::optional("from_email", ADDRESS).or_null(),
    Field::optional("reply_to_email", ADDRESS).or_null(),
];

static CONFIG: Singleton = Singleton::new(Kind::EmailConfig, view_config)
    .create(CONFIG_FIELDS)
    .update(CONFIG_FIELDS)
    .before_create(add_domain)
    .before_update(add_domain);

static DELIVERY: Singleton = Singleton::new(Kind::EmailDelivery, view_delivery)
    .update(&[
        Field::optional("enabled", Rule::Boolean),
        Field::optional("from_email", ADDRESS).or_null(),
        Field::optional("reply_to_email", ADDRESS).or_null(),
    ])
    .absent(Absent::MadeByUpdate(switched_off));

/// Shows a configuration; what was never said is null.
fn view_config(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&["domain_name", "from_name", "from_email", "reply_to_email"]))
}

/// Shows a delivery, which has no id.
fn view_delivery(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["enabled", "from_email", "reply_to_email"]);
    shown.remove("id");
    Value::Object(shown)
}

/// Makes the domain that the body names one of the account's.
fn add_domain(call: &mut Call<'_>) -> Result<(), Problem> {
    if let Some(domain) = call.text("domain_name").map(str::to_owned) {
        email_domains::ensure(call, &domain);
    }
    Ok(())
}

fn switched_off(_: &Call<'_>) -> Result<Map<String, Value>, Problem> {
    Ok(Map::from_iter([("enabled".to_owned(), json!(false))]))
}
