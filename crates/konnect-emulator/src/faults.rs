//! Faults by rule: which calls of the API go wrong, and how. It decides; the gateway carries out.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use axum::http::{HeaderName, HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock;

/// One rule. The first rule that fits a call is used; `times` counts down and a rule at zero is
/// out.
///
/// `status`, `limit` and `cut` replace the answer; `broken` and `cut_after` spoil the real one,
/// after the call took effect; `stale_reads` and `stale_ms` let it be, and hide what it created.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The method; any if absent.
    pub method: Option<String>,
    /// A prefix of the path, or a pattern in which `*` stands for anything; any path if empty.
    pub path: String,
    /// The status to answer with; without it (and without `cut`) the call only takes `latency_ms`.
    pub status: Option<u16>,
    /// Lets so many calls through, and refuses the others: with 429, unless `status` says
    /// otherwise. A call that is let through meets the next rule that fits, and does not count.
    pub limit: Option<RateLimit>,
    /// The body: text is sent as it is, anything else as JSON. Without it the gateway's 429 or a
    /// problem is sent.
    pub body: Option<Value>,
    /// Headers to add, such as `Retry-After`.
    pub headers: BTreeMap<String, String>,
    /// How long the call waits first, in milliseconds.
    pub latency_ms: u64,
    /// How many calls the rule holds for; all if absent.
    pub times: Option<u64>,
    /// Of the calls that fit, how many the rule holds for: 0.2 is every fifth by chance. All if
    /// absent. A call that is spared meets the next rule that fits, and does not count.
    pub share: Option<f64>,
    /// Cuts the connection instead of answering.
    pub cut: bool,
    /// Cuts the connection after so many bytes of the real answer's body.
    pub cut_after: Option<usize>,
    /// Sends the first half of the real answer's body as if it were all: JSON that breaks off, with
    /// the real status.
    pub broken: bool,
    /// What the call creates is not found by its id for so many calls.
    pub stale_reads: Option<u64>,
    /// What the call creates is not found by its id for so many milliseconds; together with
    /// `stale_reads`, until either is over.
    pub stale_ms: Option<u64>,
    /// Lets the call take effect before its answer is lost to `status` or `cut`.
    pub after: bool,
}

/// How many calls a rule lets through in a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many calls of a window are let through.
    pub calls: u64,
    /// How long a window is, in milliseconds by the emulator's clock; it begins with a call.
    pub per_ms: u64,
    /// Whether a refusal says in `Retry-After` how many seconds are left of the window, rounded
    /// up.
    #[serde(default = "yes")]
    pub retry_after: bool,
}

fn yes() -> bool {
    true
}

impl Fault {
    /// Returns what is wrong with a rule.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self
            .share
            .is_some_and(|share| !(0.0..=1.0).contains(&share))
        {
            return Err("share is between 0 and 1".to_owned());
        }
        if self.times == Some(0) {
            return Err("times is at least 1; leave it out for a rule without end".to_owned());
        }
        let is_status = |status: u16| (200..=599).contains(&status);
        if self.status.is_some_and(|status| !is_status(status)) {
            return Err("status is between 200 and 599".to_owned());
        }
        let longest = 7 * 24 * 60 * 60 * 1_000;
        if let Some(limit) = &self.limit
            && !(1..=longest).contains(&limit.per_ms)
        {
            return Err("per_ms is between 1 and the milliseconds of a week".to_owned());
        }
        let is_header = |(name, value): (&String, &String)| {
            HeaderName::try_from(name.as_str()).is_ok()
                && HeaderValue::try_from(value.as_str()).is_ok()
        };
        match self.headers.iter().find(|header| !is_header(*header)) {
            Some((name, _)) => Err(format!("`{name}` is no header with a value")),
            None => Ok(()),
        }
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self.share.is_none_or(|share| clock::chance() < share)
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

    /// Returns whether what the call creates is hidden for a while.
    pub(crate) fn hides(&self) -> bool {
        self.stale_reads.is_some() || self.stale_ms.is_some()
    }
}

/// The rules in force, and what they hide.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    rules: Vec<InForce>,
    hidden: HashMap<String, Hidden>,
}

/// A rule with the window of its limit.
#[derive(Debug, Clone)]
struct InForce {
    fault: Fault,
    window: Option<Window>,
}

/// Since when calls are counted, and how many there were.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: DateTime<Utc>,
    calls: u64,
}

impl InForce {
    /// Returns what becomes of a call that fits: nothing where a limit lets it through.
    fn meet(&mut self, now: DateTime<Utc>) -> Option<Fault> {
        let mut fault = self.fault.clone();
        if let Some(limit) = &self.fault.limit {
            let length = TimeDelta::milliseconds(i64::try_from(limit.per_ms).unwrap_or(i64::MAX));
            let is_open =
                |window: &Window| (TimeDelta::zero()..length).contains(&(now - window.since));
            let fresh = Window {
                since: now,
                calls: 0,
            };
            let mut window = self.window.filter(is_open).unwrap_or(fresh);
            window.calls += 1;
            self.window = Some(window);
            if window.calls <= limit.calls {
                return None;
            }
            fault.status.get_or_insert(429);
            if limit.retry_after {
                let left = (length - (now - window.since)).num_milliseconds();
                let seconds = (left + 999) / 1_000;
                fault
                    .headers
                    .insert("Retry-After".to_owned(), seconds.to_string());
            }
        }
        if let Some(times) = &mut self.fault.times {
            *times -= 1;
        }
        Some(fault)
    }
}

