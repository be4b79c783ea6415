//! How developers sign in: authentication settings, identity providers and their mappings.
//!
//! The settings of a portal say whether developers sign in with a password, and who puts them into
//! teams. Its identity providers let them sign in with OIDC or SAML; only one of them is enabled at
//! a time. A mapping puts whoever is in a group of a provider into a team of the portal.

mod authentication_settings;
mod claim_mappings;
mod group_mappings;
mod identity_providers;
mod team_groups;

pub use authentication_settings::{
    AuthenticationSettings, AuthenticationSettingsResource, AuthenticationSettingsUpdate,
    OidcSettings,
};
pub use claim_mappings::ClaimMappings;
pub use group_mappings::{
    GroupMapping, GroupMappingId, GroupMappings, ListGroupMappings, NewGroupMapping,
};
pub use identity_providers::{
    IdentityProvider, IdentityProviderConfig, IdentityProviderId, IdentityProviderKind,
    IdentityProviderUpdate, IdentityProviders, ListIdentityProviders, NewIdentityProvider,
    NewIdentityProviderConfig, NewOidcConfig, NewSamlConfig, OidcConfig, SamlConfig,
};
pub use team_groups::{ListTeamGroups, TeamGroups, TeamGroupsResource};
