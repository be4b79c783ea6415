//! What the document says of words of closed lists, from those lists themselves, and of the members
//! of an event.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::act::{ActionState, Ask, Verb};
use crate::api::format::Format;
use crate::api::page::{Window, optional};
use crate::event::{Kind, Verdict};
use crate::journal::{EventFilter, Outcome};
use crate::rules::Deed;

/// The word for a deed.
pub(in crate::api) enum DeedName {}

/// The word for a deed that a person may ask for.
pub(in crate::api) enum AskedDeedName {}

/// The word for a status of a developer or registration, as far as it is known yet.
pub(in crate::api) enum StatusName {}

impl StatusName {
    /// Every word.
    pub(in crate::api) const ALL: [&'static str; 4] =
        ["approved", "pending", "revoked", "rejected"];
}

/// The words of a search for events, for the documents of all that take one.
pub(in crate::api) enum EventWords {}

/// An event as the API answers with it: usher's own members, and Konnect's as they were sent.
pub(in crate::api) enum EventBody {}

macro_rules! words {
    ($($name:ident: $words:expr;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some($words))
                    .into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words! {
    ActionState: ActionState::ALL.map(ActionState::as_str);
    Verb: Verb::ALL.map(Verb::as_str);
    DeedName: Deed::NAMES;
    AskedDeedName: Ask::DEEDS;
    StatusName: StatusName::ALL;
    Format: Format::ALL.map(Format::as_str);
}

impl IntoParams for EventWords {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = EventFilter::words()
            .filter(|word| !matches!(*word, "from" | "to"))
            .map(|word| {
                let (schema, about) = event_word(word);
                optional(word, about, schema)
            })
            .collect();
        parameters.extend(Window::into_params(place));
        parameters
    }
}

/// The values of one word of a search, and which events it selects.
fn event_word(word: &str) -> (ObjectBuilder, &'static str) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    match word {
        "portal_id" => (text(), "Only those of this portal"),
        "principal_id" => (text(), "Only those of this principal"),
        "person" => (
            text(),
            "Only those of people whose e-mail or full name begins with this, whatever the case of ASCII letters",
        ),
        "name" => (text(), "Only those of this name"),
        "kind" => (
            text().enum_values(Some(Kind::ALL.map(Kind::as_str))),
            "Only those of this kind; without it all but `read`, which says who read the record",
        ),
        "outcome" => (
            text().enum_values(Some(Outcome::ALL.map(Outcome::as_str))),
            "Only those that ended like this",
        ),
        "src" => (
            text().format(Some(SchemaFormat::Custom("cidr".to_owned()))),
            "Only those from this address, or from this network in CIDR form",
        ),
        "trace_id" => (text(), "Only those of this request"),
        "verification" => (
            text().enum_values(Some(Verdict::ALL.map(Verdict::as_str))),
            "Only those of this verdict",
        ),
        "q" => (text(), "Only those in whose entry this is, in exact case"),
        _ => (text(), "Only those that fit"),
    }
}

/// Members of usher's own that every event has: name, schema and meaning.
fn own_members() -> [(&'static str, ObjectBuilder, &'static str); 9] {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let formatted = |format: KnownFormat| text().format(Some(SchemaFormat::KnownFormat(format)));
    let time = || formatted(KnownFormat::DateTime);
    let truth = || ObjectBuilder::new().schema_type(Type::Boolean);
    let delivery =
        formatted(KnownFormat::Uuid).schema_type(SchemaType::Array(vec![Type::String, Type::Null]));
    [
        (
            "id",
            formatted(KnownFormat::Uuid),
            "Its id: a hash of its content",
        ),
        (
            "kind",
            text().enum_values(Some(Kind::ALL.map(Kind::as_str))),
            "The sort of event",
        ),
        ("occurred_at", time(), "When it happened"),
        ("received_at", time(), "When it arrived first"),
        (
            "delivery_id",
            delivery,
            "The delivery that it arrived in first",
        ),
        (
            "verification",
            text().enum_values(Some(Verdict::ALL.map(Verdict::as_str))),
            "What is known about its signature",
        ),
        (
            "copies",
            ObjectBuilder::new().schema_type(Type::Integer),
            "How often its entry was received",
        ),
        (
            "ambiguous",
            truth(),
            "Whether its text can be read in two ways",
        ),
        (
            "time_known",
            truth(),
            "Whether it says itself when it happened",
        ),
    ]
}

/// Members that Konnect documents: name and meaning. An event need not have them, and may have
/// others.
const KONNECT_MEMBERS: [(&str, &str); 10] = [
    (
        "event_product",
        "The product, `usher` for events of usher's own",
    ),
    ("event_class_id", "The class of the event"),
    ("name", "What happened"),
    ("portal_id", "The portal"),
    ("principal_id", "Who did it"),
    ("src", "The address of the client"),
    ("request", "The path that was called"),
    ("act", "The method it was called with"),
    ("trace_id", "Konnect's id of the request, always text"),
    ("sig", "The signature"),
];

impl PartialSchema for EventBody {
    fn schema() -> RefOr<Schema> {
        let mut event = ObjectBuilder::new()
            .description(Some(
                "Members of Konnect's have its names and the values as sent; integers beyond 2^53 are strings",
            ))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)));
        for (name, schema, description) in own_members() {
            event = event
                .property(name, schema.description(Some(description)))
                .required(name);
        }
        // Of any type: what a sender writes is stored, whatever it is.
        for (name, description) in KONNECT_MEMBERS {
            let any = ObjectBuilder::new()
                .schema_type(SchemaType::AnyValue)
                .description(Some(description));
            event = event.property(name, any);
        }
        event.into()
    }
}

impl ToSchema for EventBody {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Event")
    }
}
