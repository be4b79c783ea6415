//! Which actions a page is about: read from a query or from a form, and written back as fields
//! of a form and as a command.

use std::str::FromStr;

use crate::act::{ActionFilter, ActionState};
use crate::console::Console;
use crate::http::Problem;
use crate::http::parameters::bad_request;
use crate::journal::shell_word;
use crate::rules::Deed;

const STATES: &str = "planned, running, done, refused, parked, failed, cancelled or shadow";
/// Names that a form offers at most: more are typed.
const MOST_NAMES: usize = 100;

/// Reads a filter; `given` has the text of a field.
pub(super) fn read(
    mut given: impl FnMut(&'static str) -> Option<String>,
) -> Result<ActionFilter, Problem> {
    Ok(ActionFilter {
        state: parsed(given("state"), "state", STATES)?,
        rule: given("rule"),
        deed: match given("deed") {
            Some(deed) if !Deed::NAMES.contains(&deed.as_str()) => {
                return Err(unfit("deed", &Deed::NAMES.join(", ")));
            }
            deed => deed,
        },
        portal_id: parsed(given("portal_id"), "portal_id", "a UUID")?,
        target_id: parsed(given("target_id"), "target_id", "a UUID")?,
    })
}

fn parsed<T: FromStr>(
    given: Option<String>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Problem> {
    let given = given.map(|text| text.trim().parse());
    given.transpose().map_err(|_| unfit(name, expected))
}

fn unfit(name: &str, expected: &str) -> Problem {
    bad_request(format!("{name}: expected {expected}"))
}

/// The filter as a form has it: only what is asked for.
pub(super) fn words(filter: &ActionFilter) -> Vec<(&'static str, String)> {
    let ActionFilter {
        state,
        rule,
        deed,
        portal_id,
        target_id,
    } = filter;
    [
        ("state", state.map(|state| state.as_str().to_owned())),
        ("rule", rule.clone()),
        ("deed", deed.clone()),
        ("portal_id", portal_id.map(|id| id.to_string())),
        ("target_id", target_id.map(|id| id.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The command for the same, such as `usher actions --state parked`.
pub(super) fn command(command: &str, filter: &ActionFilter) -> String {
    let flags = words(filter).into_iter().map(|(name, value)| {
        let flag = name.trim_end_matches("_id");
        // Else it would be read as a flag of its own.
        let gap = if value.starts_with('-') { "=" } else { " " };
        format!(" --{flag}{gap}{}", shell_word(&value))
    });
    format!("{command}{}", flags.collect::<String>())
}

/// A filter as the form above a list shows it, with what it offers.
#[derive(Debug)]
pub(super) struct FilterForm {
    words: Vec<(&'static str, String)>,
    /// The rules in force; an older one can be typed.
    pub(super) rules: Vec<String>,
    /// Portals: id and name.
    pub(super) portals: Vec<(String, String)>,
}

impl FilterForm {
    pub(super) async fn new(console: &Console, filter: &ActionFilter) -> Result<Self, Problem> {
        let portals = console.directory.portals().await?;
        let mut portals: Vec<(String, String)> = portals
            .into_iter()
            .take(MOST_NAMES)
            .map(|portal| (portal.id.0.to_string(), portal.name))
            .collect();
        let words = words(filter);
        let asked = filter.portal_id.map(|id| id.to_string());
        let missing = asked.filter(|asked| portals.iter().all(|(id, _)| id != asked));
        portals.extend(missing.map(|id| (id.clone(), id)));
        let in_force = console.rules.borrow().clone();
        let rules = console.rules_seen(&in_force);
        let rules = rules.into_iter().take(MOST_NAMES);
        Ok(Self {
            words,
            rules: rules.map(|rule| rule.name.clone()).collect(),
            portals,
        })
    }

    /// What is asked for of a field; empty where nothing is.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.words.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether anything besides the state is asked for.
    pub(super) fn is_narrow(&self) -> bool {
        self.words.iter().any(|(name, _)| *name != "state")
    }

    /// The fields that repeat the filter in another form.
    pub(super) fn hidden(&self) -> &[(&'static str, String)] {
        &self.words
    }

    /// Every deed.
    #[expect(
        clippy::unused_self,
        reason = "templates reach what they need through it"
    )]
    pub(super) fn deeds(&self) -> [&'static str; 11] {
        Deed::NAMES
    }

    /// Every state.
    #[expect(
        clippy::unused_self,
        reason = "templates reach what they need through it"
    )]
    pub(super) fn states(&self) -> [&'static str; 8] {
        ActionState::ALL.map(ActionState::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{command, read, words};

    #[test]
    fn a_filter_reads_back_from_what_is_written_of_it() {
        let given = [
            ("state", "parked"),
            ("rule", "it's -- a rule"),
            ("portal_id", "00000000-0000-0000-0000-000000000001"),
        ];
        let text = |name: &str| {
            let found = given.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let filter = read(text).unwrap();
        assert_eq!(
            command("usher actions", &filter),
            r"usher actions --state parked --rule 'it'\''s -- a rule' --portal 00000000-0000-0000-0000-000000000001"
        );
        let again = words(&filter);
        let text = |name: &str| {
            let found = again.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        assert_eq!(words(&read(text).unwrap()), again);
        assert!(words(&read(|_| None).unwrap()).is_empty());
    }

    #[test]
    fn what_no_action_has_is_refused() {
        for (name, value) in [("state", "Parked"), ("deed", "dance"), ("portal_id", "1")] {
            let text = |asked: &str| (asked == name).then(|| value.to_owned());
            assert!(read(text).is_err(), "{name}");
        }
    }
}
