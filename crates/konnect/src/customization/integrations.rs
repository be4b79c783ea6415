//! Integrations of a portal: changes, which are merged into what there is, and the operations.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::customization::integration_setup::{IntegrationType, Integrations};
use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::patch::Patch;

const GET: &str = "GET /v3/portals/{portalId}/integrations";
const REPLACE: &str = "PUT /v3/portals/{portalId}/integrations";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/integrations";

/// What to change of integrations. Objects are merged: members that are none or `Keep` stay as they
/// are, at any depth.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct IntegrationsUpdate {
    /// Google Tag Manager; null takes it away.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub google_tag_manager: Patch<GoogleTagManagerUpdate>,
    /// Google Analytics 4; null takes it away.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub google_analytics_4: Patch<GoogleAnalytics4Update>,
    /// `EqualWeb`; null takes it away.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub equal_web: Patch<EqualWebUpdate>,
}

/// What to change of Google Tag Manager. Where there is none yet, all members are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GoogleTagManagerUpdate {
    /// Whether the pages load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it is for: [`IntegrationType::Tracking`].
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<IntegrationType>,
    /// How it is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_data: Option<GoogleTagManagerConfigUpdate>,
}

/// What to change of the setup of Google Tag Manager. Texts but the id have at most 100 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GoogleTagManagerConfigUpdate {
    /// Id of the container: `GTM-` and letters or digits, 5 to 20 characters in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the data layer.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub l: Patch<String>,
    /// Name of the environment to preview.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub preview: Patch<String>,
    /// Whether the tag manager's cookies win over others.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub cookies_win: Patch<bool>,
    /// Whether it runs in debug mode.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub debug: Patch<bool>,
    /// Whether advertising that knows the reader is off.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub npa: Patch<bool>,
    /// Name of the data layer, in place of `l`.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub data_layer: Patch<String>,
    /// Name of the environment whose container is loaded.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub env_name: Patch<String>,
    /// What requests tell of the page they come from.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub auth_referrer_policy: Patch<String>,
}

/// What to change of Google Analytics 4. Where there is none yet, all members are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GoogleAnalytics4Update {
    /// Whether the pages load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it is for: [`IntegrationType::Analytics`].
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<IntegrationType>,
    /// How it is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_data: Option<GoogleAnalytics4ConfigUpdate>,
}

/// What to change of the setup of Google Analytics 4.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GoogleAnalytics4ConfigUpdate {
    /// Measurement id: `G-` and letters, digits or hyphens, 5 to 20 characters in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the data layer, at most 100 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub l: Patch<String>,
}

/// What to change of `EqualWeb`. Where there is none yet, all members are needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EqualWebUpdate {
    /// Whether the pages load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it is for: [`IntegrationType::Accessibility`].
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<IntegrationType>,
    /// How it is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_data: Option<EqualWebConfigUpdate>,
}

/// What to change of the setup of `EqualWeb`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EqualWebConfigUpdate {
    /// Site key: 32 letters or digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_key: Option<String>,
    /// Settings of the widget, which Konnect passes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widget_config: Option<Map<String, Value>>,
}

/// The integrations of a portal.
#[derive(Debug, Clone, Copy)]
pub struct IntegrationsResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Integrations of the portal.
    pub fn integrations(self) -> IntegrationsResource<'a> {
        IntegrationsResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl IntegrationsResource<'_> {
    /// Reads the integrations (`get-portal-integrations`).
    pub async fn get(&self) -> Result<Integrations, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal]))
            .await
    }

    /// Puts all integrations in place of those before (`upsert-portal-integrations`); what is left
    /// out is gone.
    pub async fn replace(&self, integrations: &Integrations) -> Result<Integrations, Error> {
        self.transport
            .fetch(Request::new(REPLACE, &[&self.portal]).json(integrations)?)
            .await
    }

    /// Changes integrations (`update-portal-integrations`).
    pub async fn update(&self, update: &IntegrationsUpdate) -> Result<Integrations, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal]).json(update)?)
            .await
    }
}
