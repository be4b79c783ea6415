//! `hooks`: the trusted senders, besides Konnect. Checks every entry when it is read, so that a
//! sender that could never sign is found at start.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::config::secret::Secret;

/// The prefix of secrets of Standard Webhooks.
const PREFIX: &str = "whsec_";
/// Bytes of a key that the same specification allows.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// A name is in every event and log line of its sender.
const NAME_BYTES: usize = 64;

/// `hooks`: trusted senders of custom events.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HooksConfig {
    /// The senders; without any, usher takes no custom events.
    #[serde(deserialize_with = "senders")]
    pub senders: Vec<HookSender>,
}

/// One trusted sender.
#[derive(Debug, Clone)]
pub struct HookSender {
    /// Is in events and logs; unique.
    pub name: String,
    /// Signs what the sender sends, and so identifies the sender; unique.
    pub secret: HookSecret,
    /// The types that it may send; without them all.
    pub types: Option<Vec<TypePattern>>,
    /// The portals that its events may be about; without them all.
    pub portals: Option<Vec<Uuid>>,
}

impl HookSender {
    /// Whether it may send an event of this type.
    pub fn may_send(&self, event_type: &str) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.iter().any(|pattern| pattern.fits(event_type)))
    }

    /// Whether its events may be about this portal.
    pub fn may_speak_of(&self, portal: Uuid) -> bool {
        self.portals
            .as_ref()
            .is_none_or(|portals| portals.contains(&portal))
    }
}

/// The key behind `whsec_…`. Never shown.
#[derive(Clone)]
pub struct HookSecret(SecretSlice<u8>);

impl HookSecret {
    /// Reads `whsec_` and base64.
    pub fn parse(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        KEY_BYTES.contains(&key.len()).then(|| Self(key.into()))
    }

    /// The key itself, for the one place that signs with it.
    pub fn key(&self) -> &[u8] {
        self.0.expose_secret()
    }

    fn is(&self, other: &Self) -> bool {
        self.key().ct_eq(other.key()).into()
    }
}

impl std::fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A type of event, to the letter, or all types with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypePattern {
    /// This type.
    Exact(String),
    /// Written with `*` at its end.
    Prefix(String),
}

impl TypePattern {
    fn read(text: &str) -> Option<Self> {
        let (start, pattern) = match text.strip_suffix('*') {
            Some(start) => (start, Self::Prefix(start.to_owned())),
            None if text.is_empty() => return None,
            None => (text, Self::Exact(text.to_owned())),
        };
        let plain = start.chars().all(|c| c.is_ascii_graphic() && c != '*');
        plain.then_some(pattern)
    }

    fn fits(&self, event_type: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == event_type,
            Self::Prefix(start) => event_type.starts_with(start),
        }
    }
}

/// A sender as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    secret: Secret,
    types: Option<Vec<String>>,
    portals: Option<Vec<Uuid>>,
}

fn senders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HookSender>, D::Error> {
    let written = Vec::<Written>::deserialize(deserializer)?;
    let mut senders: Vec<HookSender> = Vec::new();
    for (index, one) in written.into_iter().enumerate() {
        let sender = sender(one, &senders).map_err(|(key, reason)| {
            D::Error::custom(format!("senders[{index}].{key}: {reason}"))
        })?;
        senders.push(sender);
    }
    Ok(senders)
}

/// Checks one entry against itself and those before it; an error is the wrong key and the reason.
fn sender(one: Written, before: &[HookSender]) -> Result<HookSender, (&'static str, String)> {
    let Written {
        name,
        secret,
        types,
        portals,
    } = one;
    let is_plain = name.chars().all(|c| c.is_ascii_graphic());
    if name.is_empty() || name.len() > NAME_BYTES || !is_plain {
        let reason = format!("expected 1 to {NAME_BYTES} plain characters without spaces");
        return Err(("name", reason));
    }
    if before.iter().any(|other| other.name == name) {
        return Err(("name", format!("{name} is the name of another sender too")));
    }
    let Some(secret) = HookSecret::parse(secret.expose()) else {
        let reason = format!(
            "expected {PREFIX} and the base64 of {} to {} bytes, such as: echo \"{PREFIX}$(openssl rand -base64 32)\"",
            KEY_BYTES.start(),
            KEY_BYTES.end()
        );
        return Err(("secret", reason));
    };
    if let Some(other) = before.iter().find(|other| other.secret.is(&secret)) {
        let reason = format!(
            "it is that of {} too: it must identify the sender",
            other.name
        );
        return Err(("secret", reason));
    }
    Ok(HookSender {
        types: types.map(|types| patterns(&types)).transpose()?,
        portals: portals.map(some_portals).transpose()?,
        name,
        secret,
    })
}

