//! The forms that a text can have: labels, addresses, hosts, images. Each is a plain function, for
//! the rules of `validate` and for patterns of a noun's own.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

/// 1 to 63 characters that do not begin as Konnect's own keys do.
pub(crate) fn is_label_key(text: &str) -> bool {
    const RESERVED: [&str; 5] = ["kong", "konnect", "mesh", "kic", "_"];
    (1..=63).contains(&text.len()) && !RESERVED.iter().any(|reserved| text.starts_with(reserved))
}

/// The pattern of the specification: `^[a-z0-9A-Z]{1}([a-z0-9A-Z-._]*[a-z0-9A-Z]+)?$`, 1 to 63
/// characters.
pub(crate) fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edges = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (1..=63).contains(&bytes.len())
        && edges(bytes.first())
        && edges(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
}

/// Konnect's check of an address is not documented; this one asks for what any mail server needs.
pub(crate) fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty())
            && !text.chars().any(char::is_whitespace)
    })
}

/// An absolute URI of any scheme.
pub(crate) fn is_uri(text: &str) -> bool {
    Url::parse(text).is_ok()
}

/// An IPv4 or IPv6 address, or a block of them as `address/bits`.
pub(crate) fn is_ip_or_block(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| {
        bits.bytes().all(|byte| byte.is_ascii_digit())
            && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

/// A host name with at least one dot, of labels of letters, digits and inner hyphens.
pub(crate) fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// Splits an image as a data URL into its media type and its bytes; `None` for anything else. The
/// data is base64 whether the URL says so or not, as the specification's patterns have it.
pub(crate) fn image(text: &str) -> Option<(&'static str, Vec<u8>)> {
    let (kind, data) = text.strip_prefix("data:image/")?.split_once(',')?;
    let media_type = match kind.strip_suffix(";base64").unwrap_or(kind) {
        "png" => "image/png",
        "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "x-icon" | "ico" | "icon" | "vnd.microsoft.icon" => "image/x-icon",
        "svg+xml" => "image/svg+xml",
        _ => return None,
    };
    Some((media_type, STANDARD.decode(data).ok()?))
}

/// A colour as `#rgb` or `#rrggbb`.
pub(crate) fn is_colour(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| {
        matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_forms_apart() {
        type Form = fn(&str) -> bool;
        let cases: [(Form, &[&str], &[&str]); 6] = [
            (
                is_ip_or_block,
                &["192.168.1.1", "192.168.0.0/22", "::1", "fd00::/8"],
                &[
                    "",
                    "192.168.1",
                    "10.0.0.0/33",
                    "10.0.0.0/+8",
                    "a/8",
                    "::/129",
                ],
            ),
            (
                is_hostname,
                &["portal.arsenal.com", "a-b.c"],
                &["localhost", "-a.com", "a..com", "a_b.com", "a.com/"],
            ),
            (
                |text| image(text).is_some(),
                &[
                    "data:image/png;base64,AAAA",
                    "data:image/svg+xml,AA==",
                    "data:image/ico,",
                ],
                &[
                    "data:image/bmp;base64,AAAA",
                    "data:image/png;base64,A",
                    "AAAA",
                ],
            ),
            (is_colour, &["#fff", "#A0b1C2"], &["fff", "#ffff", "#ggg"]),
            (is_uri, &["urn:a:b", "https://a.b"], &["a", "/a"]),
            (is_label_value, &["a", "a-1.b_c"], &["", "-a", "a-"]),
        ];
        for (form, good, bad) in cases {
            for text in good {
                assert!(form(text), "{text}");
            }
            for text in bad {
                assert!(!form(text), "{text}");
            }
        }
    }
}
