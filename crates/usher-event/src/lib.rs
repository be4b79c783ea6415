//! What an audit event is, and everything about it that is pure. Must not use I/O, the clock or
//! randomness, nor know of usher's other parts.
//!
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod alert;
mod custom;
pub mod delivery;
mod id;
mod identity;
mod json_text;
mod kind;
mod members;
mod own;
mod parse;
mod plain;
#[cfg(test)]
mod properties;
mod render;
mod signal;
pub mod signature;
mod time;
mod verdict;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use alert::{Alert, AlertState};
pub use custom::{CustomEvent, Person, place_of, replaced};
pub use id::EventId;
pub use identity::{IDENTITY_VERSION, event_id, own_event_id};
pub use kind::{Format, Kind, UnknownWord};
pub use members::{Members, text_for_storage};
pub use own::OwnEvent;
pub use parse::{ParseError, parse};
pub use plain::plain;
pub use render::render;
pub use signal::{MembershipChange, Signal, SignalKind};
pub use verdict::Verdict;

/// The most characters of a member that a column can have.
pub const COLUMN_CHARS: usize = 600;

/// A parsed entry.
///
/// The accessors read a member as a column needs it: absent, `null` and empty are all `None`,
/// either type of a number or boolean is accepted, and NUL is replaced (see [`text_for_storage`]).
/// [`Members`] has the values as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Identity by content: the same in every format, signed or not.
    pub id: EventId,
    /// The format of the entry as received.
    pub format: Format,
    /// The sort of event.
    pub kind: Kind,
    /// The header's time in whole seconds; the epoch where it is unknown.
    pub event_ts: DateTime<Utc>,
    /// The time in milliseconds from `rt`; else `event_ts`.
    pub occurred_at: DateTime<Utc>,
    /// Whether `event_ts` is known.
    pub time_known: bool,
    /// Whether the entry can be read in more than one way: it may have been forged through a value
    /// that an anonymous client chose, so it gives no hint and no signal.
    pub ambiguous: bool,
    /// Every member, known or not.
    pub members: Members,
}

impl AuditEvent {
    /// Completes an event from what a parser found.
    fn from_members(format: Format, ambiguous: bool, members: Members) -> Self {
        let times = time::Times::read(members.text("event_ts").as_deref(), members.integer("rt"));
        let name = members.text("name").unwrap_or_default();
        let kind = if is_own(&members) {
            Kind::from_own_name(name.trim())
        } else {
            Kind::from_name(name.trim())
        };
        Self {
            id: identity::event_id(times.event_ts, &members),
            format,
            kind,
            event_ts: times.event_ts,
            occurred_at: times.occurred_at,
            time_known: times.known,
            ambiguous,
            members,
        }
    }

    /// The event without its members, of which nothing can be read then: for callers that have the
    /// entry's own bytes, and for which as many copies of them would be too much.
    #[must_use]
    pub fn without_members(self) -> Self {
        Self {
            members: Members::default(),
            ..self
        }
    }

    /// Reads any member as owned text for a column: at most [`COLUMN_CHARS`] characters, since an
    /// index takes no more than some 2,700 bytes and one entry must not fail its batch. The entry's
    /// own bytes keep the rest.
    pub fn column(&self, member: &str) -> Option<String> {
        let text = self.text(member)?;
        match text.char_indices().nth(COLUMN_CHARS) {
            Some((end, _)) => Some(text[..end].to_owned()),
            None => Some(text.into_owned()),
        }
    }

