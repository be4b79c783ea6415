//! What rules and people want done to somebody or something: actions and vetoes, as a part of the
//! page about it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use url::form_urlencoded;
use uuid::Uuid;

use crate::act::{Action, Target, Veto};
use crate::console::Console;
use crate::http::Problem;

/// Actions and vetoes that a page shows.
const MOST: usize = 20;
/// Objects that they may be about: of whoever owns more, some are left out.
const MOST_TARGETS: usize = 500;

/// Actions and vetoes, the latest of them.
#[derive(Debug)]
pub(super) struct About {
    pub(super) actions: Vec<ActionRow>,
    pub(super) vetoes: Vec<VetoRow>,
    /// Whether there are more actions.
    pub(super) is_cut: bool,
    /// All actions of what the page is about.
    pub(super) href: String,
}

/// An action.
#[derive(Debug)]
pub(super) struct ActionRow {
    pub(super) href: String,
    pub(super) deed: String,
    pub(super) on: String,
    pub(super) state: &'static str,
    pub(super) rule: String,
    pub(super) rule_href: String,
    pub(super) reason: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// A veto in force.
#[derive(Debug)]
pub(super) struct VetoRow {
    pub(super) href: String,
    pub(super) deed: String,
    pub(super) on: String,
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) at: DateTime<Utc>,
}

/// What a page is about: its own id, and by their ids the things that belong to it, with words for
/// each.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) portal_id: Uuid,
    pub(super) id: Uuid,
    pub(super) belongings: BTreeMap<Uuid, String>,
}

impl Topic {
    fn targets(&self) -> Vec<Uuid> {
        let belongings = self.belongings.keys().copied();
        std::iter::once(self.id)
            .chain(belongings)
            .take(MOST_TARGETS)
            .collect()
    }

    /// What a deed is done to, in words; nothing where it is what the page is about.
    fn told(&self, target: &Target) -> String {
        if target.id() == self.id {
            return String::new();
        }
        let known = self.belongings.get(&target.id());
        known.cloned().unwrap_or_else(|| target.kind().to_owned())
    }
}

impl About {
    /// Reads what is stored about `topic` and its belongings.
    pub(super) async fn load(console: &Console, topic: &Topic) -> Result<Self, Problem> {
        let (portal_id, targets) = (topic.portal_id, topic.targets());
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let queue = &console.listed;
        let mut actions = queue.about((portal_id, &targets), None, most + 1).await?;
        let vetoes = queue.vetoes_about(portal_id, &targets, most).await?;
        let is_cut = actions.len() > MOST;
        actions.truncate(MOST);
        let actions = actions.into_iter();
        let vetoes = vetoes.into_iter();
        Ok(Self {
            actions: actions.map(|row| ActionRow::new(row, topic)).collect(),
            vetoes: vetoes.map(|row| VetoRow::new(row, topic)).collect(),
            is_cut,
            href: format!("/actions?target_id={}&portal_id={portal_id}", topic.id),
        })
    }
}

impl ActionRow {
    fn new(action: Action, topic: &Topic) -> Self {
        let rule: String = form_urlencoded::byte_serialize(action.rule.as_bytes()).collect();
        Self {
            href: format!("/actions/{}", action.id),
            on: topic.told(&action.target),
            state: action.state.as_str(),
            rule_href: format!("/actions?rule={rule}"),
            deed: spaced(&action.deed),
            rule: action.rule,
            reason: action.reason.unwrap_or_default(),
            created_at: action.created_at,
            updated_at: action.updated_at,
        }
    }
}

impl VetoRow {
    fn new(veto: Veto, topic: &Topic) -> Self {
        let deed = spaced(&veto.deed);
        Self {
            href: format!("/actions/{}", veto.action),
            on: topic.told(&veto.target),
            deed: match &veto.team {
                Some(team) => format!("{deed} {team}"),
                None => deed,
            },
            by: veto.by,
            reason: veto.reason.unwrap_or_default(),
            at: veto.at,
        }
    }
}

/// A word of usher's as people write it.
pub(super) fn spaced(word: &str) -> String {
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Topic;
    use crate::act::Target;

    #[test]
    fn a_target_is_told_by_what_the_page_knows_of_it() {
        let (id, known, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let topic = Topic {
            portal_id: Uuid::nil(),
            id,
            belongings: [(known, "application Scores".to_owned())].into(),
        };
        assert_eq!(topic.told(&Target::Developer { id }), "");
        let told = topic.told(&Target::Application { id: known });
        assert_eq!(told, "application Scores");
        let told = topic.told(&Target::Application { id: other });
        assert_eq!(told, "application");
        assert_eq!(topic.targets(), [id, known]);
    }
}
