//! The images of a portal, its logo and its favicon, and the operations on them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::{RawBody, Transport};
use crate::wire::ids::PortalId;

const GET_LOGO: &str = "GET /v3/portals/{portalId}/assets/logo";
const REPLACE_LOGO: &str = "PUT /v3/portals/{portalId}/assets/logo";
const GET_LOGO_RAW: &str = "GET /v3/portals/{portalId}/assets/logo/raw";
const GET_FAVICON: &str = "GET /v3/portals/{portalId}/assets/favicon";
const REPLACE_FAVICON: &str = "PUT /v3/portals/{portalId}/assets/favicon";
const GET_FAVICON_RAW: &str = "GET /v3/portals/{portalId}/assets/favicon/raw";
/// The documented media types of a raw image, and any other image.
const IMAGES: &str = "image/png, image/jpeg, image/svg+xml, image/*;q=0.8";

/// An image of a portal; what is read as well as what is sent.
///
/// The API takes PNG (`image/png`), JPEG (`image/jpeg`), GIF (`image/gif`), SVG (`image/svg+xml`)
/// and ICO (`image/x-icon`, `image/ico`, `image/icon`, `image/vnd.microsoft.icon`), in standard
/// Base64 with padding.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asset {
    /// The image as a data URL, such as `data:image/png;base64,iVBORw0KGgo=`.
    pub data: String,
}

impl Asset {
    /// Writes the bytes of an image as a data URL.
    pub fn new(media_type: &str, bytes: &[u8]) -> Self {
        let data = STANDARD.encode(bytes);
        Self {
            data: format!("data:{media_type};base64,{data}"),
        }
    }

    /// Media type of the image; none if it is no data URL.
    pub fn media_type(&self) -> Option<&str> {
        let (head, _) = self.parts()?;
        head.split(';').next()
    }

    /// Bytes of the image; none if it is no data URL in Base64. The API takes a data URL that does
    /// not say that it is in Base64 for one that is.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let (_, data) = self.parts()?;
        STANDARD.decode(data).ok()
    }

    fn parts(&self) -> Option<(&str, &str)> {
        self.data.strip_prefix("data:")?.split_once(',')
    }
}

impl fmt::Debug for Asset {
    /// Shows how much there is, not what.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Asset")
            .field("media_type", &self.media_type())
            .field("length", &self.data.len())
            .finish()
    }
}

/// Images of a portal. Where there is none, the API answers 404, as it does without the portal.
#[derive(Debug, Clone, Copy)]
pub struct Assets<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Logo and favicon of the portal.
    pub fn assets(self) -> Assets<'a> {
        Assets {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl Assets<'_> {
    /// Reads the logo, if there is one (`get-portal-asset-logo`).
    pub async fn logo(&self) -> Result<Option<Asset>, Error> {
        self.read(GET_LOGO).await
    }

    /// Replaces the logo (`replace-portal-asset-logo`).
    pub async fn replace_logo(&self, logo: &Asset) -> Result<Asset, Error> {
        self.replace(REPLACE_LOGO, logo).await
    }

    /// Reads the bytes of the logo, if there is one (`get-portal-asset-logo-raw`).
    pub async fn logo_raw(&self) -> Result<Option<RawBody>, Error> {
        self.read_raw(GET_LOGO_RAW).await
    }

    /// Reads the favicon, if there is one (`get-portal-asset-favicon`).
    pub async fn favicon(&self) -> Result<Option<Asset>, Error> {
        self.read(GET_FAVICON).await
    }

    /// Replaces the favicon (`replace-portal-asset-favicon`).
    pub async fn replace_favicon(&self, favicon: &Asset) -> Result<Asset, Error> {
        self.replace(REPLACE_FAVICON, favicon).await
    }

    /// Reads the bytes of the favicon, if there is one (`get-portal-asset-favicon-raw`).
    pub async fn favicon_raw(&self) -> Result<Option<RawBody>, Error> {
        self.read_raw(GET_FAVICON_RAW).await
    }

    async fn read(&self, operation: &'static str) -> Result<Option<Asset>, Error> {
        let request = Request::new(operation, &[&self.portal]);
        self.transport.fetch_if_found(request).await
    }

    async fn replace(&self, operation: &'static str, asset: &Asset) -> Result<Asset, Error> {
        let request = Request::new(operation, &[&self.portal]).json(asset)?;
        self.transport.fetch(request).await
    }

    async fn read_raw(&self, operation: &'static str) -> Result<Option<RawBody>, Error> {
        let request = Request::new(operation, &[&self.portal]).accept(IMAGES);
        match self.transport.fetch_raw(request).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_shows_none_of_it() {
        let image = Asset::new("image/png", b"\x89PNG");
        assert_eq!(image.data, "data:image/png;base64,iVBORw==");
        assert!(!format!("{image:?}").contains("iVBORw"));
        let (png, gif) = (Some("image/png"), Some("image/gif"));
        for (data, media_type, bytes) in [
            (image.data.as_str(), png, Some(b"\x89PNG".to_vec())),
            ("data:image/gif,AAEC", gif, Some(vec![0, 1, 2])),
            ("data:image/gif;base64,%", gif, None),
            ("data:image/gif", None, None),
            ("https://example.com/a,b", None, None),
        ] {
            let data = data.to_owned();
            let image = Asset { data };
            assert_eq!(image.media_type(), media_type, "{}", image.data);
            assert_eq!(image.bytes(), bytes, "{}", image.data);
        }
    }
}
