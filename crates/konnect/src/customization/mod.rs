//! How a portal looks and where it is: customization, custom domains and integrations.
//!
//! Each is something that a portal has at most once: `client.portal(id).customization()`,
//! `.custom_domain()`, `.integrations()`.

mod appearance;
mod custom_domain;
mod integration_setup;
mod integrations;

pub use appearance::{
    Customization, CustomizationResource, CustomizationUpdate, Menu, MenuItem, MenuSection,
    SpecRenderer, Theme, ThemeColors, ThemeMode,
};
pub use custom_domain::{
    CnameStatus, CustomDomain, CustomDomainResource, CustomDomainSsl, CustomDomainSslUpdate,
    CustomDomainUpdate, DomainVerificationMethod, DomainVerificationStatus, NewCustomDomain,
    NewCustomDomainSsl,
};
pub use integration_setup::{
    EqualWeb, EqualWebConfig, GoogleAnalytics4, GoogleAnalytics4Config, GoogleTagManager,
    GoogleTagManagerConfig, IntegrationType, Integrations,
};
pub use integrations::{
    EqualWebConfigUpdate, EqualWebUpdate, GoogleAnalytics4ConfigUpdate, GoogleAnalytics4Update,
    GoogleTagManagerConfigUpdate, GoogleTagManagerUpdate, IntegrationsResource, IntegrationsUpdate,
};
