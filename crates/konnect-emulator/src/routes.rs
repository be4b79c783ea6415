//! Finds the operation that a method and a path mean. Pure: it looks at the tables and nothing
//! else.

use std::cmp::Ordering;

use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    operation::{Operation, Param},
    state::World,
};

/// What a path means.
#[derive(Debug)]
pub(crate) enum Route {
    /// An operation, with the parameters of its path as sent.
    Found(&'static Operation, Vec<(&'static str, String)>),
    /// A path of the API, with the methods it knows.
    WrongMethod(&'static Operation, Vec<&'static str>),
    /// No path of the API.
    Unknown,
}

/// Matches a path against the templates of the tables. Where more than one fits, a word in the
/// template wins over a parameter, from the left.
pub(crate) fn find(
    operations: impl Iterator<Item = &'static Operation>,
    method: &str,
    path: &str,
) -> Route {
    let mut best: Vec<(&Operation, Vec<(&str, String)>)> = Vec::new();
    for operation in operations {
        let Some(parameters) = match_template(operation.path, path) else {
            continue;
        };
        if let Some((known, _)) = best.first() {
            match rank(operation.path).cmp(&rank(known.path)) {
                Ordering::Less => best.clear(),
                Ordering::Equal => {}
                Ordering::Greater => continue,
            }
        }
        best.push((operation, parameters));
    }
    let Some((first, _)) = best.first() else {
        return Route::Unknown;
    };
    let first = *first;
    let methods = best.iter().map(|(operation, _)| operation.method).collect();
    best.into_iter()
        .find(|(operation, _)| operation.method == method)
        .map_or(
            Route::WrongMethod(first, methods),
            |(operation, parameters)| Route::Found(operation, parameters),
        )
}

/// Orders templates that fit the same path: words before parameters.
fn rank(template: &str) -> Vec<bool> {
    template
        .split('/')
        .map(|segment| segment.starts_with('{'))
        .collect()
}

fn match_template(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parameters = Vec::new();
    let mut given = path.split('/');
    for segment in template.split('/') {
        let value = given.next()?;
        match segment
            .strip_prefix('{')
            .and_then(|segment| segment.strip_suffix('}'))
        {
            Some(_) if value.is_empty() => return None,
            Some(name) => parameters.push((name, value)),
            None if segment != value => return None,
            None => {}
        }
    }
    let decode = |(name, value)| (name, decoded(value));
    given
        .next()
        .is_none()
        .then(|| parameters.into_iter().map(decode).collect())
}

