//! Which calls of the management API, as the organisation's logs show them, are hints. Pure.

use konnect::{ApplicationId, DeveloperId, TeamId};
use uuid::Uuid;

/// Parts of a path that name what the directory contains.
const OBJECTS: [&str; 6] = [
    "developers",
    "registrations",
    "application-registrations",
    "applications",
    "teams",
    "team-memberships",
];

/// The object that a call changed, where its path names one that no pending list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangedObject {
    /// A developer, or one of their memberships.
    Developer(DeveloperId),
    /// The members of a team: only the call's body says who joined.
    Members(TeamId),
    /// An application, or one of its registrations.
    Application(ApplicationId),
}

/// Whether a call may have changed what the directory contains.
pub(super) fn changes(method: &str, path: &str) -> bool {
    let writes = ["POST", "PUT", "PATCH", "DELETE"];
    writes
        .iter()
        .any(|write| method.eq_ignore_ascii_case(write))
        && segments(path).any(|segment| OBJECTS.contains(&segment))
}

/// The portal that a path names, behind any prefix: Konnect logs paths with prefixes of its own.
pub(super) fn portal(path: &str) -> Option<Uuid> {
    below_portals(path).next()?.parse().ok()
}

/// What a path names in its portal.
pub(super) fn named(path: &str) -> Option<ChangedObject> {
    let mut segments = below_portals(path).skip(1);
    let kind = segments.next()?;
    let id = segments.next()?.parse().ok()?;
    match kind {
        "developers" => Some(ChangedObject::Developer(DeveloperId(id))),
        "applications" => Some(ChangedObject::Application(ApplicationId(id))),
        "teams" if segments.next()? == "developers" => match segments.next() {
            None => Some(ChangedObject::Members(TeamId(id))),
            Some(developer) => Some(ChangedObject::Developer(DeveloperId(
                developer.parse().ok()?,
            ))),
        },
        _ => None,
    }
}

fn below_portals(path: &str) -> impl Iterator<Item = &str> {
    segments(path)
        .skip_while(|segment| *segment != "portals")
        .skip(1)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{ChangedObject, changes, named, portal};

    #[test]
    fn tells_what_is_worth_a_look() {
        let table = [
            ("POST", "/v3/portals/x/developers", true),
            ("patch", "/konnect-api/api/v3/portals/x/developers/y", true),
            ("DELETE", "/v3/portals/x/teams/y/developers/z", true),
            (
                "PATCH",
                "/v3/portals/x/applications/y/registrations/z?a=b",
                true,
            ),
            ("GET", "/v3/portals/x/developers", false),
            ("POST", "/konnect-api/api/vitals/v1/explore", false),
            ("POST", "/v3/portals/x/pages?next=/developers", false),
            ("POST", "/v3/portals/x/developers-guide", false),
        ];
        for (method, path, expected) in table {
            assert_eq!(changes(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn finds_the_portal_behind_any_prefix() {
        let id = Uuid::from_u128(7);
        assert_eq!(portal(&format!("/v3/portals/{id}/developers")), Some(id));
        assert_eq!(
            portal(&format!("/konnect-api/api/v3/portals/{id}")),
            Some(id)
        );
        assert_eq!(portal("/v3/portals"), None);
        assert_eq!(portal("/v3/portals/not-an-id/developers"), None);
        assert_eq!(portal("/v3/developers"), None);
    }

    #[test]
    fn finds_what_a_path_names_in_its_portal() {
        let (portal, one, two) = (Uuid::from_u128(7), Uuid::from_u128(1), Uuid::from_u128(2));
        let developer = |id: Uuid| Some(ChangedObject::Developer(id.into()));
        let application = Some(ChangedObject::Application(one.into()));
        for (path, expected) in [
            (format!("developers/{one}"), developer(one)),
            (format!("developers/{one}?x=/teams/{two}"), developer(one)),
            (format!("teams/{one}/developers/{two}"), developer(two)),
            (
                format!("teams/{one}/developers"),
                Some(ChangedObject::Members(one.into())),
            ),
            (format!("teams/{one}/developers/nobody"), None),
            (format!("teams/{one}"), None),
            (format!("teams/{one}/assigned-roles"), None),
            (format!("applications/{one}"), application),
            (
                format!("applications/{one}/registrations/{two}"),
                application,
            ),
            (
                format!("applications/{one}/registrations/{two}/consumer"),
                application,
            ),
            ("developers".to_owned(), None),
            ("developers/somebody".to_owned(), None),
            (format!("pages/{one}"), None),
        ] {
            let path = format!("/konnect-api/api/v3/portals/{portal}/{path}");
            assert_eq!(named(&path), expected, "{path}");
        }
        assert_eq!(named(&format!("/v3/developers/{one}")), None);
    }
}
