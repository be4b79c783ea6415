//! Faults by rule: which calls of the API go wrong, and how. It decides; the gateway carries out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One rule. The first rule that fits a call is used; `times` counts down and a rule at zero is out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The method; any if absent.
    pub method: Option<String>,
    /// A prefix of the path, or a pattern in which `*` stands for anything; any path if empty.
    pub path: String,
    /// The status to answer with; without it (and without `cut`) the call only takes `latency_ms`.
    pub status: Option<u16>,
    /// The body: text is sent as it is, anything else as JSON. Without it the gateway's 429 or a problem is sent.
    pub body: Option<Value>,
    /// Headers to add, such as `Retry-After`.
    pub headers: BTreeMap<String, String>,
    /// How long the call waits first, in milliseconds.
    pub latency_ms: u64,
    /// How many calls the rule holds for; all if absent.
    pub times: Option<u64>,
    /// Cuts the connection instead of answering.
    pub cut: bool,
    /// Lets the call take effect before its answer is lost to `status` or `cut`.
    pub after: bool,
}

impl Fault {
    fn fits(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self
                .method
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && path_fits(&self.path, path)
    }

    /// Returns whether the rule replaces the answer.
    pub(crate) fn replaces_answer(&self) -> bool {
        self.cut || self.status.is_some()
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds rules after those in force.
    pub(crate) fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.0.extend(faults);
    }

    /// Removes all rules.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the rules with what is left of their `times`.
    pub(crate) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// Takes the fault of a call, counting it.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let fault = self.0.iter_mut().find(|fault| fault.fits(method, path))?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.clone())
    }
}

/// Matches a path against a prefix, or against a pattern if it holds a `*`.
pub(crate) fn path_fits(pattern: &str, path: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else {
        return path.starts_with(pattern);
    };
    let Some(mut left) = path.strip_prefix(head) else {
        return false;
    };
    while let Some((part, tail)) = rest.split_once('*') {
        let Some(found) = left.find(part) else {
            return false;
        };
        left = &left[found + part.len()..];
        rest = tail;
    }
    left.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_prefixes_and_patterns() {
        let cases = [
            ("", "/v3/portals", true),
            ("/v3", "/v3/portals", true),
            ("/v3/x", "/v3/portals", false),
            ("/v3/portals/*/developers", "/v3/portals/1/developers", true),
            (
                "/v3/portals/*/developers",
                "/v3/portals/1/developers/2",
                false,
            ),
            (
                "/v3/portals/*/developers*",
                "/v3/portals/1/developers/2",
                true,
            ),
            (
                "*teams*developers",
                "/v3/portals/1/teams/2/developers",
                true,
            ),
            ("*teams*roles", "/v3/portals/1/teams/2/developers", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(path_fits(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn counts_down_and_moves_on_to_the_next_rule() {
        let mut faults = Faults::default();
        faults.add([
            Fault {
                status: Some(429),
                times: Some(2),
                ..Fault::default()
            },
            Fault {
                status: Some(500),
                method: Some("get".to_owned()),
                ..Fault::default()
            },
        ]);
        let statuses: Vec<_> = (0..4)
            .map(|_| {
                faults
                    .take("GET", "/v3/portals")
                    .and_then(|fault| fault.status)
            })
            .collect();
        assert_eq!(statuses, [Some(429), Some(429), Some(500), Some(500)]);
        assert!(faults.take("POST", "/v3/portals").is_none());
    }
}
