//! Strategies by which applications authenticate at the gateway, and the operations on them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::paging::{
    Identified, Listing, Page, Pages, collect_lenient, collect_numbered, numbered_page,
};
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, ValueFilter};
use crate::wire::ids::AuthStrategyId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::patch::Patch;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v2/application-auth-strategies";
const CREATE: &str = "POST /v2/application-auth-strategies";
const GET: &str = "GET /v2/application-auth-strategies/{authStrategyId}";
const UPDATE: &str = "PATCH /v2/application-auth-strategies/{authStrategyId}";
const DELETE: &str = "DELETE /v2/application-auth-strategies/{authStrategyId}";

open_enum! {
    /// How applications authenticate.
    AuthStrategyType {
        /// By an API key.
        KeyAuth = "key_auth",
        /// By a token of an identity provider.
        OpenIdConnect = "openid_connect",
    }
}

open_enum! {
    /// In what a key's time to live is counted.
    KeyTtlUnit {
        /// Days.
        Days = "days",
        /// Weeks.
        Weeks = "weeks",
        /// Years.
        Years = "years",
    }
}

/// How long a key lives at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTtl {
    /// How many units, at least 1.
    pub value: u64,
    /// The unit.
    pub unit: KeyTtlUnit,
}

/// How applications authenticate by a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAuthConfig {
    /// Headers that may hold the key, 1 to 10 of at most 256 characters.
    #[serde(
        default,
        deserialize_with = "lenient::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub key_names: Vec<String>,
    /// How long a key lives at most; for ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<KeyTtl>,
}

/// How applications authenticate by a token of an identity provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenIdConnectConfig {
    /// URL of the identity provider, at most 256 characters.
    pub issuer: String,
    /// Claims that tell the application, at most 10 of at most 128 characters.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub credential_claim: Vec<String>,
    /// Scopes to ask for, at most 50 of at most 128 characters.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub scopes: Vec<String>,
    /// Ways to authenticate, such as `bearer`, at most 10 of at most 64 characters.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub auth_methods: Vec<String>,
    /// Any other settings of the gateway's plugin.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The settings of a strategy: one of them, as its type has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StrategyConfigs {
    /// Of a strategy by key.
    #[serde(default, rename = "key-auth", skip_serializing_if = "Option::is_none")]
    pub key_auth: Option<KeyAuthConfig>,
    /// Of a strategy by token.
    #[serde(
        default,
        rename = "openid-connect",
        skip_serializing_if = "Option::is_none"
    )]
    pub openid_connect: Option<OpenIdConnectConfig>,
}

/// The provider by which applications are registered at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcrProvider {
    /// Id of the provider.
    pub id: Uuid,
    /// Name of the provider.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Name of the provider that is shown in portals.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Kind of the provider, such as `okta`.
    #[serde(default)]
    pub provider_type: Option<String>,
}

/// Whether applications are principals of the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principals {
    /// Whether they are.
    pub enabled: bool,
}

/// A strategy by which applications authenticate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppAuthStrategy {
    /// Id of the strategy.
    pub id: AuthStrategyId,
    /// Name of the strategy.
    pub name: String,
    /// Name of the strategy that is shown in portals.
    #[serde(default)]
    pub display_name: Option<String>,
    /// How applications authenticate.
    pub strategy_type: AuthStrategyType,
    /// The settings.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub configs: StrategyConfigs,
    /// Whether something that is published uses the strategy.
    #[serde(default)]
    pub active: Option<bool>,
    /// The provider by which applications are registered, if there is one.
    #[serde(default)]
    pub dcr_provider: Option<DcrProvider>,
    /// Labels of the strategy.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub labels: BTreeMap<String, String>,
    /// Whether an application can have more than one credential.
    #[serde(default)]
    pub supports_multiple_credentials: Option<bool>,
    /// Whether applications are principals.
    #[serde(default)]
    pub principals: Option<Principals>,
    /// When the strategy was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the strategy was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for AppAuthStrategy {
    type Id = AuthStrategyId;

    fn id(&self) -> AuthStrategyId {
        self.id
    }
}

/// Which strategies to list.
#[derive(Debug, Clone, Default)]
pub struct ListAuthStrategies {
    /// Only strategies of this type.
    pub strategy_type: Option<ValueFilter<AuthStrategyType>>,
    /// Only strategies of this name.
    pub name: Option<TextFilter>,
    /// Only strategies of this name in portals.
    pub display_name: Option<TextFilter>,
    /// Only strategies of these providers.
    pub dcr_provider_id: Option<ValueFilter<Uuid>>,
    /// Only strategies of providers of this name.
    pub dcr_provider_name: Option<TextFilter>,
    /// Only strategies of providers of this kind.
    pub dcr_provider_type: Option<TextFilter>,
    /// Order: by `created_at`, `updated_at`, `strategy_type`, `name`, `display_name`,
    /// `dcr_provider_id`, `dcr_provider_name` or `dcr_provider_type`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// The type and the settings of a strategy to create.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "strategy_type", content = "configs")]
pub enum NewStrategyConfigs {
    /// By an API key.
    #[serde(rename = "key_auth")]
    KeyAuth {
        /// The settings.
        #[serde(rename = "key-auth")]
        config: KeyAuthConfig,
    },
    /// By a token of an identity provider.
    #[serde(rename = "openid_connect")]
    OpenIdConnect {
        /// The settings.
        #[serde(rename = "openid-connect")]
        config: OpenIdConnectConfig,
    },
}

/// A strategy to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewAuthStrategy {
    /// Name, 1 to 256 characters.
    pub name: String,
    /// Name that is shown in portals, at most 256 characters.
    pub display_name: String,
    /// The type and its settings.
    #[serde(flatten)]
    pub configs: NewStrategyConfigs,
    /// The provider by which applications are registered; only of a strategy by token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dcr_provider_id: Option<Uuid>,
    /// Labels, at most 50.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether applications are principals; they are not if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principals: Option<Principals>,
}