    /// Reads any member as text for a column.
    pub fn text(&self, member: &str) -> Option<Cow<'_, str>> {
        // Identity ignores white space around a value, so that must not make two meanings.
        let text = match self.members.text(member)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        (!text.is_empty()).then(|| text_for_storage(text))
    }

    /// `event_product`: `Konnect`, `Dev-Portal`, or `usher`.
    pub fn product(&self) -> Option<Cow<'_, str>> {
        self.text("event_product")
    }

    /// Returns whether this came from a Dev Portal, however the product is capitalised.
    pub fn is_dev_portal(&self) -> bool {
        self.product()
            .is_some_and(|product| product.eq_ignore_ascii_case("Dev-Portal"))
    }

    /// Returns whether the entry *says* that usher wrote it. Only the way it was received can prove
    /// that.
    pub fn claims_own_product(&self) -> bool {
        is_own(&self.members)
    }

    /// The name, which alone decides the kind.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.text("name")
    }

    /// `event_class_id`.
    pub fn event_class_id(&self) -> Option<Cow<'_, str>> {
        self.text("event_class_id")
    }

    /// The organisation, as sent.
    pub fn org_id(&self) -> Option<Cow<'_, str>> {
        self.text("org_id")
    }

    /// The portal, as sent.
    pub fn portal_id(&self) -> Option<Cow<'_, str>> {
        self.text("portal_id")
    }

    /// The portal, if it is named by a UUID.
    pub fn portal_uuid(&self) -> Option<Uuid> {
        self.portal_id()?.parse().ok()
    }

    /// Who did it, as sent.
    pub fn principal_id(&self) -> Option<Cow<'_, str>> {
        self.text("principal_id")
    }

    /// Who did it, if named by a UUID.
    pub fn principal_uuid(&self) -> Option<Uuid> {
        self.principal_id()?.parse().ok()
    }

    /// The name of who did it; optional and rarely sent.
    pub fn principal_name(&self) -> Option<Cow<'_, str>> {
        self.text("principal_name")
    }

    /// On whose behalf.
    pub fn actor_id(&self) -> Option<Cow<'_, str>> {
        self.text("actor_id")
    }

    /// Joins the entries of one request; up to 64 bits, so always text.
    pub fn trace_id(&self) -> Option<Cow<'_, str>> {
        self.text("trace_id")
    }

    /// The client's address, as sent.
    pub fn src(&self) -> Option<Cow<'_, str>> {
        self.text("src")
    }

    /// The path of the request.
    pub fn request(&self) -> Option<Cow<'_, str>> {
        self.text("request")
    }

    /// The query of the request, JSON as text.
    pub fn query(&self) -> Option<Cow<'_, str>> {
        self.text("query")
    }

    /// The method of an access event.
    pub fn act(&self) -> Option<Cow<'_, str>> {
        self.text("act")
    }

    /// The verb of an authorization event.
    pub fn action(&self) -> Option<Cow<'_, str>> {
        self.text("action")
    }

    /// The client's name for itself: any text that an anonymous sender chooses.
    pub fn user_agent(&self) -> Option<Cow<'_, str>> {
        self.text("user_agent")
    }

    /// The HTTP status of an access event.
    pub fn status(&self) -> Option<i32> {
        self.members.integer("status")?.try_into().ok()
    }

    /// The severity of the header.
    pub fn severity(&self) -> Option<i32> {
        self.members.integer("severity")?.try_into().ok()
    }

    /// Whether an authorization was granted.
    pub fn granted(&self) -> Option<bool> {
        self.members.boolean("granted")
    }

    /// Whether an authentication succeeded.
    pub fn success(&self) -> Option<bool> {
        self.members.boolean("success")
    }

    /// Whether Konnect itself did it, and no user. Konnect leaves it out when false.
    pub fn kong_initiated(&self) -> bool {
        self.members.boolean("kong_initiated").unwrap_or(false)
    }
}

/// Returns whether the members name usher as the product.
fn is_own(members: &Members) -> bool {
    members
        .text("event_product")
        .is_some_and(|product| product.trim().eq_ignore_ascii_case(kind::OWN_PRODUCT))
}

#[cfg(test)]
mod tests {
    use super::{COLUMN_CHARS, Kind, parse};

    #[test]
    fn accessors_read_columns_whatever_the_type() {
        let line = br#"{"name":"Ingress","event_product":"dev-portal","status":"403","severity":6,
            "granted":"false","success":true,"kong_initiated":"true","portal_id":"","principal_id":null,
            "request":"/a\u0000b","trace_id":18446744073709551615,"org_id":"b065b594-6afc-4658-9101-5d9cf3f36b7b"}"#;
        let event = parse(line).unwrap();
        assert_eq!((event.kind, event.is_dev_portal()), (Kind::Access, true));
        assert_eq!((event.status(), event.severity()), (Some(403), Some(6)));
        assert_eq!(
            (event.granted(), event.success()),
            (Some(false), Some(true))
        );
        assert!(event.kong_initiated());
        assert_eq!(
            (event.portal_id(), event.principal_id(), event.act()),
            (None, None, None)
        );
        assert_eq!(event.request().unwrap(), "/a\u{fffd}b");
        assert_eq!(event.trace_id().unwrap(), "18446744073709551615");
        assert_eq!(event.portal_uuid(), None);
        assert!(!event.time_known);
    }

    #[test]
    fn numbers_out_of_range_are_absent_and_never_panic() {
        let line = br#"{"name":"Ingress","status":99999999999,"severity":-9999999999999999999999,"rt":1e99}"#;
        let event = parse(line).unwrap();
        assert_eq!((event.status(), event.severity()), (None, None));
        assert_eq!(event.occurred_at, event.event_ts);
    }

    #[test]
    fn white_space_around_a_value_makes_no_other_event() {
        let plain =
            parse(br#"{"name":"Ingress","status":403,"success":"true","principal_id":"p"}"#)
                .unwrap();
        let padded =
            parse(br#"{"name":" Ingress","status":" 403","success":" true","principal_id":"p "}"#)
                .unwrap();
        assert_eq!(plain.id, padded.id);
        assert_eq!(
            (padded.kind, padded.status(), padded.success()),
            (Kind::Access, Some(403), Some(true))
        );
        assert_eq!(padded.principal_id().unwrap(), "p");
    }

    #[test]
    fn a_column_holds_no_more_than_an_index_can() {
        let long = "ü".repeat(5_000);
        let event =
            parse(format!(r#"{{"name":"Ingress","principal_id":"{long}"}}"#).as_bytes()).unwrap();
        assert_eq!(
            event.column("principal_id").unwrap().chars().count(),
            COLUMN_CHARS
        );
        assert_eq!(event.principal_id().unwrap(), long);
    }

    #[test]
    fn an_entry_that_imitates_usher_says_so() {
        let event = parse(br#"{"name":"action.done","event_product":"Usher"}"#).unwrap();
        assert!(event.claims_own_product());
        assert_eq!(event.kind, Kind::Action);
    }
}
