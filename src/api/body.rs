//! Bodies of requests: one object each, whose members are all known.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::Problem;
use crate::http::parameters::bad_request;

/// The object that a request has; `form` shows one where there is none. Serde would take a list
/// for an object too.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], form: &str) -> Result<T, Problem> {
    let Ok(object @ Value::Object(_)) = serde_json::from_slice(body) else {
        return Err(bad_request(format!("the body is {form}")));
    };
    serde_json::from_value(object).map_err(|error| bad_request(format!("the body: {error}")))
}
