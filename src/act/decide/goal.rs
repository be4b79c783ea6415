//! What a deed finds: something to do, its goal, or what prevents it. The dry run and the deed
//! itself use the same answer. Pure.

use uuid::Uuid;

use crate::rules::{Deed, DeveloperFacts, Facts, TeamFacts, TeamRef};

/// The expected outcome of one deed of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedOutcome {
    /// It would be done.
    Done,
    /// Its goal is reached already.
    Holds,
    /// It would be left to a person, with the reason.
    Parked(String),
    /// It would wait for an earlier deed that is left to a person.
    Waits,
    /// It would not be done, with the reason.
    Refused(String),
    /// An earlier deed would not be done.
    NotReached,
}

/// What a deed finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) enum GoalState {
    /// Something to do.
    Work,
    /// Its goal is reached.
    Goal,
    /// A status that it does not change.
    Status,
}

/// The expected outcomes of the deeds of one chain on these facts, each as the one before it leaves
/// them. `asks_status` says whether the rule itself asks about the status, `teams_named` how many
/// teams of the portal have a name.
pub fn expected_outcomes<'d>(
    deeds: impl IntoIterator<Item = &'d Deed>,
    facts: &Facts,
    asks_status: bool,
    teams_named: impl Fn(&str) -> usize,
) -> Vec<ExpectedOutcome> {
    let mut facts = facts.clone();
    let mut stopped: Option<ExpectedOutcome> = None;
    let mut expected_outcomes = Vec::new();
    for deed in deeds {
        if let Some(stopped) = &stopped {
            expected_outcomes.push(stopped.clone());
            continue;
        }
        let expected_outcome = expected_outcome(deed, &facts, asks_status, &teams_named);
        match &expected_outcome {
            ExpectedOutcome::Done => leave_done(deed, &mut facts),
            // A deed that parks is done by parking, and delays nothing.
            ExpectedOutcome::Parked(_) if !matches!(deed, Deed::Park { .. }) => {
                stopped = Some(ExpectedOutcome::Waits);
            }
            ExpectedOutcome::Refused(_) => stopped = Some(ExpectedOutcome::NotReached),
            ExpectedOutcome::Holds
            | ExpectedOutcome::Parked(_)
            | ExpectedOutcome::Waits
            | ExpectedOutcome::NotReached => {}
        }
        expected_outcomes.push(expected_outcome);
    }
    expected_outcomes
}

fn expected_outcome(
    deed: &Deed,
    facts: &Facts,
    asks_status: bool,
    teams_named: impl Fn(&str) -> usize,
) -> ExpectedOutcome {
    let developer = facts.developer.as_ref();
    let turned_away = developer.and_then(|known| turned_away(deed, &known.status));
    if let Some(why) = turned_away.filter(|_| !asks_status) {
        return ExpectedOutcome::Refused(why);
    }
    let is_in = |team: &TeamRef| developer.is_some_and(|known| is_member(known, team));
    let unless = |holds: bool| {
        if holds {
            ExpectedOutcome::Holds
        } else {
            ExpectedOutcome::Done
        }
    };
    match deed {
        Deed::AddToTeam { team, create } => match not_one(team, *create, teams_named) {
            Some(why) => ExpectedOutcome::Parked(why),
            None => unless(is_in(team)),
        },
        Deed::RemoveFromTeam { team } => match not_one(team, false, teams_named) {
            Some(why) => ExpectedOutcome::Parked(why),
            None => unless(!is_in(team)),
        },
        Deed::InviteDeveloper { .. } => unless(developer.is_some()),
        Deed::Park { reason } => ExpectedOutcome::Parked(reason.clone()),
        Deed::Notify { .. } => ExpectedOutcome::Done,
        Deed::ApproveDeveloper
        | Deed::RejectDeveloper
        | Deed::RevokeDeveloper
        | Deed::ApproveRegistration
        | Deed::RejectRegistration
        | Deed::RevokeRegistration => {
            let Some((object, now)) = status_in(facts, deed) else {
                return ExpectedOutcome::Done;
            };
            match of_status(deed, now) {
                GoalState::Work => ExpectedOutcome::Done,
                GoalState::Goal => ExpectedOutcome::Holds,
                GoalState::Status => {
                    let from = deed.statuses().map_or("", |(from, _)| from);
                    ExpectedOutcome::Refused(format!(
                        "it acts only on what is {from}, and the {object} is {now}"
                    ))
                }
            }
        }
    }
}

