//! Finds the operation that a method and a path mean. Pure: it looks at the tables and nothing
//! else.

use uuid::Uuid;

use crate::{
    call::Operation,
    state::{Kind, World},
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

/// Matches a path against the templates of a table.
pub(crate) fn find(table: &'static [Operation], method: &str, path: &str) -> Route {
    let matching: Vec<(&Operation, Vec<(&str, String)>)> = table
        .iter()
        .filter_map(|operation| match_template(operation.path, path).map(|ids| (operation, ids)))
        .collect();
    let Some((first, _)) = matching.first() else {
        return Route::Unknown;
    };
    let methods = matching
        .iter()
        .map(|(operation, _)| operation.method)
        .collect();
    let first = *first;
    matching
        .into_iter()
        .find(|(operation, _)| operation.method == method)
        .map_or(Route::WrongMethod(first, methods), |(operation, ids)| {
            Route::Found(operation, ids)
        })
}

fn match_template(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut ids = Vec::new();
    let mut given = path.split('/');
    for segment in template.split('/') {
        let value = given.next()?;
        match segment
            .strip_prefix('{')
            .and_then(|segment| segment.strip_suffix('}'))
        {
            Some(_) if value.is_empty() => return None,
            Some(name) => ids.push((name, value.to_owned())),
            None if segment != value => return None,
            None => {}
        }
    }
    given.next().is_none().then_some(ids)
}

/// Resolves the parameters of a path to rows that exist and belong to each other; `None` is a 404.
pub(crate) fn resolve(
    world: &World,
    before: Option<Uuid>,
    parameters: &[(&'static str, String)],
) -> Option<Vec<Uuid>> {
    let mut ids: Vec<Uuid> = before.into_iter().collect();
    for (name, text) in parameters {
        let id = Uuid::try_parse(text).ok()?;
        let row = world.find(kind_of(name)?, id)?;
        let belongs = ids.is_empty() || row.parent.is_none_or(|parent| ids.contains(&parent));
        if !belongs {
            return None;
        }
        ids.push(id);
    }
    Some(ids)
}

fn kind_of(parameter: &str) -> Option<Kind> {
    Some(match parameter {
        "portalId" => Kind::Portal,
        "developerId" => Kind::Developer,
        "teamId" => Kind::Team,
        "roleId" => Kind::Role,
        "applicationId" => Kind::Application,
        "registrationId" => Kind::Registration,
        "auditLogDestinationId" => Kind::Destination,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::{operations, portal_api};

    /// Method, path, success and error statuses of every operation that Konnect's specifications
    /// declare.
    const DECLARED: &str = include_str!("../spec/operations.tsv");

    fn declared() -> HashMap<(&'static str, &'static str), (u16, HashSet<u16>)> {
        DECLARED
            .lines()
            .skip(1)
            .map(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                let errors = columns[3]
                    .split(',')
                    .filter_map(|status| status.parse().ok())
                    .collect();
                (
                    (columns[0], columns[1]),
                    (columns[2].parse().unwrap(), errors),
                )
            })
            .collect()
    }

    fn served() -> impl Iterator<Item = &'static Operation> {
        operations::OPERATIONS.iter().chain(portal_api::OPERATIONS)
    }

    #[test]
    fn every_operation_of_the_tables_is_declared_with_its_statuses() {
        let declared = declared();
        for operation in served() {
            let (success, errors) = declared
                .get(&(operation.method, operation.path))
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
                    kind_of(segment.trim_end_matches('}')).is_some(),
                    "{}",
                    operation.path
                );
            }
        }
    }

    #[test]
    fn tells_a_wrong_method_from_an_unknown_path() {
        let found = |method, path| find(operations::OPERATIONS, method, path);
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
}
