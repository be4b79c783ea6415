//! The published signing keys. The documented call sends no token.

use serde_json::Value;

use crate::{
    call::Call,
    operation::{Act, Operation, op},
    problem::Problem,
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v2/audit-log-webhook/jwks.json", 200, Act::Special(None, get)).open(),
];

/// Shows the key set.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(call.world.audit.keys.to_jwks())
}
