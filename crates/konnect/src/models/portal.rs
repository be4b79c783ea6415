//! Dev Portals.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::models::ids::PortalId;
use crate::models::lenient;
use crate::models::open_enum::open_enum;
use crate::page::Identified;

open_enum! {
    /// Who sees an API or a page of a portal unless it says otherwise.
    Visibility {
        /// Everybody.
        Public = "public",
        /// Developers who are signed in.
        Private = "private",
    }
}

/// A Dev Portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portal {
    /// Id of the portal.
    pub id: PortalId,
    /// Name, unique in the organisation.
    pub name: String,
    /// Name shown to developers.
    #[serde(default)]
    pub display_name: Option<String>,
    /// What the portal is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether developers sign in at all.
    #[serde(default)]
    pub authentication_enabled: Option<bool>,
    /// Whether teams and roles decide what a developer may do.
    #[serde(default)]
    pub rbac_enabled: Option<bool>,
    /// Whether developers are approved as they sign up.
    #[serde(default)]
    pub auto_approve_developers: Option<bool>,
    /// Whether registrations are approved as they are asked for.
    #[serde(default)]
    pub auto_approve_applications: Option<bool>,
    /// Who sees APIs unless they say otherwise.
    #[serde(default)]
    pub default_api_visibility: Option<Visibility>,
    /// Who sees pages unless they say otherwise.
    #[serde(default)]
    pub default_page_visibility: Option<Visibility>,
    /// Host name that Konnect gave the portal.
    #[serde(default)]
    pub default_domain: Option<String>,
    /// Host name to link to: the custom domain if there is one.
    #[serde(default)]
    pub canonical_domain: Option<String>,
    /// Labels of the portal.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub labels: BTreeMap<String, String>,
    /// When the portal was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the portal was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for Portal {
    type Id = PortalId;

    fn id(&self) -> PortalId {
        self.id
    }
}

/// Which portals to list.
#[derive(Debug, Clone, Default)]
pub struct ListPortals {
    /// Only the portal of this name.
    pub name: Option<String>,
    /// Attribute to sort by; by creation if none.
    pub sort: Option<String>,
    /// Entries a page.
    pub page_size: Option<u32>,
}
