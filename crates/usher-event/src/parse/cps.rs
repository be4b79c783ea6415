//! Reads an entry wrapped as `{"event":{…}}`: the same as the JSON object inside.

use crate::AuditEvent;
use crate::kind::Format;
use crate::parse::json;
use crate::parse::scan::{CPS_WRAPPER, Object};

/// Takes the first wrapped object out of the wrapper, if it is an entry.
pub(super) fn unwrap<'a>(outer: &mut Object<'a>) -> Option<Object<'a>> {
    let first = outer
        .members
        .iter_mut()
        .find(|member| member.name == CPS_WRAPPER)?;
    first.object.take_if(|inner| json::is_entry(inner))
}

/// Reads an entry in CPS.
pub(super) fn event(text: &str, outer: &Object<'_>, inner: &Object<'_>) -> AuditEvent {
    let (members, repeated) = json::members(text, inner);
    let wrapped_twice = outer
        .members
        .iter()
        .filter(|m| m.name == CPS_WRAPPER)
        .count()
        > 1;
    AuditEvent::from_members(Format::Cps, repeated || wrapped_twice, members)
}

#[cfg(test)]
mod tests {
    use crate::{Format, parse};

    #[test]
    fn reads_as_the_object_inside() {
        let inner =
            r#"{"name":"Ingress","event_product":"Konnect","status":201,"event":{"deep":1}}"#;
        let plain = parse(inner.as_bytes()).unwrap();
        for line in [
            format!(r#"{{"event":{inner}}}"#),
            format!(r#" {{ "event" : {inner} , }} "#),
            format!(r#"{{"v":1,"event":{inner},"sig":"x"}}"#),
            format!(r#"{{"\u0065vent":{inner}}}"#),
            format!(r#"{{"event":{}}}"#, inner.replace("}}", "},}")),
        ] {
            let event = parse(line.as_bytes()).unwrap();
            assert_eq!(event.format, Format::Cps);
            assert_eq!(
                (event.id, &event.members),
                (plain.id, &plain.members),
                "{line}"
            );
            assert!(!event.ambiguous);
        }
    }

    #[test]
    fn a_second_wrapped_object_makes_the_entry_ambiguous() {
        let event = parse(br#"{"event":{"name":"a"},"event":{"name":"b"}}"#).unwrap();
        assert_eq!(
            (event.name().unwrap().as_ref(), event.ambiguous),
            ("a", true)
        );
        assert!(
            parse(br#"{"event":{"name":"a","name":"b"}}"#)
                .unwrap()
                .ambiguous
        );
    }
}
