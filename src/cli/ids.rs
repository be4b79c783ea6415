//! Ids as people give them to a command.

use uuid::Uuid;

/// The id of a portal, a person or anything else that has one.
///
/// # Errors
/// If it is none, with what one looks like.
pub(super) fn id(text: &str) -> Result<Uuid, String> {
    text.parse()
        .map_err(|_| "expected an id such as 7d0f2f4e-1111-4222-8333-444455556666".to_owned())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::id;

    #[test]
    fn what_is_no_id_is_told_what_one_looks_like() {
        let one = Uuid::from_u128(7);
        assert_eq!(id(&one.to_string()), Ok(one));
        for text in ["", "org", "Football APIs", "7d0f2f4e-1111-4222-8333"] {
            assert!(
                id(text).unwrap_err().contains("such as 7d0f2f4e-"),
                "{text}"
            );
        }
    }
}
