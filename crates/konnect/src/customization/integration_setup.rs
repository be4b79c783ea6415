//! Services of others that a portal's pages load, and how each is set up.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::lenient;
use crate::wire::open_enum::open_enum;

open_enum! {
    /// What an integration is for. Each integration takes one of them only.
    IntegrationType {
        /// It follows readers: Google Tag Manager.
        Tracking = "tracking",
        /// It counts readers: Google Analytics 4.
        Analytics = "analytics",
        /// It helps readers with disabilities: `EqualWeb`.
        Accessibility = "accessibility",
    }
}

/// Services of others that a portal's pages load. What is none is not there, and is left out when
/// it is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Integrations {
    /// Google Tag Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_tag_manager: Option<GoogleTagManager>,
    /// Google Analytics 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_analytics_4: Option<GoogleAnalytics4>,
    /// `EqualWeb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal_web: Option<EqualWeb>,
}

/// Google Tag Manager in the pages of a portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleTagManager {
    /// Whether the pages load it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// What it is for: [`IntegrationType::Tracking`].
    #[serde(rename = "type")]
    pub kind: IntegrationType,
    /// How it is set up.
    pub config_data: GoogleTagManagerConfig,
}

impl GoogleTagManager {
    /// An integration that the pages load.
    pub fn new(config_data: GoogleTagManagerConfig) -> Self {
        Self {
            enabled: true,
            kind: IntegrationType::Tracking,
            config_data,
        }
    }
}

/// How Google Tag Manager is set up. Texts but the id have at most 100 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleTagManagerConfig {
    /// Id of the container: `GTM-` and letters or digits, 5 to 20 characters in all.
    pub id: String,
    /// Name of the data layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l: Option<String>,
    /// Name of the environment to preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// Whether the tag manager's cookies win over others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies_win: Option<bool>,
    /// Whether it runs in debug mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
    /// Whether advertising that knows the reader is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub npa: Option<bool>,
    /// Name of the data layer, in place of `l`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_layer: Option<String>,
    /// Name of the environment whose container is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_name: Option<String>,
    /// What requests tell of the page they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_referrer_policy: Option<String>,
}

/// Google Analytics 4 in the pages of a portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleAnalytics4 {
    /// Whether the pages load it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// What it is for: [`IntegrationType::Analytics`].
    #[serde(rename = "type")]
    pub kind: IntegrationType,
    /// How it is set up.
    pub config_data: GoogleAnalytics4Config,
}

impl GoogleAnalytics4 {
    /// An integration that the pages load.
    pub fn new(config_data: GoogleAnalytics4Config) -> Self {
        Self {
            enabled: true,
            kind: IntegrationType::Analytics,
            config_data,
        }
    }
}

/// How Google Analytics 4 is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleAnalytics4Config {
    /// Measurement id: `G-` and letters, digits or hyphens, 5 to 20 characters in all.
    pub id: String,
    /// Name of the data layer, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l: Option<String>,
}

/// `EqualWeb` in the pages of a portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EqualWeb {
    /// Whether the pages load it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// What it is for: [`IntegrationType::Accessibility`].
    #[serde(rename = "type")]
    pub kind: IntegrationType,
    /// How it is set up.
    pub config_data: EqualWebConfig,
}

impl EqualWeb {
    /// An integration that the pages load.
    pub fn new(config_data: EqualWebConfig) -> Self {
        Self {
            enabled: true,
            kind: IntegrationType::Accessibility,
            config_data,
        }
    }
}

/// How `EqualWeb` is set up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EqualWebConfig {
    /// Site key: 32 letters or digits.
    pub site_key: String,
    /// Settings of the widget, which Konnect passes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widget_config: Option<Map<String, Value>>,
}
