//! From the public URL to the endpoint that Konnect posts to. Pure.

use std::net::IpAddr;

use url::{Host, Url};

/// Where Konnect is to deliver, and what should be known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// What the destination gets.
    pub(super) url: Url,
    /// What may be wrong with it.
    pub(super) warnings: Vec<String>,
}

/// Reads `--public-url`.
///
/// # Errors
/// Says what such a URL must not have.
pub(super) fn parse_public_url(text: &str) -> Result<Url, String> {
    let expected = "expected a URL with its scheme, such as https://usher.example.com";
    let url = Url::parse(text).map_err(|_| expected.to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(expected.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a name or a password: Konnect proves itself by `ingest.authorization`, leave them out".to_owned());
    }
    if url.query().is_some() {
        return Err("contains a query, which usher does not read: leave it out".to_owned());
    }
    if url.fragment().is_some() {
        return Err("ends in a fragment, which is never sent: leave it out".to_owned());
    }
    Ok(url)
}

/// The endpoint of a public URL: with a path of its own it is taken as it is, else it gets
/// `ingest_path`. `is_konnect` says whether the caller is Konnect itself, which is elsewhere.
pub(super) fn endpoint(public: &Url, ingest_path: &str, is_konnect: bool) -> Endpoint {
    let mut url = public.clone();
    let mut warnings = Vec::new();
    if url.path() == "/" {
        url.set_path(ingest_path);
    } else if url.path() != ingest_path {
        warnings.push(format!(
            "{url} is taken as it is: what is before usher must lead its path to {ingest_path} (ingest.path)"
        ));
    }
    if url.scheme() == "http" {
        warnings.push(format!(
            "{url} is not https: Konnect would send the authorization and all entries in the clear"
        ));
    }
    if is_konnect && is_private(&url) {
        warnings.push(format!(
            "{url} is no public address: Konnect cannot reach it"
        ));
    }
    Endpoint { url, warnings }
}

/// Whether nobody outside can reach the host.
fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => is_private_address(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private_address(IpAddr::V6(address)),
        None => false,
    }
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unspecified() || address.is_unique_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_gets_the_path_of_the_configuration() {
        for (public, expected, warnings) in [
            ("https://u.example", "https://u.example/audit-logs", 0),
            ("https://u.example/", "https://u.example/audit-logs", 0),
            (
                "https://u.example:8443",
                "https://u.example:8443/audit-logs",
                0,
            ),
            (
                "https://u.example/audit-logs",
                "https://u.example/audit-logs",
                0,
            ),
            (
                "https://u.example/hooks/usher",
                "https://u.example/hooks/usher",
                1,
            ),
            ("http://u.example", "http://u.example/audit-logs", 1),
            ("https://10.1.2.3", "https://10.1.2.3/audit-logs", 1),
            ("http://localhost:8088/x", "http://localhost:8088/x", 3),
            ("https://[::1]", "https://[::1]/audit-logs", 1),
        ] {
            let public = parse_public_url(public).unwrap();
            let found = endpoint(&public, "/audit-logs", true);
            assert_eq!(found.url.as_str(), expected);
            assert_eq!(found.warnings.len(), warnings, "{:?}", found.warnings);
        }
        let local = parse_public_url("https://127.0.0.1").unwrap();
        assert!(endpoint(&local, "/x", false).warnings.is_empty());
    }

    #[test]
    fn refuses_what_no_endpoint_can_have() {
        for (text, expected) in [
            ("usher.example", "expected a URL"),
            ("ftp://u.example", "expected a URL"),
            ("https://", "expected a URL"),
            ("https://a:b@u.example", "a name or a password"),
            ("https://a@u.example", "a name or a password"),
            ("https://u.example/x?token=s3cret", "a query"),
            ("https://u.example/#x", "a fragment"),
        ] {
            let told = parse_public_url(text).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
            assert!(!told.contains("s3cret"));
        }
    }
}
