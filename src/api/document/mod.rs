//! The OpenAPI 3.1 document of the JSON API, made from the annotations of the handlers: what all of
//! them share is added here. `/openapi.json` is the document, `/docs` the same for people. Both
//! need no token.
//!
//! `operations!` in `mod.rs` of this module says how to add an operation.

mod docs;
mod refusals;
mod words;

use axum::Router;
use axum::handler::Handler;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::{MethodFilter, get, on};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Info, OpenApi, RefOr, Schema};
use utoipa::{IntoResponses, Modify};

use crate::api::reports;
use crate::api::scoped::Whole;
use crate::http::Problem;

use refusals::OfSomePortals;
pub(super) use refusals::{Conflicting, Missing, OfOperators, OfTheRecord, Refused};
pub(super) use words::{AskedDeedName, DeedName, EventBody, EventWords, StatusName};

const ABOUT: &str = "What usher recorded, saw and did, as JSON. Lists are `{\"data\":[…],\"meta\":{\"next\":…}}`, newest \
    first unless they say otherwise: `next` is the path and query of the next page, and null at the last one. Query \
    parameters that are not known are refused, empty ones count as absent. Errors are `application/problem+json` (RFC 9457); a path that is not \
    served is 404, another method than those described here 405.";
const TOKEN: &str = "A token of `console.tokens`; one with the role `reader` may only read, and one with `portals` \
    sees and does only what belongs to these";
/// What `Parameters` takes as text: Postgres has no NUL.
const TEXT: &str = r"^[^\x00]*$";
/// The name of the security scheme.
const BEARER: &str = "token";

/// What all operations share.
pub(super) struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        reports::document(document);
        let mut info = Info::new("usher", env!("CARGO_PKG_VERSION"));
        info.description = Some(ABOUT.to_owned());
        document.info = info;
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(TOKEN.to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
        components.responses.extend(refusals::all());
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                let parameters = operation.parameters.iter_mut().flatten();
                parameters.for_each(complete);
            }
        }
        let nothing_more: [&str; 0] = [];
        document.security = Some(vec![SecurityRequirement::new(BEARER, nothing_more)]);
    }
}

/// Says of a parameter of the query that an empty one counts as absent, and what no text may
/// contain. The former is no extension, but utoipa has no other place for it.
fn complete(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(parameter) = parameter
        && matches!(parameter.parameter_in, ParameterIn::Query)
    {
        parameter.extensions = Some(Extensions::from_iter([("allowEmptyValue", true)]));
        if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && schema.schema_type == SchemaType::Type(Type::String)
            && schema.format.is_none()
            && schema.enum_values.is_none()
        {
            schema.pattern.get_or_insert_with(|| TEXT.to_owned());
        }
    }
}

/// Says of each operation but those which `is_by_portal` that tokens of some portals are refused.
pub(super) fn refuse_some(document: &mut OpenApi, is_by_portal: impl Fn(&str) -> bool) {
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            if !is_by_portal(id) && !reports::is_by_portal(id) {
                let refusals = OfSomePortals::responses();
                operation.responses.responses.extend(refusals);
            }
        }
    }
}

/// The operations of a path, each with the method that asks for it.
fn operations(item: &PathItem) -> impl Iterator<Item = (MethodFilter, &Operation)> {
    let both = [
        (MethodFilter::GET, &item.get),
        (MethodFilter::POST, &item.post),
    ];
    both.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// The handler of the operation `id`, at the path and method that the document gives it.
pub(super) fn serve<H, T>(document: &OpenApi, id: &str, handler: H) -> Router<Whole>
where
    H: Handler<T, Whole>,
    T: 'static,
{
    let found = document.paths.paths.iter().find_map(|(path, item)| {
        let mut of_path = operations(item);
        let (method, _) = of_path.find(|(_, known)| known.operation_id.as_deref() == Some(id))?;
        Some((path, method))
    });
    let (path, method) = found.expect("every operation is in the document that is made of them");
    Router::new().route(path, on(method, handler))
}

/// `/openapi.json` and `/docs`; made once, they are the same for everybody.
pub(super) fn router(document: &OpenApi) -> Router {
    let json = serde_json::to_string_pretty(document).unwrap_or_default();
    let page = docs::page(&serde_json::to_value(document).unwrap_or_default());
    let policy = docs::policy();
    let json = move || async move { ([(CONTENT_TYPE, "application/json")], json) };
    let page = move || async move {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (CONTENT_SECURITY_POLICY, policy),
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        (headers, page)
    };
    Router::new()
        .route("/openapi.json", get(json))
        .route("/docs", get(page))
        .method_not_allowed_fallback(Problem::method_not_allowed)
}
