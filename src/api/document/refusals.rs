//! How operations refuse: each kind once in the document, and named by those that may refuse so.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

/// A kind of refusal: status, name in the document, and when it happens.
type Kind = (&'static str, &'static str, &'static str);

const BAD: Kind = (
    "400",
    "BadRequest",
    "A parameter or the body cannot be read or is not known; `detail` says which and what was expected",
);
const UNAUTHORIZED: Kind = ("401", "Unauthorized", "No token of the console was sent");
const FORBIDDEN: Kind = (
    "403",
    "Forbidden",
    "The token may only read, or is for some portals and this is about all; `detail` says which",
);
const MISSING: Kind = ("404", "NotFound", "There is nothing with this id");
const CONFLICT: Kind = (
    "409",
    "Conflict",
    "It is not in a state from which this can be done; `detail` says in which it is",
);
const TOO_LARGE: Kind = ("413", "ContentTooLarge", "The body is too large");
const BROKEN: Kind = ("500", "ServerError", "The record could not be read");
const BUSY: Kind = (
    "503",
    "Unavailable",
    "The record is busy or does not answer: try again after the seconds of `Retry-After`",
);

/// Declares who refuses how.
macro_rules! refusing {
    ($($(#[$doc:meta])* $name:ident: $kinds:expr;)+) => {$(
        $(#[$doc])*
        pub(in crate::api) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                $kinds
                    .into_iter()
                    .map(|(status, name, _)| (status.to_owned(), Ref::from_response_name(name).into()))
                    .collect()
            }
        }
    )+};
}

refusing! {
    /// What any operation may answer.
    Refused: [BAD, UNAUTHORIZED];
    /// What those may answer that read the database.
    OfTheRecord: [BROKEN, BUSY];
    /// What those may answer that change something.
    OfOperators: [FORBIDDEN, TOO_LARGE];
    /// What those may answer that are about no portal.
    OfSomePortals: [FORBIDDEN];
    /// What those may answer that are about one thing.
    Missing: [MISSING];
    /// What those may answer that depend on a state.
    Conflicting: [CONFLICT];
}

/// Every kind of refusal, by its name.
pub(super) fn all() -> impl Iterator<Item = (String, RefOr<Response>)> {
    [
        BAD,
        UNAUTHORIZED,
        FORBIDDEN,
        MISSING,
        CONFLICT,
        TOO_LARGE,
        BROKEN,
        BUSY,
    ]
    .into_iter()
    .map(|kind| (kind.1.to_owned(), response(kind).into()))
}

fn response((status, _, description): Kind) -> ResponseBuilder {
    let response = ResponseBuilder::new().description(description).content(
        "application/problem+json",
        Content::new(Some(Ref::from_schema_name("Problem"))),
    );
    let header = |description: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String);
        HeaderBuilder::new()
            .schema(Some(text))
            .description(Some(description))
            .build()
    };
    match status {
        "401" => response.header("WWW-Authenticate", header("`Bearer`")),
        "503" => response.header("Retry-After", header("Seconds")),
        _ => response,
    }
}
