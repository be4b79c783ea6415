//! Finds the signature of an entry and the exact bytes that it may cover. Byte surgery on the line
//! as received: nothing is parsed and printed again. Checks no signature itself, since that takes
//! keys.
//!
//! Konnect signs the entry with Ed25519 and puts `sig` into it afterwards, so the signed bytes are
//! the entry's own with `sig` cut out. In JSON that is the member and one comma, in CEF the last
//! ` sig=` at the line's end. The LF between entries is not covered.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json_text::decode_string;
use crate::parse::scan::{MemberSpan, Object};
use crate::parse::{Shape, signature_at};

/// The name of the member that carries the signature.
const SIG: &str = "sig";

/// What a line contains as its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// There is no signature, or the line is no entry in which one could be found.
    Unsigned,
    /// There is a `sig` that cannot be a signature: not 64 bytes of unpadded base64url, no string,
    /// or there twice.
    Malformed,
    /// There is a signature, and these are the messages that it may cover, likeliest first.
    Present {
        /// The Ed25519 signature.
        sig: [u8; 64],
        /// Never empty.
        candidates: Vec<Candidate>,
    },
}

/// A message that a signature may cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which part of the line the message is.
    pub scope: Scope,
    /// The bytes to check the signature against.
    pub message: Vec<u8>,
}

/// Which part of a line a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole entry, in CEF and JSON.
    Entry,
    /// The object that CPS wraps.
    CpsInner,
    /// The line with the wrapper of CPS.
    CpsLine,
}

impl Scope {
    /// Returns the stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::CpsInner => "cps_inner",
            Self::CpsLine => "cps_line",
        }
    }
}

/// Finds the signature of a line and the messages that it may cover.
pub fn locate(line: &[u8]) -> Signed {
    match Shape::of(line) {
        Ok(Shape::Json { text, object }) => locate_json(text, &object),
        Ok(Shape::Cps { text, outer, inner }) => locate_cps(text, &outer, &inner),
        Ok(Shape::Cef { text }) => locate_cef(text),
        // Konnect does not document which bytes the `signature` of the pull API covers.
        Ok(Shape::Pull { .. }) | Err(_) => Signed::Unsigned,
    }
}

fn locate_cef(text: &str) -> Signed {
    let Some(at) = signature_at(text) else {
        return Signed::Unsigned;
    };
    let candidate = Candidate {
        scope: Scope::Entry,
        message: text[..at].into(),
    };
    present(
        text[at..].split_once('=').map(|(_, sig)| sig),
        vec![candidate],
    )
}

fn locate_json(text: &str, object: &Object<'_>) -> Signed {
    match sig_members(object).as_slice() {
        [] => Signed::Unsigned,
        [member] => present(
            sig_text(text, member).as_deref(),
            cuts(text, member, 0..text.len(), Scope::Entry),
        ),
        _ => Signed::Malformed,
    }
}

fn locate_cps(text: &str, outer: &Object<'_>, inner: &Object<'_>) -> Signed {
    let (inside, outside) = (sig_members(inner), sig_members(outer));
    let whole = 0..text.len();
    let (member, mut candidates) = match (inside.as_slice(), outside.as_slice()) {
        ([], []) => return Signed::Unsigned,
        ([member], []) => (
            member,
            cuts(text, member, inner.span.clone(), Scope::CpsInner),
        ),
        ([], [member]) => {
            let message = text[inner.span.clone()].into();
            (
                member,
                vec![Candidate {
                    scope: Scope::CpsInner,
                    message,
                }],
            )
        }
        _ => return Signed::Malformed,
    };
    candidates.extend(cuts(text, member, whole, Scope::CpsLine));
    present(sig_text(text, member).as_deref(), candidates)
}

fn present(sig: Option<&str>, candidates: Vec<Candidate>) -> Signed {
    let bytes = sig.and_then(|sig| URL_SAFE_NO_PAD.decode(sig).ok());
    match bytes.and_then(|bytes| bytes.try_into().ok()) {
        Some(sig) => Signed::Present { sig, candidates },
        None => Signed::Malformed,
    }
}

