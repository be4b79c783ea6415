//! Where an HTTP service is, as people write it. A host without a scheme is what the console of a
//! provider shows, and is no URL; one with a port even reads as a scheme of its own.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

/// Reads a URL of `http` or `https`.
///
/// # Errors
/// Says what is expected.
pub fn parse_base_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            "expected a URL with its scheme, such as https://eu.api.konghq.com".to_owned()
        })
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    parse_base_url(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// For `#[serde(deserialize_with)]` of a URL that may be absent.
pub(super) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Url>, D::Error> {
    deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::parse_base_url;

    #[test]
    fn a_url_has_a_scheme_that_can_be_called() {
        for (text, is_url) in [
            ("https://eu.api.konghq.com", true),
            ("http://127.0.0.1:8089", true),
            ("eu.api.konghq.com", false),
            ("eu.api.konghq.com:443", false),
            ("localhost:8089", false),
            ("//eu.api.konghq.com", false),
            ("ftp://eu.api.konghq.com", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(parse_base_url(text).is_ok(), is_url, "{text}");
        }
    }
}
