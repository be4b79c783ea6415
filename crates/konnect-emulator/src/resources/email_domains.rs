//! Domains that all portals may send e-mail from, and how they are verified: no DNS is asked, the
//! emulator's clock decides.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::timestamp,
    fields::{Field, Rule},
    operation::{Act, Operation, Param, op},
    problem::Problem,
    resource::Resource,
    resources::members::{CREATED_AT, UPDATED_AT, by, member, text_filter},
    state::{Kind, Row, World},
};

/// What `{emailDomain}` is: not an id, but the domain itself.
const BY_NAME: &[(&str, Param)] = &[("emailDomain", Param::Named(Kind::EmailDomain, "domain"))];

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/email-domains", 200, Act::Special(None, list)),
    op("POST",   "/v3/portals/email-domains", 201, Act::Create(&DOMAIN)),
    op("GET",    "/v3/portals/email-domains/{emailDomain}", 200, Act::Special(None, get)).by(BY_NAME),
    op("DELETE", "/v3/portals/email-domains/{emailDomain}", 204, Act::Delete(&DOMAIN)).by(BY_NAME),
];

/// How long after a domain was made its DNS records count as found.
const FOUND_AFTER: TimeDelta = TimeDelta::minutes(1);

/// Where no name is ever found (RFC 2606), so that a verification can fail here.
const NEVER_FOUND: &str = ".invalid";

/// The time of what never was. The schema requires a time, and Konnect's replay jobs have this one.
const NEVER: &str = "0001-01-01T00:00:00.000Z";

static DOMAIN: Resource = Resource::new(Kind::EmailDomain, view)
    .create(&[Field::required("domain", Rule::Hostname)])
    .filters(&[
        text_filter("domain", member!("domain")),
        text_filter("verification_status", member!("status")),
    ])
    .sorts(&[by("domain", member!("domain")), CREATED_AT, UPDATED_AT])
    .before_create(before_create)
    .before_delete(before_delete);

/// Shows a domain with the records that prove whose it is.
fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["domain"]);
    shown.remove("id");
    let domain = row.text("domain");
    let digits = row.id.simple().to_string();
    let records = [&digits[..10], &digits[10..20], &digits[20..30]].map(|selector| {
        json!({
            "type": "CNAME",
            "name": format!("{selector}._domainkey.{domain}"),
            "value": format!("{selector}.dkim.konnect.example"),
        })
    });
    shown.insert("dns_validation_records".to_owned(), json!(records));
    let verification = json!({
        "status": row.get("status"),
        "last_time_checked": row.get("checked_at"),
        "last_time_success": row.get("success_at"),
    });
    shown.insert("verification".to_owned(), verification);
    Value::Object(shown)
}

fn pending(call: &Call<'_>) -> [(&'static str, Value); 3] {
    [
        ("status", json!("pending")),
        ("checked_at", json!(timestamp(call.now))),
        ("success_at", json!(NEVER)),
    ]
}

/// Refuses a domain that is there, and lets its verification begin.
fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let name = call.text("domain").unwrap_or_default();
    if find(call.world, name).is_some() {
        // The operation declares no 409.
        let reason = "\"domain\" is already in use";
        return Err(Problem::invalid_body("domain", "invalid", reason));
    }
    for (name, value) in pending(call) {
        call.fill(name, value);
    }
    Ok(())
}

/// Lets the configurations that send from the domain fall back to Konnect's own.
fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    let domain = call.row(Kind::EmailDomain, call.last_id())?;
    let domain = domain.text("domain").to_owned();
    let users = call.world.all(Kind::EmailConfig);
    let users: Vec<Uuid> = users
        .filter(|row| row.text("domain_name").eq_ignore_ascii_case(&domain))
        .map(|row| row.id)
        .collect();
    for id in users {
        let none = Map::from_iter([("domain_name".to_owned(), Value::Null)]);
        call.world.update(id, none, call.now);
    }
    Ok(())
}

/// Makes a domain that a configuration names, unless it is there.
pub(crate) fn ensure(call: &mut Call<'_>, domain: &str) {
    if find(call.world, domain).is_some() {
        return;
    }
    let mut value = Map::from_iter([("domain".to_owned(), json!(domain))]);
    value.extend(pending(call).map(|(name, value)| (name.to_owned(), value)));
    call.world.insert(Kind::EmailDomain, None, value, call.now);
}

/// Finds a domain: the case of its letters does not count.
fn find<'a>(world: &'a World, domain: &str) -> Option<&'a Row> {
    world.find_named_in_any_case(Kind::EmailDomain, None, "domain", domain)
}

/// Ends the verifications whose time has come.
fn verify(call: &mut Call<'_>) {
    let due: Vec<_> = call
        .world
        .children(Kind::EmailDomain, None)
        .filter(|row| row.text("status") == "pending" && row.created_at + FOUND_AFTER <= call.now)
        .map(|row| {
            let at = row.created_at + FOUND_AFTER;
            (row.id, at, row.text("domain").ends_with(NEVER_FOUND))
        })
        .collect();
    for (id, at, fails) in due {
        let mut members = Map::new();
        members.insert("checked_at".to_owned(), json!(timestamp(at)));
        if fails {
            members.insert("status".to_owned(), json!("failed"));
        } else {
            members.insert("status".to_owned(), json!("success"));
            members.insert("success_at".to_owned(), json!(timestamp(at)));
        }
        call.world.update(id, members, at);
    }
}

fn list(call: &mut Call<'_>) -> Result<Value, Problem> {
    verify(call);
    DOMAIN.list_rows(call)
}

fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    verify(call);
    DOMAIN.get_row(call)
}
