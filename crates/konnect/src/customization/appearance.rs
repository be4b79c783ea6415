//! How a portal looks: its customization, and the operations on it.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::portals::Visibility;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::patch::Patch;

const GET: &str = "GET /v3/portals/{portalId}/customization";
const REPLACE: &str = "PUT /v3/portals/{portalId}/customization";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/customization";

open_enum! {
    /// Whether a portal is light or dark.
    ThemeMode {
        /// Always light.
        Light = "light",
        /// Always dark.
        Dark = "dark",
        /// As the reader's system is.
        System = "system",
    }
}

/// How a portal looks. What is none was never chosen, and is left out when it is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Customization {
    /// Colours of all pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// Name of the layout of all pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// Style sheet of all pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub css: Option<String>,
    /// Menus of all pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub menu: Option<Menu>,
    /// How specifications of APIs are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_renderer: Option<SpecRenderer>,
    /// Text of the portal's `robots.txt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robots: Option<String>,
}

/// What to change of a customization. Objects are merged: members that are none or `Keep` stay as
/// they are, at any depth. A list takes the place of the one before, an empty one too.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CustomizationUpdate {
    /// Colours of all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// Name of the layout of all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// Style sheet of all pages; null for none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub css: Patch<String>,
    /// Menus of all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub menu: Option<Menu>,
    /// How specifications of APIs are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_renderer: Option<SpecRenderer>,
    /// Text of the portal's `robots.txt`; null for none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub robots: Patch<String>,
}

/// Theme of a portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Theme {
    /// Name of the theme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is light or dark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ThemeMode>,
    /// Colours of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colors: Option<ThemeColors>,
}

/// Colours of a theme.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThemeColors {
    /// Main colour, as `#rgb` or `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
}

/// Menus of a portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// Menu at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<Vec<MenuItem>>,
    /// Columns of the footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer_sections: Option<Vec<MenuSection>>,
    /// Line below the columns of the footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer_bottom: Option<Vec<MenuItem>>,
}

/// A column of the footer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuSection {
    /// Heading, at most 512 characters.
    pub title: String,
    /// Links below the heading.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub items: Vec<MenuItem>,
}

/// A link of a menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuItem {
    /// Path of a page of the portal with a leading slash, at most 512 characters.
    pub path: String,
    /// Text of the link.
    pub title: String,
    /// Who sees the link; only developers who are signed in see a private one.
    pub visibility: Visibility,
    /// Whether it opens in a window of its own.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub external: bool,
}

/// How specifications of APIs are shown. The API chooses what is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecRenderer {
    /// Whether operations can be tried out in the browser; they can if none. The gateways must
    /// allow requests from other origins (CORS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_it_ui: Option<bool>,
    /// Whether public specifications can be opened in Insomnia; they can if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_it_insomnia: Option<bool>,
    /// Whether a specification is one long page; it is if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infinite_scroll: Option<bool>,
    /// Whether schemas are listed beside the operations; they are if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_schemas: Option<bool>,
    /// Whether what is marked internal is left out; it is not if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hide_internal: Option<bool>,
    /// Whether what is deprecated is left out; it is not if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hide_deprecated: Option<bool>,
    /// Whether a reader may enter the URL of a server; they may if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_custom_server_urls: Option<bool>,
}

/// The one customization of a portal.
#[derive(Debug, Clone, Copy)]
pub struct CustomizationResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Customization of the portal.
    pub fn customization(self) -> CustomizationResource<'a> {
        CustomizationResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl CustomizationResource<'_> {
    /// Reads the customization (`get-portal-customization`).
    pub async fn get(&self) -> Result<Customization, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal]))
            .await
    }

    /// Puts a whole customization in place of the one before (`replace-portal-customization`); what
    /// it leaves out is gone.
    pub async fn replace(&self, customization: &Customization) -> Result<Customization, Error> {
        self.transport
            .fetch(Request::new(REPLACE, &[&self.portal]).json(customization)?)
            .await
    }

    /// Changes the customization (`update-portal-customization`).
    pub async fn update(&self, update: &CustomizationUpdate) -> Result<Customization, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal]).json(update)?)
            .await
    }
}
