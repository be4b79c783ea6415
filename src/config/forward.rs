//! `forward`: the endpoints to which entries are sent on. No error shows a URL or a secret, only
//! which entry is wrong.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use url::Url;

use crate::config::secret::Secret;

/// One endpoint.
#[derive(Debug, Clone)]
pub struct ForwardConfig {
    /// Where entries are sent to; it names the endpoint, so a changed one is another endpoint.
    pub url: Url,
    /// Sent as `Authorization`, to the letter.
    pub authorization: Option<Secret>,
}

/// An endpoint as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    authorization: Option<Secret>,
}

/// Reads the whole list, since no two entries may be the same.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ForwardConfig>, D::Error> {
    let written = Vec::<Written>::deserialize(deserializer)?;
    let mut list: Vec<ForwardConfig> = Vec::with_capacity(written.len());
    for (index, entry) in written.into_iter().enumerate() {
        let wrong = |what: &str| D::Error::custom(format!("forward[{index}].{what}"));
        let url = read_url(&entry.url).map_err(|reason| wrong(&format!("url: {reason}")))?;
        if let Some(first) = list.iter().position(|known| known.url == url) {
            return Err(wrong(&format!("url: is that of forward[{first}] too")));
        }
        let authorization = entry.authorization;
        if authorization
            .as_ref()
            .is_some_and(|secret| !is_header_value(secret.expose()))
        {
            return Err(wrong(
                "authorization: has a character that no header can have, such as a line break",
            ));
        }
        list.push(ForwardConfig { url, authorization });
    }
    Ok(list)
}

fn read_url(text: &str) -> Result<Url, &'static str> {
    let url: Url = text
        .parse()
        .map_err(|_| "expected a URL such as \"https://siem.example/audit\"")?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return Err("expected a URL that begins with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a name or a password: set authorization instead");
    }
    if url.fragment().is_some() {
        return Err("ends in a fragment, which is never sent");
    }
    Ok(url)
}

fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
