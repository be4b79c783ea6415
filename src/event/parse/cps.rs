//! Reads an entry wrapped as `{"event":{…}}`: the same as the JSON object inside.

use crate::event::AuditEvent;
use crate::event::kind::Format;
use crate::event::parse::json;
use crate::event::parse::scan::{CPS_WRAPPER, Object};

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
