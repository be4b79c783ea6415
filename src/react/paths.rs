//! Which calls of the management API, as the organisation's logs show them, are worth a look. Pure.

use uuid::Uuid;

/// Parts of a path that name what the directory holds.
const OBJECTS: [&str; 6] = [
    "developers",
    "registrations",
    "application-registrations",
    "applications",
    "teams",
    "team-memberships",
];

/// Whether a call may have changed what the directory holds.
pub(super) fn changes(method: &str, path: &str) -> bool {
    let writes = ["POST", "PUT", "PATCH", "DELETE"];
    writes
        .iter()
        .any(|write| method.eq_ignore_ascii_case(write))
        && segments(path).any(|segment| OBJECTS.contains(&segment))
}

/// The portal that a path names, whatever comes before it: Konnect logs paths behind prefixes of
/// its own.
pub(super) fn portal(path: &str) -> Option<Uuid> {
    let mut segments = segments(path);
    while let Some(segment) = segments.next() {
        if segment == "portals" {
            return segments.next()?.parse().ok();
        }
    }
    None
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{changes, portal};

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
}
