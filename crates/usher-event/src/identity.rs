//! Decides the id of an event from its content, so that it needs no delivery id: retries, replays,
//! another format, a rotated key, all give the same id. Changing anything here orphans every stored
//! id.
//!
//! # The algorithm, version 1
//!
//! 1. Take these members in this order: `event_product`, `name`, `event_class_id`, `org_id`,
//!    `portal_id`, `principal_id`, `actor_id`, `trace_id`, `rt`, `src`, `request`, `query`, `act`,
//!    `status`, `action`, `granted`, `success`. All others, `sig` and `user_agent` among them, are
//!    ignored.
//! 2. Write each as text: a string is what it says, its escapes undone (U+FFFD for an escaped
//!    surrogate without its other half); a number, `true`, `false` is its JSON token as sent; an
//!    object or array is its JSON text without white space between tokens; `null` and an absent
//!    member are the empty text. Cut space, tab, CR and LF off both ends.
//! 3. `event_product`: ASCII letters to lower case. `rt`: its shortest decimal form if it is an
//!    optional minus and ASCII digits that fit 64 bits signed, else the empty text.
//! 4. An own event (`event_product` is `usher`, `object` and `revision` are both there and not
//!    empty) has the list `event_product`, `object`, `revision` instead.
//! 5. H = SHA-256 over the tag `usher-event-id/1` and then each text, each of them (the tag too)
//!    preceded by its length in bytes of UTF-8 as 4 bytes, big-endian.
//! 6. The id is the `UUIDv8` (RFC 9562, section 5.8) of 16 bytes: first the event's time, whole
//!    seconds × 1000 since 1970, clamped to 0..2^48-1, as 6 bytes big-endian (0 if unknown); then
//!    the first 10 bytes of H; then version 8 and the variant are set over bits 48–51 and 64–65.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::id::EventId;
use crate::kind::OWN_PRODUCT;
use crate::members::Members;

/// The version of the list of members and of how they are hashed.
pub const IDENTITY_VERSION: u8 = 1;

/// Keeps hashes of different versions apart.
const TAG: &str = "usher-event-id/1";

/// The largest time that 48 bits can hold.
const MAX_TIME: i64 = (1 << 48) - 1;

/// The members that identify one of Konnect's events.
const HASHED: [&str; 17] = [
    "event_product",
    "name",
    "event_class_id",
    "org_id",
    "portal_id",
    "principal_id",
    "actor_id",
    "trace_id",
    "rt",
    "src",
    "request",
    "query",
    "act",
    "status",
    "action",
    "granted",
    "success",
];

/// The members that identify an own event: the directory's own counter.
const HASHED_OWN: [&str; 3] = ["event_product", "object", "revision"];

/// Computes the id of an event from its time (the epoch if unknown) and its members.
pub fn event_id(event_ts: DateTime<Utc>, members: &Members) -> EventId {
    let own = hashed_text(members, "event_product") == OWN_PRODUCT
        && HASHED_OWN
            .iter()
            .all(|name| !hashed_text(members, name).is_empty());
    let names: &[&str] = if own { &HASHED_OWN } else { &HASHED };
    id(
        event_ts,
        names.iter().map(|name| hashed_text(members, name)),
    )
}

/// Computes the id of the own event that reports a revision of an object, from the time of the
/// report.
pub fn own_event_id(reported_at: DateTime<Utc>, object: &str, revision: i64) -> EventId {
    let texts = [OWN_PRODUCT, object, &revision.to_string()];
    id(reported_at, texts.map(Cow::Borrowed))
}

fn id<'a>(event_ts: DateTime<Utc>, texts: impl IntoIterator<Item = Cow<'a, str>>) -> EventId {
    let mut hasher = Sha256::new();
    update(&mut hasher, TAG);
    for text in texts {
        update(&mut hasher, &text);
    }
    let time = event_ts
        .timestamp()
        .saturating_mul(1000)
        .clamp(0, MAX_TIME)
        .to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time[2..]);
    bytes[6..].copy_from_slice(&hasher.finalize()[..10]);
    EventId::from_uuid(Builder::from_custom_bytes(bytes).into_uuid())
}

/// Feeds a text with its length, so that no text can pass for the end of one and the start of the
/// next.
fn update(hasher: &mut Sha256, text: &str) {
    let length = u32::try_from(text.len()).expect("no line of an entry is 4 GiB long");
    hasher.update(length.to_be_bytes());
    hasher.update(text.as_bytes());
}

