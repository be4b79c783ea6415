//! Who intervenes, and why: a name and a reason as a person gives them. Stores nothing.

/// Letters that a name or a reason may have.
const MAX_LETTERS: usize = 200;

/// The person who intervenes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As they name themselves.
    pub name: String,
    /// In their words.
    pub reason: Option<String>,
}

/// Says why a name or a reason cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {MAX_LETTERS} letters on one line")]
pub struct UnfitText;

impl Person {
    /// Somebody with a name, and a reason if they gave one.
    ///
    /// # Errors
    /// When one of them is empty, too long or of several lines.
    pub fn new(name: &str, reason: Option<&str>) -> Result<Self, UnfitText> {
        let fit = |text: &str| {
            let text = text.trim();
            let letters = text.chars().count();
            if (1..=MAX_LETTERS).contains(&letters) && !text.chars().any(char::is_control) {
                Ok(text.to_owned())
            } else {
                Err(UnfitText)
            }
        };
        Ok(Self {
            name: fit(name)?,
            reason: reason.map(fit).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Person;

    #[test]
    fn names_and_reasons_are_of_one_line() {
        let long = "x".repeat(201);
        for (name, reason, fits) in [
            ("ada", None, true),
            (" ada ", Some("a partner, by phone"), true),
            ("", None, false),
            ("ada", Some(" "), false),
            ("ada\u{1b}[2J", None, false),
            ("ada", Some("a\nb"), false),
            (&long, None, false),
        ] {
            assert_eq!(
                Person::new(name, reason).is_ok(),
                fits,
                "{name:?} {reason:?}"
            );
        }
        assert_eq!(Person::new(" ada ", None).unwrap().name, "ada");
    }
}
