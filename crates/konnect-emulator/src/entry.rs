//! An audit entry apart from its format, and how it is written as CEF, JSON or CPS. Member names,
//! types and the order in CEF are those of Konnect's documentation; the signature is the last
//! member in each format.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    clock::{new_trace_id, parse_time, timestamp},
    signing::Signer,
};

/// The format that a destination asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Cef,
    Json,
    Cps,
}

impl Format {
    /// Reads a `log_format`; CEF is the schema's default.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "cps" => Self::Cps,
            _ => Self::Cef,
        }
    }
}

/// The members that the CEF header holds, so that they are no extensions.
const HEADER: [&str; 8] = [
    "cef_version",
    "event_class_id",
    "event_product",
    "event_ts",
    "event_vendor",
    "event_version",
    "name",
    "severity",
];

/// The order of extensions in CEF, by what the entry is about. Other members follow, before `sig`.
const AUTHENTICATION_ORDER: &[&str] = &[
    "rt",
    "src",
    "request",
    "success",
    "org_id",
    "portal_id",
    "principal_id",
    "trace_id",
    "user_agent",
];
const AUTHORIZATION_ORDER: &[&str] = &[
    "rt",
    "src",
    "action",
    "granted",
    "org_id",
    "principal_id",
    "actor_id",
    "trace_id",
    "user_agent",
];
const ACCESS_ORDER: &[&str] = &[
    "rt",
    "src",
    "request",
    "act",
    "status",
    "org_id",
    "principal_id",
    "user_agent",
    "trace_id",
    "query",
];

/// One audit entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// When it happened; replays select by it.
    pub(crate) at: DateTime<Utc>,
    members: Vec<(Cow<'static, str>, Value)>,
}

/// What every entry of a request shares.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) at: DateTime<Utc>,
    pub(crate) org_id: Uuid,
    pub(crate) src: String,
    pub(crate) user_agent: String,
    pub(crate) trace_id: u64,
}

/// How a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    NotFound,
    InvalidPassword,
    Disabled,
}

/// By what somebody signs in at a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    Password,
    Oidc,
    Saml,
}

impl Means {
    /// Returns the class of the entry and the path that it names: the portal's own host has no
    /// prefix.
    fn class_and_request(self) -> (&'static str, &'static str) {
        match self {
            Self::Password => (
                "AUTHENTICATION_TYPE_BASIC",
                "/api/v3/developer/authenticate",
            ),
            Self::Oidc => (
                "AUTHENTICATION_TYPE_SSO",
                "/api/v3/developer/authenticate/sso",
            ),
            Self::Saml => (
                "AUTHENTICATION_TYPE_SSO",
                "/api/v2/developer/authenticate/saml/acs",
            ),
        }
    }
}

impl Outcome {
    fn name_and_severity(self) -> (&'static str, u8) {
        match self {
            Self::Success => ("AUTHENTICATION_OUTCOME_SUCCESS", 0),
            Self::NotFound => ("AUTHENTICATION_OUTCOME_NOT_FOUND", 1),
            Self::InvalidPassword => ("AUTHENTICATION_OUTCOME_INVALID_PASSWORD", 1),
            Self::Disabled => ("AUTHENTICATION_OUTCOME_DISABLED", 6),
        }
    }
}

