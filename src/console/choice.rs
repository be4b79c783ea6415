//! What a list in a form offers.

use crate::directory::Portal;

/// One line of a list to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// What is sent.
    pub(super) value: String,
    /// What is shown.
    pub(super) name: String,
    /// Whether it is the one that was sent.
    pub(super) is_chosen: bool,
}

/// The portals that are known; also what was asked for if it is none of them, so that a form keeps
/// it.
pub(super) fn portals(known: &[Portal], asked: Option<&str>) -> Vec<Choice> {
    let known = known
        .iter()
        .map(|portal| (portal.id.to_string(), portal.name.clone()));
    of(known, asked)
}

/// Values with their names; also what was asked for if it is none of them.
pub(super) fn of(
    known: impl Iterator<Item = (String, String)>,
    asked: Option<&str>,
) -> Vec<Choice> {
    let mut choices: Vec<Choice> = known
        .map(|(value, name)| Choice {
            is_chosen: asked == Some(value.as_str()),
            value,
            name,
        })
        .collect();
    let asked = asked.filter(|asked| !asked.is_empty());
    if let Some(asked) = asked
        && !choices.iter().any(|choice| choice.is_chosen)
    {
        choices.push(Choice {
            value: asked.to_owned(),
            name: asked.to_owned(),
            is_chosen: true,
        });
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_was_asked_for_is_kept() {
        let known = || [("a".to_owned(), "A".to_owned())].into_iter();
        let told = |asked| {
            let choices = of(known(), asked);
            let told = choices
                .iter()
                .map(|one| format!("{}{}", one.value, if one.is_chosen { "!" } else { "" }));
            told.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(None), "a");
        assert_eq!(told(Some("")), "a");
        assert_eq!(told(Some("a")), "a!");
        assert_eq!(told(Some("<b>")), "a <b>!");
    }
}
