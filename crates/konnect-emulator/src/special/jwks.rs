//! The published signing keys.

use serde_json::Value;

use crate::{call::Call, problem::Problem};

/// The one path that needs no token: the documented call sends none.
pub(crate) const PATH: &str = "/v2/audit-log-webhook/jwks.json";

/// Shows the key set.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(call.world.audit.keys.to_jwks())
}
