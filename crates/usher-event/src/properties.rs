//! Properties that are true across formats: one event has one identity in every form, and the
//! signed bytes are found again wherever the signature was put. Tests only.

use ed25519_dalek::{Signer, SigningKey};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::signature::{Scope, Signed, locate};
use crate::{AuditEvent, parse, render};

/// White space as JSON has it between tokens.
const SPACE: &str = r"[ \t]{0,2}";

/// An event as text: product, name, class, and extensions in an order that Konnect may write.
#[derive(Debug, Clone)]
struct Sample {
    header: [String; 3],
    extensions: Vec<(&'static str, String)>,
}

/// Numbers and booleans that CEF has as text and JSON may have as either type.
fn is_typed(name: &str, value: &str) -> bool {
    match name {
        "rt" | "trace_id" | "status" => !value.is_empty(),
        "success" | "granted" => matches!(value, "true" | "false"),
        _ => false,
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let value = |name: &'static str| match name {
        "rt" => "[1-9][0-9]{12}".boxed(),
        "trace_id" => any::<u64>().prop_map(|id| id.to_string()).boxed(),
        "status" => "[1-5][0-9]{2}".boxed(),
        "success" | "granted" => select(vec!["true".to_owned(), "false".to_owned()]).boxed(),
        // Spaces, quotes, equals signs and other scripts, but nothing that looks like a key of
        // Konnect's.
        "user_agent" | "request" | "query" => {
            r#"[a-zé€😀"/\\{}=:|]([ A-Z="/\\{}|é]{0,12}[A-Z])?"#.boxed()
        }
        _ => "[a-z0-9-]{0,12}".boxed(),
    };
    let names = vec![
        "rt",
        "src",
        "request",
        "act",
        "action",
        "granted",
        "status",
        "success",
        "org_id",
        "portal_id",
        "principal_id",
        "actor_id",
        "user_agent",
        "trace_id",
        "query",
    ];
    let length = names.len();
    let extensions = subsequence(names, 0..=length).prop_flat_map(move |names| {
        names
            .into_iter()
            .map(|name| (Just(name), value(name)))
            .collect::<Vec<_>>()
    });
    let header = [
        "Konnect|Dev-Portal|dev-portal",
        "Ingress|Authz\\.[a-z]{1,8}|AUTHENTICATION_OUTCOME_[A-Z]{3}",
        "[A-Za-z]{1,9}",
    ];
    (header, extensions).prop_map(|(header, extensions)| Sample { header, extensions })
}

impl Sample {
    fn cef(&self) -> String {
        let [product, name, class] = &self.header;
        let extensions: Vec<_> = self
            .extensions
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let extensions = extensions.join(" ");
        format!(
            "2025-06-23T14:28:47Z konghq.com CEF:0|KongInc|{product}|1.0|{class}|{name}|1|{extensions}"
        )
    }

    fn has(&self, name: &str) -> bool {
        self.extensions.iter().any(|(key, _)| *key == name)
    }