/// Something that was created and is not found yet.
#[derive(Debug, Clone)]
struct Hidden {
    reads: Option<u64>,
    until: Option<Instant>,
}

impl Faults {
    /// Adds rules after those in force.
    pub(crate) fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter();
        self.rules.extend(faults.map(|fault| InForce {
            fault,
            window: None,
        }));
    }

    /// Removes all rules, and shows what they hid.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.hidden.clear();
    }

    /// Returns the rules with what is left of their `times`.
    pub(crate) fn all(&self) -> Vec<&Fault> {
        self.rules.iter().map(|rule| &rule.fault).collect()
    }

    /// Takes the fault of a call, counting it.
    pub(crate) fn take(&mut self, method: &str, path: &str, now: DateTime<Utc>) -> Option<Fault> {
        self.rules
            .iter_mut()
            .filter(|rule| rule.fault.fits(method, path))
            .find_map(|rule| rule.meet(now))
    }

    /// Hides what a call created as its fault asks for.
    pub(crate) fn hide(&mut self, fault: &Fault, id: &str) {
        let until = fault.stale_ms.map(Duration::from_millis);
        let hidden = Hidden {
            reads: fault.stale_reads,
            until: until.map(|age| Instant::now() + age),
        };
        self.hidden.insert(id.to_owned(), hidden);
    }

    /// Returns whether a path names something hidden, counting the call.
    pub(crate) fn hides(&mut self, path: &str) -> bool {
        if self.hidden.is_empty() {
            return false;
        }
        let Some(id) = path.split('/').find(|part| self.hidden.contains_key(*part)) else {
            return false;
        };
        let Some(hidden) = self.hidden.get_mut(id) else {
            return false;
        };
        let is_over =
            hidden.reads == Some(0) || hidden.until.is_some_and(|until| Instant::now() >= until);
        if is_over {
            self.hidden.remove(id);
            return false;
        }
        if let Some(reads) = &mut hidden.reads {
            *reads -= 1;
        }
        true
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

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    #[test]
    fn a_limit_refuses_what_is_too_much_for_a_window_and_says_when_it_ends() {
        let mut faults = Faults::default();
        let limited = Fault {
            limit: Some(RateLimit {
                calls: 2,
                per_ms: 2_500,
                retry_after: true,
            }),
            times: Some(3),
            ..Fault::default()
        };
        let next = Fault {
            latency_ms: 1,
            ..Fault::default()
        };
        faults.add([limited, next]);
        // Two windows, the second from 2500 ms on; then the clock was moved back.
        let cases = [
            (0, None),
            (0, None),
            (0, Some("3")),
            (1_600, Some("1")),
            (2_500, None),
            (2_600, None),
            (100, None),
            (100, None),
            (100, Some("3")),
            (100, None),
        ];
        for (number, (millis, expected)) in cases.into_iter().enumerate() {
            let at = now() + TimeDelta::milliseconds(millis);
            let met = faults.take("GET", "/v3", at).unwrap();
            let told = met.headers.get("Retry-After").map(String::as_str);
            assert_eq!(told, expected, "call {number}");
            let status = expected.map(|_| 429);
            assert_eq!(met.status, status, "call {number}");
        }
    }

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
                    .take("GET", "/v3/portals", now())
                    .and_then(|fault| fault.status)
            })
            .collect();
        assert_eq!(statuses, [Some(429), Some(429), Some(500), Some(500)]);
        assert!(faults.take("POST", "/v3/portals", now()).is_none());
    }

    #[test]
    fn a_share_of_the_calls_is_about_that_share() {
        let mut faults = Faults::default();
        faults.add([Fault {
            share: Some(0.25),
            ..Fault::default()
        }]);
        let taken = (0..4_000).filter(|_| faults.take("GET", "/v3", now()).is_some());
        let taken = taken.count();
        assert!((700..1_300).contains(&taken), "{taken} of 4000");
        for (share, expected) in [(0.0, 0), (1.0, 100)] {
            faults.clear();
            faults.add([Fault {
                share: Some(share),
                ..Fault::default()
            }]);
            let taken = (0..100).filter(|_| faults.take("GET", "/v3", now()).is_some());
            assert_eq!(taken.count(), expected);
        }
    }

    #[test]
    fn what_is_hidden_shows_after_its_calls_or_its_time() {
        let mut faults = Faults::default();
        let twice = Fault {
            stale_reads: Some(2),
            ..Fault::default()
        };
        faults.hide(&twice, "a");
        let at_once = Fault {
            stale_ms: Some(0),
            ..Fault::default()
        };
        faults.hide(&at_once, "b");
        let found = ["/v3/a", "/v3/a/teams", "/v3/a", "/v3/b", "/v3/c"];
        let hidden = found.map(|path| faults.hides(path));
        assert_eq!(hidden, [true, true, false, false, false]);
    }
}