fn patterns(written: &[String]) -> Result<Vec<TypePattern>, (&'static str, String)> {
    if written.is_empty() {
        return Err((
            "types",
            "it allows none; leave it out to allow all".to_owned(),
        ));
    }
    let read = |text: &String| {
        TypePattern::read(text).ok_or_else(|| {
            let reason =
                format!("{text:?} is neither a type nor the start of one with * at its end");
            ("types", reason)
        })
    };
    written.iter().map(read).collect()
}

fn some_portals(portals: Vec<Uuid>) -> Result<Vec<Uuid>, (&'static str, String)> {
    let distinct: BTreeSet<Uuid> = portals.into_iter().collect();
    if distinct.is_empty() {
        return Err((
            "portals",
            "it allows none; leave it out to allow all".to_owned(),
        ));
    }
    Ok(distinct.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::{HookSecret, HooksConfig, TypePattern};

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn read(text: &str) -> Result<HooksConfig, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn says_which_sender_is_wrong_and_in_what() {
        let other = SECRET.replace("MDEy", "MDEz");
        let first = format!("{{name = 'hr', secret = '{SECRET}'}}");
        for (second, expected) in [
            (
                format!("{{name = 'hr', secret = '{other}'}}"),
                "senders[1].name: hr is the name of another",
            ),
            (
                format!("{{name = '', secret = '{other}'}}"),
                "senders[1].name: expected 1 to 64",
            ),
            (
                format!("{{name = 'a b', secret = '{other}'}}"),
                "senders[1].name: expected 1 to 64",
            ),
            (
                format!("{{name = 'idm', secret = '{SECRET}'}}"),
                "senders[1].secret: it is that of hr too",
            ),
            (
                "{name = 'idm', secret = 'hunter2'}".to_owned(),
                "senders[1].secret: expected whsec_",
            ),
            (
                "{name = 'idm', secret = 'whsec_c2hvcnQ='}".to_owned(),
                "senders[1].secret: expected whsec_",
            ),
            (
                "{name = 'idm', secret = 'whsec_?'}".to_owned(),
                "senders[1].secret: expected whsec_",
            ),
            (
                format!("{{name = 'idm', secret = '{other}', types = []}}"),
                "senders[1].types: it allows none",
            ),
            (
                format!("{{name = 'idm', secret = '{other}', types = ['a*b']}}"),
                "senders[1].types: \"a*b\" is neither",
            ),
            (
                format!("{{name = 'idm', secret = '{other}', portals = []}}"),
                "senders[1].portals: it allows none",
            ),
            (
                format!("{{name = 'idm', secret = '{other}', role = 'x'}}"),
                "unknown field `role`",
            ),
        ] {
            let told = read(&format!("senders = [{first}, {second}]")).expect_err(&second);
            assert!(told.starts_with(expected), "{second}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        let config = read(&format!("senders = [{first}]")).expect("one sender");
        assert_eq!(
            config.senders[0].secret.key(),
            b"0123456789abcdef0123456789abcdef"
        );
        assert!(!format!("{config:?}").contains("MDEy"));
    }

    #[test]
    fn a_type_is_exact_or_a_start() {
        for (pattern, event_type, fits) in [
            ("com.example.joined", "com.example.joined", true),
            ("com.example.joined", "com.example.joined.late", false),
            ("com.example.*", "com.example.joined", true),
            ("com.example.*", "com.example", false),
            ("*", "anything", true),
        ] {
            let pattern = TypePattern::read(pattern).expect("a pattern");
            assert_eq!(pattern.fits(event_type), fits, "{pattern:?} {event_type}");
        }
    }

    #[test]
    fn a_key_has_the_length_that_the_specification_asks_for() {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        for (bytes, good) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(HookSecret::parse(&text).is_some(), good, "{bytes}");
        }
    }
}
