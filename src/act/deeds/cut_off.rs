//! What revoking a developer has cut off so far, by id, in the form that is stored with the action
//! and reported in its event. Contains no name and no address. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Everything that was begun; each entry is noted before its write and settled after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutOff {
    /// Whether an attempt found the developer revoked, before its write or in the answer to it. A
    /// developer who is approved later was approved again.
    #[serde(default)]
    pub(super) was_revoked: bool,
    /// Whether they were forgotten when it began: after that only Konnect knows who it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) was_forgotten: bool,
    #[serde(default)]
    pub(super) registrations: BTreeMap<Uuid, CutRegistration>,
    #[serde(default)]
    pub(super) teams: BTreeMap<Uuid, CutTeam>,
}

/// One registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutRegistration {
    pub(super) application_id: Uuid,
    /// Its status before.
    was: String,
    /// Its status since; none while it is not known whether the write took effect.
    now: Option<String>,
}

/// One membership.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutTeam {
    left: bool,
}

impl CutOff {
    /// Continues what an earlier attempt noted.
    pub(super) fn resumed(noted: Option<&Value>) -> Self {
        noted
            .and_then(|noted| serde_json::from_value(noted.clone()).ok())
            .unwrap_or_default()
    }

    /// The form that is stored.
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("ids, words and truths have a JSON form")
    }

    /// Notes that a registration is about to be cut off.
    pub(super) fn begin_registration(&mut self, id: Uuid, application_id: Uuid, was: &str) {
        self.registrations
            .entry(id)
            .or_insert_with(|| CutRegistration {
                application_id,
                was: was.to_owned(),
                now: None,
            });
    }

    /// Notes the result for a registration that was begun.
    pub(super) fn settle_registration(&mut self, id: Uuid, now: &str) {
        if let Some(entry) = self.registrations.get_mut(&id) {
            entry.now = Some(now.to_owned());
        }
    }

    /// Whether this registration is settled: it is never cut off twice, so that a person who grants
    /// it again meanwhile has the last word.
    pub(super) fn has_settled(&self, id: Uuid) -> bool {
        self.registrations
            .get(&id)
            .is_some_and(|entry| entry.now.is_some())
    }

    /// Registrations of which it is not known whether their write took effect, with their
    /// applications.
    pub(super) fn unsettled(&self) -> Vec<(Uuid, Uuid)> {
        self.registrations
            .iter()
            .filter(|(_, entry)| entry.now.is_none())
            .map(|(id, entry)| (*id, entry.application_id))
            .collect()
    }

    /// Notes that a team is about to be left.
    pub(super) fn begin_team(&mut self, id: Uuid) {
        self.teams.entry(id).or_default();
    }

    /// Notes that a team was left.
    pub(super) fn leave(&mut self, id: Uuid) {
        self.teams.entry(id).or_default().left = true;
    }

    /// Whether this team was left: a person who adds the developer again meanwhile has the last
    /// word.
    pub(super) fn has_left(&self, id: Uuid) -> bool {
        self.teams.get(&id).is_some_and(|team| team.left)
    }

    /// Notes as left the teams that were to be left and are no longer listed; returns these.
    pub(super) fn leave_unlisted(&mut self, listed: &[Uuid]) -> Vec<Uuid> {
        let mut left = Vec::new();
        for (id, team) in &mut self.teams {
            if !team.left && !listed.contains(id) {
                team.left = true;
                left.push(*id);
            }
        }
        left
    }

    /// What was cut off, for a person, and whether they were forgotten; none when there is nothing
    /// to report.
    pub(super) fn summary(&self) -> Option<String> {
        let ended = |status: &str| {
            self.registrations
                .values()
                .filter(|entry| entry.now.as_deref() == Some(status))
                .count()
        };
        let left = self.teams.values().filter(|team| team.left).count();
        let forgotten = self.was_forgotten.then(|| "they were forgotten".to_owned());
        let counted = [
            (ended("revoked"), "registrations revoked"),
            (ended("rejected"), "requests rejected"),
            (left, "teams left"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what}: {count}"));
        let parts: Vec<String> = forgotten.into_iter().chain(counted).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::CutOff;

    #[test]
    fn reads_back_what_was_noted_and_knows_what_is_open() {
        let [one, two, app, team] = [1, 2, 3, 4].map(Uuid::from_u128);
        let mut cut = CutOff::default();
        cut.begin_registration(one, app, "approved");
        cut.begin_registration(two, app, "pending");
        cut.settle_registration(one, "revoked");
        cut.was_revoked = true;
        cut.begin_team(team);
        let mut back = CutOff::resumed(Some(&cut.to_value()));
        assert_eq!(back, cut);
        assert_eq!(back.unsettled(), [(two, app)]);
        assert!(back.has_settled(one) && !back.has_left(team));
        // Noted again by a later attempt, it keeps its first status.
        back.begin_registration(two, app, "rejected");
        back.settle_registration(two, "rejected");
        assert_eq!(back.leave_unlisted(&[]), [team]);
        assert!(back.leave_unlisted(&[]).is_empty());
        assert_eq!(
            back.summary().as_deref(),
            Some("registrations revoked: 1, requests rejected: 1, teams left: 1")
        );
        let json = back.to_value();
        assert_eq!(json["registrations"][two.to_string()]["was"], "pending");
    }

    #[test]
    fn nothing_cut_off_is_nothing_to_tell() {
        assert_eq!(CutOff::resumed(None).summary(), None);
    }
}