/// Decodes a segment of a path, in which a plus is a plus.
fn decoded(segment: &str) -> String {
    let form = segment
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

/// Resolves the parameters of a path to rows that exist and belong to each other; `None` is a 404.
pub(crate) fn resolve(
    world: &World,
    before: Option<Uuid>,
    operation: &Operation,
    parameters: &[(&'static str, String)],
) -> Option<Vec<Uuid>> {
    let mut ids: Vec<Uuid> = before.into_iter().collect();
    for (name, text) in parameters {
        let row = match operation.parameter(name)? {
            Param::Row(kind) => world.find(kind, Uuid::try_parse(text).ok()?)?,
            Param::Named(kind, member) => {
                world.find_named_in_any_case(kind, ids.last().copied(), member, text)?
            }
            Param::Text => continue,
        };
        let belongs = ids.is_empty() || row.parent.is_none_or(|parent| ids.contains(&parent));
        if !belongs {
            return None;
        }
        ids.push(row.id);
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;
    use crate::{
        operation::{Act, op},
        portal_api, resources,
    };

    /// Every operation of the management API that Konnect's specifications declare.
    const MANAGEMENT: &str = include_str!("../spec/facts.jsonl");

    /// Method, path, success and error statuses of the portal's self-service.
    const SELF_SERVICE: &str = include_str!("../spec/self_service.tsv");

    /// What no specification has and is served all the same; `fidelity.jsonl` says why.
    const BEYOND: &[(&str, &str)] = &[
        ("DELETE", "/v2/audit-log-webhook"),
        ("GET", "/images/{imageId}"),
    ];

    /// The success and the errors of each operation, by method and path.
    type Declared = HashMap<(String, String), (u16, HashSet<u16>)>;

    fn declared() -> Declared {
        let management = MANAGEMENT.lines().map(|line| {
            let facts: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| facts[name].as_str().unwrap().to_owned();
            let statuses = |name: &str| -> Vec<u16> {
                let statuses = facts[name].as_object().unwrap().keys();
                statuses.map(|status| status.parse().unwrap()).collect()
            };
            let success = statuses("success");
            let others = success[1..].iter().copied();
            let errors = statuses("errors").into_iter().chain(others).collect();
            ((text("method"), text("path")), (success[0], errors))
        });
        let self_service = SELF_SERVICE.lines().skip(1).map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let errors = columns[3].split(',').filter_map(|text| text.parse().ok());
            let success = columns[2].parse().unwrap();
            let operation = (columns[0].to_owned(), columns[1].to_owned());
            (operation, (success, errors.collect()))
        });
        management.chain(self_service).collect()
    }

    fn served() -> impl Iterator<Item = &'static Operation> {
        resources::operations().chain(portal_api::OPERATIONS)
    }

    #[test]
    fn every_operation_of_the_tables_is_declared_with_its_statuses() {
        let declared = declared();
        let is_beyond =
            |operation: &&Operation| BEYOND.contains(&(operation.method, operation.path));
        for operation in served().filter(|operation| !is_beyond(operation)) {
            let (success, errors) = declared
                .get(&(operation.method.to_owned(), operation.path.to_owned()))
                .unwrap_or_else(|| {
                    panic!("{} {} is not declared", operation.method, operation.path)
                });
            assert_eq!(
                operation.success, *success,
                "{} {}",
                operation.method, operation.path
            );
            for status in operation.also {
                assert!(
                    errors.contains(status),
                    "{} {} {status}",
                    operation.method,
                    operation.path
                );
            }
        }
    }

    #[test]
    fn no_operation_is_in_the_tables_twice() {
        let mut seen = HashSet::new();
        for operation in served() {
            assert!(
                seen.insert((operation.method, operation.path)),
                "{operation:?}"
            );
        }
    }

    #[test]
    fn every_parameter_of_the_tables_is_of_a_known_kind() {
        for operation in served() {
            for segment in operation
                .path
                .split('/')
                .filter_map(|segment| segment.strip_prefix('{'))
            {
                assert!(
                    operation.parameter(segment.trim_end_matches('}')).is_some(),
                    "{}",
                    operation.path
                );
            }
        }
    }

    #[test]
    fn tells_a_wrong_method_from_an_unknown_path() {
        let found = |method, path| find(resources::operations(), method, path);
        assert!(matches!(found("GET", "/v3/portals"), Route::Found(..)));
        assert!(matches!(
            found("PUT", "/v3/portals"),
            Route::WrongMethod(..)
        ));
        assert!(matches!(found("GET", "/v3/portals/"), Route::Unknown));
        assert!(matches!(
            found("GET", "/v3/portals/x/developers/y/z"),
            Route::Unknown
        ));
    }

    #[test]
    fn a_word_in_a_template_wins_over_a_parameter() {
        const ACT: Act = Act::Special(None, |_| Ok(Value::Null));
        static TABLE: &[Operation] = &[
            op("GET", "/v3/portals/{portalId}", 200, ACT),
            op("DELETE", "/v3/portals/{portalId}", 204, ACT),
            op("GET", "/v3/portals/email-domains", 200, ACT),
            op("GET", "/v3/portals/{portalId}/pages", 200, ACT),
            op("GET", "/v3/portals/email-domains/{emailDomain}", 200, ACT),
        ];
        let template = |method, path| match find(TABLE.iter(), method, path) {
            Route::Found(operation, _) => operation.path,
            Route::WrongMethod(operation, methods) => {
                assert_eq!(methods, ["GET"]);
                operation.path
            }
            Route::Unknown => "",
        };
        for (method, path, expected) in [
            ("GET", "/v3/portals/x", "/v3/portals/{portalId}"),
            (
                "GET",
                "/v3/portals/email-domains",
                "/v3/portals/email-domains",
            ),
            (
                "DELETE",
                "/v3/portals/email-domains",
                "/v3/portals/email-domains",
            ),
            (
                "GET",
                "/v3/portals/email-domains/pages",
                "/v3/portals/email-domains/{emailDomain}",
            ),
            ("GET", "/v3/portals/x/pages", "/v3/portals/{portalId}/pages"),
        ] {
            assert_eq!(template(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn decodes_the_segments_of_a_path() {
        for (sent, meant) in [
            ("a%20b", "a b"),
            ("a+b", "a+b"),
            ("a=b&c", "a=b&c"),
            ("ü", "ü"),
        ] {
            assert_eq!(decoded(sent), meant);
        }
    }
}