impl Entry {
    fn new(
        origin: &Origin,
        header: [&'static str; 3],
        severity: u8,
        extensions: Vec<(&'static str, Value)>,
    ) -> Self {
        let [product, class, name] = header;
        let mut members: Vec<(Cow<'static, str>, Value)> = Vec::with_capacity(20);
        let common = [
            ("cef_version", json!(0)),
            ("event_class_id", json!(class)),
            ("event_product", json!(product)),
            (
                "event_ts",
                json!(origin.at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            ),
            ("event_vendor", json!("KongInc")),
            ("event_version", json!("1.0")),
            ("name", json!(name)),
            ("severity", json!(severity)),
            ("rt", json!(origin.at.timestamp_millis().to_string())),
            ("src", json!(origin.src)),
            ("org_id", json!(origin.org_id)),
            ("trace_id", json!(origin.trace_id)),
            ("user_agent", json!(origin.user_agent)),
        ];
        members.extend(
            common
                .into_iter()
                .chain(extensions)
                .map(|(key, value)| (Cow::Borrowed(key), value)),
        );
        Self {
            at: origin.at,
            members,
        }
    }

    /// Makes the entry of a sign-in at a portal. `developer` is absent where nobody was found.
    pub(crate) fn sign_in(
        origin: &Origin,
        outcome: Outcome,
        portal: Uuid,
        developer: Option<Uuid>,
        means: Means,
    ) -> Self {
        let (name, severity) = outcome.name_and_severity();
        let (class, request) = means.class_and_request();
        let success = if outcome == Outcome::Success {
            "true"
        } else {
            "false"
        };
        let principal = developer.map(|id| id.to_string()).unwrap_or_default();
        let extensions = vec![
            ("request", json!(request)),
            ("success", json!(success)),
            ("portal_id", json!(portal)),
            ("principal_id", json!(principal)),
        ];
        Self::new(origin, ["Dev-Portal", class, name], severity, extensions)
    }

    /// Makes the entry of a permission check.
    pub(crate) fn authorization(
        origin: &Origin,
        name: &'static str,
        action: &str,
        principal: Uuid,
    ) -> Self {
        let extensions = vec![
            ("action", json!(action)),
            ("granted", json!(true)),
            ("principal_id", json!(principal)),
            ("actor_id", json!("")),
        ];
        Self::new(origin, ["Konnect", "konnect", name], 1, extensions)
    }

    /// Makes the entry of an API call.
    pub(crate) fn access(
        origin: &Origin,
        call: (&str, &str, u16),
        query: &Value,
        principal: Uuid,
    ) -> Self {
        let (method, path, status) = call;
        let severity = match status {
            401 | 403 => 6,
            500.. => 10,
            _ => 1,
        };
        let extensions = vec![
            ("request", json!(path)),
            ("act", json!(method)),
            ("status", json!(status)),
            ("principal_id", json!(principal)),
            ("query", json!(query.to_string())),
        ];
        Self::new(
            origin,
            ["Konnect", "KongGateway", "Ingress"],
            severity,
            extensions,
        )
    }

    /// Takes members as given (the control API's injection) and fills in what a header needs. The
    /// time is `rt` in milliseconds, else `event_ts`, else the origin's.
    pub(crate) fn injected(
        given: &Map<String, Value>,
        origin: &Origin,
        portal: Option<Uuid>,
    ) -> Self {
        let rt = given
            .get("rt")
            .and_then(|rt| rt.as_i64().or_else(|| rt.as_str()?.parse().ok()));
        let event_ts = given
            .get("event_ts")
            .and_then(Value::as_str)
            .and_then(parse_time);
        let at = rt
            .and_then(DateTime::from_timestamp_millis)
            .or(event_ts)
            .unwrap_or(origin.at);
        let origin = Origin {
            at,
            trace_id: new_trace_id(),
            ..origin.clone()
        };
        let product = if portal.is_some() {
            "Dev-Portal"
        } else {
            "Konnect"
        };
        let header = [
            product,
            "AUTHENTICATION_TYPE_BASIC",
            "AUTHENTICATION_OUTCOME_SUCCESS",
        ];
        let mut entry = Self::new(&origin, header, 0, Vec::new());
        if let Some(portal) = portal {
            entry
                .members
                .push((Cow::Borrowed("portal_id"), json!(portal)));
        }
        for (name, value) in given {
            match entry.members.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = value.clone(),
                None => entry
                    .members
                    .push((Cow::Owned(name.clone()), value.clone())),
            }
        }
        entry
    }

    /// Returns a member.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Returns a member as the text that CEF would show.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).map(plain).unwrap_or_default()
    }

    /// Returns what the entry is about, in the pull API's words.
    pub(crate) fn kind(&self) -> &'static str {
        let name = self.text("name");
        if name.starts_with("AUTHENTICATION_OUTCOME_") {
            "authentication"
        } else if name == "Ingress" {
            "gateway_access"
        } else {
            "authorization"
        }
    }

    /// Returns the time as the pull API prints it.
    pub(crate) fn ts(&self) -> String {
        timestamp(self.at)
    }

    /// Writes the entry on one line, signed if there is a signer.
    pub(crate) fn write(&self, format: Format, signer: Option<&Signer>) -> String {
        match format {
            Format::Cef => {
                let mut line = self.to_cef();
                if let Some(signer) = signer {
                    let signature = signer.sign(line.as_bytes());
                    line.push_str(" sig=");
                    line.push_str(&signature);
                }
                line
            }
            Format::Json => self.to_json(signer),
            Format::Cps => format!("{{\"event\":{}}}", self.to_json(signer)),
        }
    }

    /// Compact, members in alphabetical order, `sig` after all others.
    fn to_json(&self, signer: Option<&Signer>) -> String {
        let mut members: Vec<&(Cow<'static, str>, Value)> = self.members.iter().collect();
        members.sort_by(|left, right| left.0.cmp(&right.0));
        let body: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        let mut line = format!("{{{}}}", body.join(","));
        if let Some(signer) = signer {
            let signature = signer.sign(line.as_bytes());
            line.pop();
            line.extend([",\"sig\":\"", &signature, "\"}"]);
        }
        line
    }

    fn to_cef(&self) -> String {
        let name = self.text("name");
        let order = if name.starts_with("AUTHENTICATION_OUTCOME_") {
            AUTHENTICATION_ORDER
        } else if name == "Ingress" {
            ACCESS_ORDER
        } else {
            AUTHORIZATION_ORDER
        };
        let mut line = format!(
            "{} konghq.com CEF:{}|{}|{}|{}|{}|{}|{}|",
            self.text("event_ts"),
            self.text("cef_version"),
            self.text("event_vendor"),
            self.text("event_product"),
            self.text("event_version"),
            self.text("event_class_id"),
            name,
            self.text("severity"),
        );
        let ordered = order
            .iter()
            .filter_map(|name| self.get(name).map(|value| (*name, value)));
        let rest = self
            .members
            .iter()
            .map(|(name, value)| (name.as_ref(), value))
            .filter(|(name, _)| !order.contains(name) && !HEADER.contains(name));
        let extensions: Vec<String> = ordered
            .chain(rest)
            .map(|(name, value)| format!("{name}={}", plain(value)))
            .collect();
        line.push_str(&extensions.join(" "));
        line
    }
}

/// A value without quotes. Konnect documents no escaping, so only what would end the line is
/// replaced.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace(['\n', '\r'], " "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            at: DateTime::from_timestamp_millis(1_750_688_927_556).unwrap(),
            org_id: Uuid::nil(),
            src: "172.71.232.22".to_owned(),
            user_agent: String::new(),
            trace_id: 3_360_194_145_499_877_252,
        }
    }

    #[test]
    fn writes_a_sign_in_as_the_documentation_shows_it() {
        let entry = Entry::sign_in(
            &origin(),
            Outcome::Success,
            Uuid::max(),
            Some(Uuid::nil()),
            Means::Password,
        );
        assert_eq!(
            entry.write(Format::Cef, None),
            "2025-06-23T14:28:47Z konghq.com CEF:0|KongInc|Dev-Portal|1.0|AUTHENTICATION_TYPE_BASIC|\
             AUTHENTICATION_OUTCOME_SUCCESS|0|rt=1750688927556 src=172.71.232.22 \
             request=/api/v3/developer/authenticate success=true \
             org_id=00000000-0000-0000-0000-000000000000 \
             portal_id=ffffffff-ffff-ffff-ffff-ffffffffffff \
             principal_id=00000000-0000-0000-0000-000000000000 trace_id=3360194145499877252 user_agent="
        );
        assert_eq!(
            entry.write(Format::Cps, None),
            "{\"event\":{\"cef_version\":0,\"event_class_id\":\"AUTHENTICATION_TYPE_BASIC\",\
             \"event_product\":\"Dev-Portal\",\"event_ts\":\"2025-06-23T14:28:47Z\",\
             \"event_vendor\":\"KongInc\",\"event_version\":\"1.0\",\
             \"name\":\"AUTHENTICATION_OUTCOME_SUCCESS\",\
             \"org_id\":\"00000000-0000-0000-0000-000000000000\",\
             \"portal_id\":\"ffffffff-ffff-ffff-ffff-ffffffffffff\",\
             \"principal_id\":\"00000000-0000-0000-0000-000000000000\",\
             \"request\":\"/api/v3/developer/authenticate\",\"rt\":\"1750688927556\",\"severity\":0,\
             \"src\":\"172.71.232.22\",\"success\":\"true\",\"trace_id\":3360194145499877252,\
             \"user_agent\":\"\"}}"
        );
    }

    #[test]
    fn orders_the_extensions_of_an_api_call() {
        let entry = Entry::access(
            &origin(),
            ("POST", "/v3/portals", 201),
            &json!({}),
            Uuid::nil(),
        );
        let line = entry.write(Format::Cef, None);
        let keys: Vec<&str> = line
            .rsplit_once('|')
            .unwrap()
            .1
            .split(' ')
            .map(|pair| pair.split_once('=').unwrap().0)
            .collect();
        assert_eq!(keys, ACCESS_ORDER);
    }

    #[test]
    fn an_injected_entry_keeps_its_own_members_and_time() {
        let given = json!({"name": "Authz.usage", "rt": 1_682_715_129_807_i64, "odd": "a\nb", "severity": 6});
        let entry = Entry::injected(given.as_object().unwrap(), &origin(), None);
        assert_eq!(entry.at.timestamp_millis(), 1_682_715_129_807);
        let line = entry.write(Format::Cef, None);
        assert!(line.contains("|Authz.usage|6|rt=1682715129807 "), "{line}");
        assert!(line.ends_with(" odd=a b"), "{line}");
    }
}
