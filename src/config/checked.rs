//! Values that are checked while the configuration is read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use uuid::Uuid;

use crate::config::secret::Secret;

/// Settings of librdkafka; any of them may be `file:PATH`.
pub(super) fn options<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Secret>, D::Error> {
    BTreeMap::<String, String>::deserialize(deserializer)?
        .into_iter()
        .map(|(name, value)| match Secret::read(value) {
            Ok(value) => Ok((name, value)),
            Err(reason) => Err(D::Error::custom(format!("{name}: {reason}"))),
        })
        .collect()
}

/// A path of its own that the router takes to the letter.
pub(super) fn webhook_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let taken = [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/v1/events",
        "/sign-in",
        "/sign-out",
    ];
    // Pages of the console, and what they load.
    let pages = [
        "api",
        "assets",
        "events",
        "people",
        "applications",
        "approvals",
        "rules",
        "actions",
        "deliveries",
        "quarantine",
        "coverage",
        "replay",
        "reports",
        "settings",
        "pause",
        "resume",
        "vetoes",
    ];
    let first = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    if path.starts_with('/')
        && path.chars().all(plain)
        && !taken.contains(&path.as_str())
        && !pages.contains(&first)
    {
        return Ok(path);
    }
    Err(D::Error::custom(
        "expected a path of its own such as \"/audit-logs\", outside /api and the pages of the console",
    ))
}

/// Addresses, and networks such as `10.0.0.0/8`.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let expected = "expected addresses and networks such as \"10.0.0.0/8\"";
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|text| {
            let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
            let network = text.parse::<IpNet>().ok().or_else(address);
            network.ok_or_else(|| D::Error::custom(expected))
        })
        .collect()
}

/// Portals by id: an empty list would allow nothing, and was meant otherwise.
pub(super) fn some_portals<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Uuid>>, D::Error> {
    let portals = Vec::<Uuid>::deserialize(deserializer)?;
    if portals.is_empty() {
        return Err(D::Error::custom(
            "portals allows none; leave it out to allow all",
        ));
    }
    Ok(Some(portals))
}

/// A level, or a filter of `tracing-subscriber`.
pub(super) fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    tracing_subscriber::EnvFilter::try_new(&text)
        .map(|_| text)
        .map_err(|_| D::Error::custom("expected a level such as \"info\" or a log filter"))
}