    /// Writes the members as JSON, each with its own choice of type and the given white space
    /// around tokens. What is not there may also be empty, and the order, numbers without a meaning
    /// and new members are free.
    fn json(&self, typed: &[bool], space: &str) -> String {
        let [product, name, class] = &self.header;
        let text = |text: &str| serde_json::to_string(text).unwrap();
        let mut members: Vec<(String, String)> = [
            ("event_product", product),
            ("name", name),
            ("event_class_id", class),
        ]
        .map(|(key, value)| (text(key), text(value)))
        .into();
        members.push((text("event_ts"), text("2025-06-23T14:28:47Z")));
        for (index, (key, value)) in self.extensions.iter().enumerate() {
            let raw = is_typed(key, value) && typed[index % typed.len()];
            members.push((text(key), if raw { value.clone() } else { text(value) }));
        }
        let number = |number: &str| {
            if typed[0] {
                number.to_owned()
            } else {
                text(number)
            }
        };
        members.push((text("cef_version"), number("0")));
        members.push((text("severity"), number("1")));
        if typed.len() > 3 {
            members.push((text("new"), r#"{"sig":[1,"sig"],"rt":5}"#.to_owned()));
        }
        for name in ["src", "actor_id", "success"]
            .iter()
            .filter(|name| !self.has(name))
        {
            let empty = if typed[0] { "null" } else { r#""""# };
            members.push((text(name), empty.to_owned()));
        }
        let turn = typed.len() % members.len();
        members.rotate_left(turn);
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{space}{key}{space}:{space}{value}{space}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

fn event(line: &str) -> AuditEvent {
    parse(line.as_bytes()).unwrap()
}

/// Signs a message, and returns the text of the signature.
fn sign(message: &str) -> ([u8; 64], String) {
    let sig = SigningKey::from_bytes(&[7; 32])
        .sign(message.as_bytes())
        .to_bytes();
    (sig, URL_SAFE_NO_PAD.encode(sig))
}

/// Puts the member `sig` into a JSON object, before the member at `place` or at the end.
fn insert_sig(object: &str, sig: &str, place: usize, key: &str, space: &str) -> String {
    let scanned = crate::parse::scan::scan(object).unwrap();
    let member = format!("{key}{space}:{space}\"{sig}\"");
    match place % (scanned.members.len() + 1) {
        0 => format!("{{{member}{space},{}", &object[1..]),
        place => {
            let end = scanned.members[place - 1].value.end;
            format!("{},{space}{member}{}", &object[..end], &object[end..])
        }
    }
}

fn assert_signed(line: &str, signature: [u8; 64], scope: Scope, message: &str) {
    let Signed::Present { sig, candidates } = locate(line.as_bytes()) else {
        panic!("no signature found in {line}");
    };
    assert_eq!(sig, signature);
    assert!(
        candidates
            .iter()
            .any(|c| c.scope == scope && c.message == message.as_bytes()),
        "{line}"
    );
}

proptest! {
    #[test]
    fn one_event_has_one_identity_in_every_format(
        sample in sample(),
        typed in vec(any::<bool>(), 1..8),
        space in SPACE,
        place in 0..20_usize,
    ) {
        let plain = event(&sample.json(&[false], ""));
        let json = sample.json(&typed, &space);
        let (_, sig) = sign(&json);
        let cef = sample.cef();
        for line in [
            json.clone(),
            insert_sig(&json, &sig, place, "\"sig\"", &space),
            format!("{{\"event\":{json}}}"),
            format!("{{{space}\"event\"{space}:{}}}", insert_sig(&json, &sig, place, "\"sig\"", "")),
            format!("{{\"event\":{json}{space},{space}\"sig\":\"{sig}\"}}"),
            format!("{{{space}\"sig\":\"{sig}\"{space},\"event\":{json}}}"),
            cef.clone(),
            format!("{cef} sig={sig}"),
            format!("{cef}\r"),
        ] {
            let read = event(&line);
            prop_assert_eq!(read.id, plain.id, "{}", line);
            // A sample may mix members of several kinds, which makes a CEF entry suspect.
            prop_assert!(!read.ambiguous || line.contains("CEF:0"), "{}", line);
            prop_assert!(read.time_known, "{}", line);
            prop_assert_eq!((read.kind, read.occurred_at), (plain.kind, plain.occurred_at));
            // 64 bits reach every reader of the event, whatever the type was.
            for (name, value) in sample.extensions.iter().filter(|(name, _)| *name == "trace_id") {
                prop_assert_eq!(&render(&read)[*name], value.as_str());
            }
        }
    }

    #[test]
    fn what_was_signed_is_found_again(
        sample in sample(),
        typed in vec(any::<bool>(), 1..8),
        space in SPACE,
        place in 0..20_usize,
        key in select(vec!["\"sig\"", "\"s\\u0069g\"", "\"\\u0073\\u0069\\u0067\""]),
    ) {
        let json = sample.json(&typed, &space);
        let (bytes, sig) = sign(&json);
        let signed = insert_sig(&json, &sig, place, key, &space);
        assert_signed(&signed, bytes, Scope::Entry, &json);
        assert_signed(&format!("{signed}\r"), bytes, Scope::Entry, &json);
        assert_signed(&format!("{{\"event\":{signed}}}"), bytes, Scope::CpsInner, &json);

        let line = format!("{{{space}\"event\":{json}}}");
        let (bytes, sig) = sign(&line);
        let wrapped = format!("{{{space}\"event\":{}}}", insert_sig(&json, &sig, place, key, &space));
        assert_signed(&wrapped, bytes, Scope::CpsLine, &line);

        let outside = |object: &str, sig: &str| {
            [
                format!("{{\"event\":{object}{space},{space}{key}{space}:\"{sig}\"}}"),
                format!("{{{key}:{space}\"{sig}\"{space},{space}\"event\":{object}}}"),
            ]
        };
        let (bytes, sig) = sign(&json);
        for line in outside(&json, &sig) {
            assert_signed(&line, bytes, Scope::CpsInner, &json);
        }

        let cef = sample.cef();
        let (bytes, sig) = sign(&cef);
        assert_signed(&format!("{cef} sig={sig}"), bytes, Scope::Entry, &cef);
    }

    #[test]
    fn no_bytes_make_it_panic(line in vec(any::<u8>(), 0..200)) {
        locate(&line);
        if let Ok(event) = parse(&line) {
            render(&event);
        }
    }

    #[test]
    fn nothing_like_an_entry_makes_it_panic(
        line in r#"\{("(name|event|sig|rt|event_ts|x)" ?: ?("[a\\ud8é]{0,9}"|-?[0-9]{0,30}(\.5|e[0-9]{1,4})?|\{\}|null|\[1,\]),?){0,5}\}?|[0-9TZ:+-]{0,22} h CEF:0\|P\|K\|1\|c\|n\|[0-9]{0,3}\|( ?(rt|src|user_agent|query|sig|x)=[ é=|\\-]{0,3}[0-9]{0,25}){0,5}"#,
    ) {
        locate(line.as_bytes());
        if let Ok(event) = parse(line.as_bytes()) {
            render(&event);
        }
    }
}
