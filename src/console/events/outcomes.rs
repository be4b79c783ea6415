//! What Konnect's names for the end of a sign-in mean. Only what its API description names; of the
//! others the page says nothing.

/// What an event of this name says, in a sentence. `is_of_portal` says whether somebody signed in
/// to a developer portal, and not to the organization.
pub(super) fn meaning(name: &str, is_of_portal: bool) -> Option<&'static str> {
    Some(match name.strip_prefix("AUTHENTICATION_OUTCOME_")? {
        "SUCCESS" => "The sign-in succeeded.",
        "NOT_FOUND" => "The sign-in failed: Konnect found no account for it.",
        "INVALID_PASSWORD" => "The sign-in failed: the password was wrong.",
        "DISABLED" if is_of_portal => {
            "The sign-in was refused: the account was not approved at the time, but pending, \
             rejected or revoked."
        }
        "DISABLED" => "The sign-in was refused: the account was disabled.",
        "LOCKED" => "The sign-in was refused: the account was locked.",
        "TOKEN_EXPIRED" => "The sign-in failed: the token had expired.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::meaning;

    #[test]
    fn known_names_have_a_meaning() {
        let of = |word: &str, portal| meaning(&format!("AUTHENTICATION_OUTCOME_{word}"), portal);
        assert_eq!(of("SUCCESS", true), Some("The sign-in succeeded."));
        assert!(of("DISABLED", true).unwrap().contains("pending"));
        assert!(!of("DISABLED", false).unwrap().contains("pending"));
        assert_eq!(of("SOMETHING_NEW", true), None);
        assert_eq!(meaning("Ingress", true), None);
    }
}
