//! Destinations: defaults, and that one in use stays.

use serde_json::{Value, json};

use crate::{
    call::Call,
    problem::Problem,
    state::{Row, World},
};

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
