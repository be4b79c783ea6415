//! What a portal offers: APIs, their publications, and how applications authenticate.
//!
//! These operations stand beside Portal Management in an API of their own, which has no document
//! that is published by itself: the operations and their members are those of Kong's Go SDK.

mod apis;
mod auth_strategies;
mod publications;

pub use apis::{
    Api, ApiPortal, ApiSpecSummary, ApiSpecType, ApiUpdate, ApiVersionSummary, Apis, ListApis,
    NewApi,
};
pub use auth_strategies::{
    AppAuthStrategy, AuthStrategies, AuthStrategyType, AuthStrategyUpdate, DcrProvider,
    KeyAuthConfig, KeyAuthUpdate, KeyTtl, KeyTtlUnit, ListAuthStrategies, NewAuthStrategy,
    NewStrategyConfigs, OpenIdConnectConfig, OpenIdConnectUpdate, Principals, StrategyConfigs,
    StrategyConfigsUpdate,
};
pub use publications::{
    ApiPublication, ApiPublications, EntityType, ListApiPublications, ListedPublication,
    PublicationSettings,
};