fn sig_members<'o, 'a>(object: &'o Object<'a>) -> Vec<&'o MemberSpan<'a>> {
    object
        .members
        .iter()
        .filter(|member| member.name == SIG)
        .collect()
}

/// Reads the value of `sig`; `None` if it is no string.
fn sig_text<'a>(text: &'a str, member: &MemberSpan<'_>) -> Option<Cow<'a, str>> {
    let inner = text[member.value.clone()]
        .strip_prefix('"')?
        .strip_suffix('"')?;
    Some(decode_string(inner))
}

/// Cuts a member and its comma out of the text, and keeps of the rest what lies in `span`.
///
/// The comma is the one before the member, or the one after it where the member is the first. Then
/// the space after that comma may be part of the signature's insertion or not, so both messages are
/// tried.
fn cuts(text: &str, member: &MemberSpan<'_>, span: Range<usize>, scope: Scope) -> Vec<Candidate> {
    let keep = |cut: Range<usize>| {
        let message = [&text[span.start..cut.start], &text[cut.end..span.end]].concat();
        Candidate {
            scope,
            message: message.into_bytes(),
        }
    };
    if let Some(comma) = member.comma_before {
        return vec![keep(comma..member.value.end)];
    }
    let Some(comma) = member.comma_after else {
        return vec![keep(member.start..member.value.end)];
    };
    let after = comma + 1;
    let space = text[after..].len() - text[after..].trim_ascii_start().len();
    let mut candidates = vec![keep(member.start..after)];
    if space > 0 {
        candidates.push(keep(member.start..after + space));
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::{Scope, Signed, locate};

    /// 64 bytes of zero as unpadded base64url.
    fn sig() -> String {
        "A".repeat(86)
    }

    fn messages(line: &str) -> Vec<(Scope, String)> {
        match locate(line.replace("SIG", &sig()).as_bytes()) {
            Signed::Present { sig, candidates } => {
                assert_eq!(sig, [0; 64]);
                let text = |message| String::from_utf8(message).unwrap();
                candidates
                    .into_iter()
                    .map(|c| (c.scope, text(c.message)))
                    .collect()
            }
            other => panic!("{other:?}: {line}"),
        }
    }

    #[test]
    fn cuts_the_member_and_its_comma_wherever_it_stands() {
        let table: [(&str, &[&str]); 9] = [
            (r#"{"name":"n","sig":"SIG"}"#, &[r#"{"name":"n"}"#]),
            (r#"{"sig":"SIG","name":"n"}"#, &[r#"{"name":"n"}"#]),
            (
                r#"{ "sig" : "SIG" , "name":"n"}"#,
                &[r#"{  "name":"n"}"#, r#"{ "name":"n"}"#],
            ),
            (
                r#"{"name":"n","sig":"SIG","z":1}"#,
                &[r#"{"name":"n","z":1}"#],
            ),
            (
                "{\n  \"name\": \"n\",\n  \"sig\": \"SIG\"\n}\r\n",
                &["{\n  \"name\": \"n\"\n}"],
            ),
            (r#"{"name":"n","s\u0069g":"SIG"}"#, &[r#"{"name":"n"}"#]),
            (
                r#"{"name":"n","a":{"sig":"x"},"b":"\",\"sig\":\"x\"","sig":"SIG"}"#,
                &[r#"{"name":"n","a":{"sig":"x"},"b":"\",\"sig\":\"x\""}"#],
            ),
            (
                r#"{"name":"n","x":1.0e5,"y":"\u00e9\/","sig":"SIG"}"#,
                &[r#"{"name":"n","x":1.0e5,"y":"\u00e9\/"}"#],
            ),
            (r#"{"name":"n","sig":"SIG",}"#, &[r#"{"name":"n",}"#]),
        ];
        for (line, expected) in table {
            let found = messages(line);
            let expected: Vec<_> = expected
                .iter()
                .map(|m| (Scope::Entry, (*m).to_owned()))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn tries_the_wrapped_object_before_the_line() {
        let inside = [
            (Scope::CpsInner, r#"{"name":"n"}"#.to_owned()),
            (Scope::CpsLine, r#"{"event":{"name":"n"}}"#.to_owned()),
        ];
        assert_eq!(messages(r#"{"event":{"name":"n","sig":"SIG"}}"#), inside);
        assert_eq!(messages(r#"{"event":{"name":"n"},"sig":"SIG"}"#), inside);
        assert_eq!(messages(r#"{"sig":"SIG","event":{"name":"n"}}"#), inside);
        let both = format!(
            r#"{{"event":{{"name":"n","sig":"{0}"}},"sig":"{0}"}}"#,
            sig()
        );
        assert_eq!(locate(both.as_bytes()), Signed::Malformed);
    }

    #[test]
    fn takes_only_the_last_signature_of_a_cef_line() {
        let header = "t h CEF:0|V|P|1|C|N|1|";
        let table = [
            ("rt=1 sig=SIG", "rt=1"),
            ("user_agent=x sig=forged sig=SIG", "user_agent=x sig=forged"),
            ("user_agent=  sig=SIG\r\n", "user_agent= "),
            ("query={\"a\":\" sig=\"} sig=SIG", "query={\"a\":\" sig=\"}"),
        ];
        for (extension, message) in table {
            let expected = vec![(Scope::Entry, format!("{header}{message}"))];
            assert_eq!(
                messages(&format!("{header}{extension}")),
                expected,
                "{extension}"
            );
        }
    }

    #[test]
    fn what_is_no_signature_is_not_taken_for_one() {
        let good = sig();
        let unsigned = [
            r#"{"name":"n"}"#.to_owned(),
            r#"{"name":"n","a":{"sig":"x"},"Sig":"x"}"#.to_owned(),
            format!("t h CEF:0|V|P|1|C|N|1|rt=1 sig={good} trace_id=5"),
            "t h CEF:0|V|P|1|C|N|1|rt=1 user_agent=sig=x".to_owned(),
            "no entry sig=x".to_owned(),
            String::new(),
        ];
        for line in unsigned {
            assert_eq!(locate(line.as_bytes()), Signed::Unsigned, "{line}");
        }
        assert_eq!(locate(b"\xff sig=x"), Signed::Unsigned);
        let malformed = [
            r#"{"name":"n","sig":""}"#.to_owned(),
            r#"{"name":"n","sig":null}"#.to_owned(),
            r#"{"name":"n","sig":5}"#.to_owned(),
            format!(r#"{{"name":"n","sig":"{good}=="}}"#),
            format!(r#"{{"name":"n","sig":"{}"}}"#, &good[..60]),
            format!(r#"{{"name":"n","sig":"{}+"}}"#, &good[..85]),
            format!(r#"{{"name":"n","sig":"{good}","sig":"{good}"}}"#),
            "t h CEF:0|V|P|1|C|N|1|rt=1 sig=".to_owned(),
            format!("t h CEF:0|V|P|1|C|N|1|rt=1 sig={}", &good[..85]),
        ];
        for line in malformed {
            assert_eq!(locate(line.as_bytes()), Signed::Malformed, "{line}");
        }
    }

    #[test]
    fn the_samples_of_the_documentation_are_signed_but_for_one_too_short() {
        let table: [(&[u8], bool); 5] = [
            (
                include_bytes!("../testdata/01-org-authentication.cef"),
                true,
            ),
            (
                include_bytes!("../testdata/04-portal-authentication.json"),
                true,
            ),
            (include_bytes!("../testdata/07-org-access.cef"), false),
            (include_bytes!("../testdata/08-org-access.json"), true),
            (include_bytes!("../testdata/21-archived-authz.json"), true),
        ];
        for (line, present) in table {
            match locate(line) {
                Signed::Present { candidates, .. } => {
                    assert!(present && !candidates[0].message.windows(3).any(|w| w == b"sig"));
                }
                other => assert_eq!((other, present), (Signed::Malformed, false)),
            }
        }
    }
}