impl NewAuthStrategy {
    /// A strategy by a key in the one header of this name.
    pub fn key_auth(name: &str, header: &str) -> Self {
        let config = KeyAuthConfig {
            key_names: vec![header.to_owned()],
            ttl: None,
        };
        Self::new(name, NewStrategyConfigs::KeyAuth { config })
    }

    /// A strategy by a token, without a provider that registers applications.
    pub fn openid_connect(name: &str, config: OpenIdConnectConfig) -> Self {
        Self::new(name, NewStrategyConfigs::OpenIdConnect { config })
    }

    fn new(name: &str, configs: NewStrategyConfigs) -> Self {
        Self {
            name: name.to_owned(),
            display_name: name.to_owned(),
            configs,
            dcr_provider_id: None,
            labels: BTreeMap::new(),
            principals: None,
        }
    }
}

/// What to change of a strategy by key; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeyAuthUpdate {
    /// Headers that may hold the key, 1 to 10 of at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_names: Option<Vec<String>>,
    /// How long a key lives at most; null for ever.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub ttl: Patch<KeyTtl>,
}

/// What to change of a strategy by token; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OpenIdConnectUpdate {
    /// URL of the identity provider, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Claims that tell the application, at most 10 of at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_claim: Option<Vec<String>>,
    /// Scopes to ask for, at most 50 of at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Ways to authenticate, at most 10 of at most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_methods: Option<Vec<String>>,
    /// Any other settings of the gateway's plugin.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What to change of the settings; they must be of the strategy's type, which stays.
#[derive(Debug, Clone, Serialize)]
pub enum StrategyConfigsUpdate {
    /// Of a strategy by key.
    #[serde(rename = "key-auth")]
    KeyAuth(KeyAuthUpdate),
    /// Of a strategy by token.
    #[serde(rename = "openid-connect")]
    OpenIdConnect(OpenIdConnectUpdate),
}

/// What to change of a strategy; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuthStrategyUpdate {
    /// New name, 1 to 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New name that is shown in portals, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Labels to set, and those of none to remove; the others stay.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub labels: Patch<BTreeMap<String, Option<String>>>,
    /// The provider by which applications are registered.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub dcr_provider_id: Patch<Uuid>,
    /// The settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configs: Option<StrategyConfigsUpdate>,
    /// Whether applications are principals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principals: Option<Principals>,
}

/// Strategies of the organisation by which applications authenticate.
#[derive(Debug, Clone, Copy)]
pub struct AuthStrategies<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Strategies of the organisation in this region by which applications authenticate.
    pub fn auth_strategies(&self) -> AuthStrategies<'_> {
        AuthStrategies {
            transport: &self.transport,
        }
    }
}

impl<'a> AuthStrategies<'a> {
    /// Lists all strategies that match (`list-app-auth-strategies`).
    pub async fn list(&self, options: &ListAuthStrategies) -> Result<Vec<AppAuthStrategy>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all strategies that match, without those that cannot be read
    /// (`list-app-auth-strategies`).
    pub async fn list_lenient(
        &self,
        options: &ListAuthStrategies,
    ) -> Result<Listing<AppAuthStrategy>, Error> {
        collect_lenient(LIST, |number| self.page(options, number)).await
    }

    /// Lists all strategies that match page by page, without those that cannot be read
    /// (`list-app-auth-strategies`).
    pub fn pages(self, options: &'a ListAuthStrategies) -> Pages<'a, AppAuthStrategy> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1 (`list-app-auth-strategies`).
    pub async fn list_page(
        &self,
        options: &ListAuthStrategies,
        number: u32,
    ) -> Result<Page<AppAuthStrategy>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListAuthStrategies,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[])
            .sort(options.sort.as_ref())
            .filter("strategy_type", options.strategy_type.as_ref())
            .filter("name", options.name.as_ref())
            .filter("display_name", options.display_name.as_ref())
            .filter("dcr_provider_id", options.dcr_provider_id.as_ref())
            .filter("dcr_provider_name", options.dcr_provider_name.as_ref())
            .filter("dcr_provider_type", options.dcr_provider_type.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a strategy (`get-app-auth-strategy`).
    pub async fn get(&self, id: AuthStrategyId) -> Result<AppAuthStrategy, Error> {
        self.transport.fetch(Request::new(GET, &[&id])).await
    }

    /// Creates a strategy (`create-app-auth-strategy`).
    pub async fn create(&self, strategy: &NewAuthStrategy) -> Result<AppAuthStrategy, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[]).json(strategy)?)
            .await
    }

    /// Changes a strategy (`update-app-auth-strategy`).
    pub async fn update(
        &self,
        id: AuthStrategyId,
        update: &AuthStrategyUpdate,
    ) -> Result<AppAuthStrategy, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&id]).json(update)?)
            .await
    }

    /// Deletes a strategy (`delete-app-auth-strategy`); 409 while something that is published uses
    /// it.
    pub async fn delete(&self, id: AuthStrategyId) -> Result<(), Error> {
        self.transport.call(Request::new(DELETE, &[&id])).await
    }
}
