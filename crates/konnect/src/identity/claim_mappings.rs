//! Which claims of an identity provider say who a developer is.

use serde::{Deserialize, Serialize};

/// The claim for each attribute of a developer. A claim that is none is the API's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMappings {
    /// Claim with the name, `name` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Claim with the e-mail address, `email` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Claim with the groups, `groups` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
}
