//! A list that the API gives whole, without pages.

use serde::Deserialize;

/// The answer that has the list.
#[derive(Deserialize)]
pub(crate) struct Whole<T> {
    #[serde(default = "Vec::new")]
    pub(crate) data: Vec<T>,
}