/// Reads a member as the text that is hashed (steps 2 and 3 of the algorithm).
fn hashed_text<'a>(members: &'a Members, name: &str) -> Cow<'a, str> {
    let text = match name {
        "rt" => {
            return members
                .integer("rt")
                .map(|rt| rt.to_string().into())
                .unwrap_or_default();
        }
        _ => members.text(name).unwrap_or_default(),
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    };
    if name == "event_product" {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use crate::{IDENTITY_VERSION, parse};

    /// Golden vectors, computed by an implementation in another language from the text above.
    const GOLDEN: [(&str, &str); 7] = [
        (
            r#"{"event_product":"Dev-Portal","event_class_id":"AUTHENTICATION_TYPE_BASIC","event_ts":"2025-06-23T14:28:47Z","name":"AUTHENTICATION_OUTCOME_SUCCESS","org_id":"998db3e4-5cb7-4dd5-b51c-9878096a6999","portal_id":"3e551b39-227d-4297-b911-e68fd5d77c17","principal_id":"a3d2699a-0ed3-4417-bb10-d8e74a1513a4","request":"/api/v2/developer/authenticate","rt":"1750688927556","src":"172.71.232.22","success":"true","trace_id":3360194145499877252}"#,
            "01979d31-0d18-883b-b82d-24e54476b5e1",
        ),
        (
            r#"{"name":"Ingress"}"#,
            "00000000-0000-8b73-88e8-3847eabb26f8",
        ),
        (
            r#"{"name":"Ingress","event_ts":"1960-01-01T00:00:00Z"}"#,
            "00000000-0000-8b73-88e8-3847eabb26f8",
        ),
        (
            r#"{"name":"Ingress","rt":"99999999999999999999"}"#,
            "00000000-0000-8b73-88e8-3847eabb26f8",
        ),
        (
            r#"{"name":" Z\u00fcrich\t","event_product":"KONNECT Ä","status":200,"granted":false,"success":true,"query":{ "a" : [1, "x y"] },"rt":"007","actor_id":null,"event_ts":"9999-12-31T23:59:59Z","src":"\ud800\u0000"}"#,
            "e677d21f-d818-80cb-b7df-b4e87cddf938",
        ),
        (
            r#"{"name":"developer.signed_up","event_product":"usher","object":"developer:1","revision":7,"event_ts":"2025-06-23T14:28:47Z"}"#,
            "01979d31-0d18-8fc9-8349-35333cb41774",
        ),
        (
            r#"{"name":"developer.signed_up","event_product":"usher","object":"developer:1","event_ts":"2025-06-23T14:28:47Z"}"#,
            "01979d31-0d18-89c4-b114-9ae00f05bf23",
        ),
    ];

    #[test]
    fn golden_vectors_of_version_1_hold() {
        assert_eq!(IDENTITY_VERSION, 1);
        for (line, id) in GOLDEN {
            assert_eq!(parse(line.as_bytes()).unwrap().id.to_string(), id, "{line}");
        }
    }

    #[test]
    fn every_listed_member_counts_and_no_other() {
        let id = |member: &str| {
            parse(format!(r#"{{"name":"n"{member}}}"#).as_bytes())
                .unwrap()
                .id
        };
        let plain = id("");
        let mut seen = vec![plain];
        for name in super::HASHED.iter().filter(|name| **name != "name") {
            let with = id(&format!(r#","{name}":"5""#));
            assert!(!seen.contains(&with), "{name}");
            assert_eq!(id(&format!(r#","{name}":5"#)), with, "{name}");
            assert_eq!(id(&format!(r#","{name}":"""#)), plain, "{name}");
            assert_eq!(id(&format!(r#","{name}":null"#)), plain, "{name}");
            seen.push(with);
        }
        for name in [
            "sig",
            "user_agent",
            "severity",
            "cef_version",
            "event_vendor",
            "new",
            "object",
        ] {
            assert_eq!(id(&format!(r#","{name}":"5""#)), plain, "{name}");
        }
    }

    #[test]
    fn ids_sort_by_second_and_are_of_version_8() {
        let id = |second: u32| {
            parse(format!(r#"{{"name":"n","event_ts":"2025-06-23T14:28:{second}Z"}}"#).as_bytes())
                .unwrap()
                .id
        };
        assert!((10..59).map(id).is_sorted_by(|a, b| a < b));
        assert_eq!(id(10).as_uuid().get_version_num(), 8);
        assert_eq!(id(10).as_uuid().get_variant(), uuid::Variant::RFC4122);
    }
}
