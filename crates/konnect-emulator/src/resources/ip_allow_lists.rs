//! IP allow lists of a portal: the addresses and blocks of addresses that may reach it.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, Param, op},
    problem::Problem,
    query::Paging,
    resource::Resource,
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/ip-allow-list", 200, Act::List(&IP_ALLOW_LIST)),
    op("POST",   "/v3/portals/{portalId}/ip-allow-list", 201, Act::Create(&IP_ALLOW_LIST)),
    op("GET",    "/v3/portals/{portalId}/ip-allow-list/{id}", 200, Act::Get(&IP_ALLOW_LIST)).by(ID),
    op("PUT",    "/v3/portals/{portalId}/ip-allow-list/{id}", 200, Act::Replace(&IP_ALLOW_LIST)).by(ID),
    op("PATCH",  "/v3/portals/{portalId}/ip-allow-list/{id}", 200, Act::Update(&IP_ALLOW_LIST)).by(ID),
    op("DELETE", "/v3/portals/{portalId}/ip-allow-list/{id}", 204, Act::Delete(&IP_ALLOW_LIST)).by(ID),
];

const ID: &[(&str, Param)] = &[("id", Param::Row(Kind::IpAllowList))];

const ALLOWED_IPS: Rule = Rule::List {
    item: &Rule::IpOrBlock,
    min: 1,
    max: 25,
    unique: true,
};

static IP_ALLOW_LIST: Resource = Resource::new(Kind::IpAllowList, view)
    .create(&[Field::required("allowed_ips", ALLOWED_IPS)])
    .replace(&[Field::required("allowed_ips", ALLOWED_IPS)])
    .update(&[Field::optional("allowed_ips", ALLOWED_IPS)])
    .paging(Paging::Cursor)
    .before_update(before_update);

/// Shows an allow list, which has no times.
fn view(_: &World, row: &Row) -> Value {
    json!({"id": row.id, "allowed_ips": row.get("allowed_ips")})
}

/// A change must change something, and there is one member only.
fn before_update(call: &mut Call<'_>) -> Result<(), Problem> {
    if call.body.is_empty() {
        let reason = "\"allowed_ips\" is required";
        return Err(Problem::invalid_body("allowed_ips", "required", reason));
    }
    Ok(())
}
