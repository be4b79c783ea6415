//! A list that the API gives whole, without pages.

use serde::Deserialize;

use crate::wire::lenient;

/// The answer that has the list.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Whole<T> {
    #[serde(deserialize_with = "lenient::or_default")]
    pub(crate) data: Vec<T>,
}
