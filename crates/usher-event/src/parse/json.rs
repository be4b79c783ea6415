//! Reads one flat JSON object: members as they are, the first of a name wins.

use crate::AuditEvent;
use crate::kind::Format;
use crate::members::Members;
use crate::parse::ParseError;
use crate::parse::scan::Object;

/// The header's members. An object with none of them is some other JSON.
const HEADER: [&str; 4] = ["name", "event_ts", "event_product", "event_class_id"];

/// Returns whether an object has any member of an entry's header.
pub(super) fn is_entry(object: &Object<'_>) -> bool {
    HEADER.iter().any(|name| object.has(name))
}

/// Reads an entry in JSON.
pub(super) fn event(text: &str, object: &Object<'_>) -> Result<AuditEvent, ParseError> {
    refuse_odd_values(object)?;
    let (members, repeated) = members(text, object);
    Ok(AuditEvent::from_members(Format::Json, repeated, members))
}

/// Refuses a member `event` with a trailing comma: the scanner tolerates it, and it would make that
/// value invalid JSON.
pub(super) fn refuse_odd_values(object: &Object<'_>) -> Result<(), ParseError> {
    let odd = object
        .members
        .iter()
        .find(|m| m.object.as_ref().is_some_and(|o| o.trailing_comma));
    match odd {
        Some(member) => Err(ParseError::BadJson(member.value.end - 1)),
        None => Ok(()),
    }
}

/// Copies the members out of the text; also returns whether a name was there twice.
pub(super) fn members(text: &str, object: &Object<'_>) -> (Members, bool) {
    let mut members = Members::with_capacity(object.members.len(), object.span.len());
    let mut repeated = false;
    for member in &object.members {
        repeated |= !members.insert_raw(&member.name, &text[member.value.clone()]);
    }
    (members, repeated)
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn a_name_given_twice_makes_the_entry_ambiguous_and_the_first_value_wins() {
        let table = [
            r#"{"name":"Ingress","status":403,"status":200}"#,
            r#"{"name":"Ingress","status":403,"st\u0061tus":200}"#,
            r#"{"name":"Ingress","status":403,"status":403}"#,
        ];
        for line in table {
            let event = parse(line.as_bytes()).unwrap();
            assert_eq!(
                (event.status(), event.ambiguous),
                (Some(403), true),
                "{line}"
            );
        }
        let nested = r#"{"name":"Ingress","x":{"status":1,"status":2},"status":403}"#;
        assert!(!parse(nested.as_bytes()).unwrap().ambiguous);
    }

    #[test]
    fn tolerates_a_trailing_comma_and_lone_surrogates() {
        let event = parse(br#"{"name":"Ingress","user_agent":"a\ud800","request":"/x",}"#).unwrap();
        assert_eq!(event.user_agent().unwrap(), "a\u{fffd}");
        assert_eq!(event.members.raw("user_agent"), Some(r#""a\ud800""#));
        assert!(!event.ambiguous);
    }

    #[test]
    fn a_member_called_event_is_kept_like_any_other() {
        let event = parse(br#"{"name":"n","event":{"name":"inner"}}"#).unwrap();
        assert_eq!(event.name().unwrap(), "n");
        assert_eq!(event.members.raw("event"), Some(r#"{"name":"inner"}"#));
    }
}