/// What a deed that changes a status finds.
pub(in crate::act) fn of_status(deed: &Deed, now: &str) -> GoalState {
    match deed.statuses() {
        Some((_, led_to)) if now == led_to => GoalState::Goal,
        Some((from, _)) if now != from => GoalState::Status,
        _ => GoalState::Work,
    }
}

/// Why a team's name is not usable; none where it names one team, or a team may be made.
pub(in crate::act) fn not_one(
    team: &TeamRef,
    create: bool,
    teams_named: impl Fn(&str) -> usize,
) -> Option<String> {
    let TeamRef::Name(name) = team else {
        return None;
    };
    match teams_named(name) {
        1 => None,
        0 if create => None,
        0 => Some("the portal has no team of this name".to_owned()),
        count => Some(format!("the portal has {count} teams of this name")),
    }
}

/// Why a person who was turned away gets nothing more.
pub(in crate::act) fn turned_away(deed: &Deed, status: &str) -> Option<String> {
    let gives = matches!(deed, Deed::AddToTeam { .. } | Deed::ApproveRegistration);
    let is_away = matches!(status, "revoked" | "rejected");
    (gives && is_away).then(|| format!("the developer is {status}"))
}

fn is_member(developer: &DeveloperFacts, team: &TeamRef) -> bool {
    let mut teams = developer.teams.iter();
    teams.any(|known| team.is(known.id, &known.name))
}

/// The object whose status a deed changes, and its status now.
fn status_in<'f>(facts: &'f Facts, deed: &Deed) -> Option<(&'static str, &'f str)> {
    if deed.is_of_registration() {
        return Some(("registration", &facts.registration.as_ref()?.status));
    }
    Some(("developer", &facts.developer.as_ref()?.status))
}

/// The status that a deed changes.
pub(super) fn status_of<'f>(facts: &'f mut Facts, deed: &Deed) -> Option<&'f mut String> {
    if deed.is_of_registration() {
        return Some(&mut facts.registration.as_mut()?.status);
    }
    Some(&mut facts.developer.as_mut()?.status)
}

/// Changes the facts to what a deed leaves.
fn leave_done(deed: &Deed, facts: &mut Facts) {
    if let Some((_, led_to)) = deed.statuses() {
        if let Some(status) = status_of(facts, deed) {
            led_to.clone_into(status);
        }
        return;
    }
    let Some(developer) = &mut facts.developer else {
        return;
    };
    match deed {
        Deed::AddToTeam { team, .. } => put_into(developer, team, None),
        Deed::RemoveFromTeam { team } => take_out(developer, team, None),
        _ => {}
    }
}

/// Adds somebody in the facts to a team that was named, and found as `id`.
pub(super) fn put_into(developer: &mut DeveloperFacts, named: &TeamRef, id: Option<Uuid>) {
    if is_member(developer, named) {
        return;
    }
    let (name, id) = match named {
        TeamRef::Name(name) => (name.clone(), id.unwrap_or_default()),
        TeamRef::Id(id) => (String::new(), *id),
    };
    developer.teams.push(TeamFacts { id, name });
}

/// Removes somebody in the facts from a team that was named, and found as `id`.
pub(super) fn take_out(developer: &mut DeveloperFacts, named: &TeamRef, id: Option<Uuid>) {
    developer
        .teams
        .retain(|known| !named.is(known.id, &known.name) && Some(known.id) != id);
}

#[cfg(test)]
mod tests {
    use super::{Deed, GoalState, of_status};

    #[test]
    fn only_who_waits_is_answered_and_only_what_was_granted_is_taken_back() {
        let (approve, reject, revoke) = (
            Deed::ApproveDeveloper,
            Deed::RejectRegistration,
            Deed::RevokeDeveloper,
        );
        let table = [
            ("pending", &approve, GoalState::Work),
            ("pending", &reject, GoalState::Work),
            ("approved", &approve, GoalState::Goal),
            ("rejected", &reject, GoalState::Goal),
            ("approved", &reject, GoalState::Status),
            ("rejected", &approve, GoalState::Status),
            ("revoked", &approve, GoalState::Status),
            ("revoked", &reject, GoalState::Status),
            ("unheard-of", &approve, GoalState::Status),
            ("approved", &revoke, GoalState::Work),
            ("revoked", &revoke, GoalState::Goal),
            ("pending", &revoke, GoalState::Status),
            ("rejected", &revoke, GoalState::Status),
        ];
        for (now, deed, finds) in table {
            assert_eq!(of_status(deed, now), finds, "{now} -> {deed}");
        }
    }
}
