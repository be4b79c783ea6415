//! Destinations, by both versions of the API: defaults, and that one in use stays.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    query::{Filter, Operators, Paging},
    resource::Resource,
    resources::members::{ANY_TEXT, member},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/audit-log-destinations", 200, Act::List(&DESTINATION)),
    op("POST",   "/v3/audit-log-destinations", 201, Act::Create(&DESTINATION)),
    op("GET",    "/v3/audit-log-destinations/{auditLogDestinationId}", 200, Act::Get(&DESTINATION)),
    op("PATCH",  "/v3/audit-log-destinations/{auditLogDestinationId}", 200, Act::Update(&DESTINATION)),
    op("DELETE", "/v3/audit-log-destinations/{auditLogDestinationId}", 204, Act::Delete(&DESTINATION)).also(&[409]),
    op("GET",    "/v2/audit-log-destinations", 200, Act::List(&DESTINATION)),
    op("POST",   "/v2/audit-log-destinations", 201, Act::Create(&DESTINATION)),
    op("GET",    "/v2/audit-log-destinations/{auditLogDestinationId}", 200, Act::Get(&DESTINATION)),
    op("PATCH",  "/v2/audit-log-destinations/{auditLogDestinationId}", 200, Act::Update(&DESTINATION)),
    op("DELETE", "/v2/audit-log-destinations/{auditLogDestinationId}", 204, Act::Delete(&DESTINATION)).also(&[409]),
];

pub(crate) static DESTINATION: Resource = Resource::new(Kind::Destination, view)
    .create(&[
        Field::required("name", ANY_TEXT),
        Field::required("endpoint", Rule::Url),
        Field::required("authorization", ANY_TEXT),
        // The specification requires it and gives it a default; Kong's own provider leaves it out.
        Field::optional("log_format", Rule::Choice(&["cef", "json", "cps"])),
        Field::optional("skip_ssl_verification", Rule::Boolean),
    ])
    .update(&[
        Field::optional("name", ANY_TEXT),
        Field::optional("endpoint", Rule::Url),
        Field::optional("authorization", ANY_TEXT),
        Field::optional("log_format", Rule::Choice(&["cef", "json", "cps"])),
        Field::optional("skip_ssl_verification", Rule::Boolean),
    ])
    .filters(&[Filter {
        name: "name",
        operators: Operators::Legacy,
        read: member!("name"),
    }])
    .paging(Paging::Cursor)
    .before_create(before_create)
    .before_delete(before_delete);

/// Shows a destination; its authorization is write-only.
pub(crate) fn view(_: &World, row: &Row) -> Value {
    Value::Object(row.show(&["name", "endpoint", "log_format", "skip_ssl_verification"]))
}

/// Fills in defaults.
pub(crate) fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    call.fill("log_format", json!("cef"));
    call.fill("skip_ssl_verification", json!(false));
    Ok(())
}

/// Refuses while a webhook uses the destination.
pub(crate) fn before_delete(call: &mut Call<'_>) -> Result<(), Problem> {
    if call.world.audit.uses(call.last_id()) {
        return Err(Problem::conflict("destination is in use"));
    }
    Ok(())
}
