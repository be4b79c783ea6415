//! The forms by which an operator asks for a deed without a rule, and what comes of them. A reader
//! sees none.

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use crate::act::{Ask, AskRefusal, Asked};
use crate::console::Console;
use crate::console::session::Visitor;
use crate::http::Problem;
use crate::http::parameters::{bad_request, path_id};

/// A button of a form: a deed that the status of its target allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Button {
    /// The word for the deed.
    pub(super) deed: String,
    /// What the button says.
    pub(super) text: &'static str,
    /// Its class.
    pub(super) class: &'static str,
}

/// The buttons for a `developer` or a `registration` of this status.
pub(super) fn buttons(object: &str, status: &str) -> Vec<Button> {
    let verbs: &[(&str, &str, &str)] = match status {
        "pending" => &[
            ("approve", "Approve", "primary"),
            ("reject", "Reject", "danger"),
        ],
        "approved" => &[("revoke", "Revoke", "danger")],
        _ => &[],
    };
    let button = |&(verb, text, class)| Button {
        deed: format!("{verb}_{object}"),
        text,
        class,
    };
    verbs.iter().map(button).collect()
}

/// What a form was sent with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AskForm {
    /// The portal of the target.
    pub(super) portal_id: String,
    /// The word for the deed. With several targets in one form the target's id follows.
    pub(super) deed: String,
    /// The team, by name or id, where the deed is about one.
    team: String,
    /// Why.
    pub(super) reason: String,
    /// Whether what is cut off was shown before.
    confirmed: String,
}

impl AskForm {
    /// The form of a request.
    pub(super) fn of(form: Result<Form<Self>, FormRejection>) -> Result<Self, Problem> {
        let read = form.map(|Form(form)| form);
        read.map_err(|_| bad_request("the form cannot be read: load its page again"))
    }

    /// The deed, and the target that its button names.
    fn deed(&self) -> (&str, Option<&str>) {
        match self.deed.split_once(' ') {
            Some((deed, target)) => (deed, Some(target)),
            None => (&self.deed, None),
        }
    }

    /// What its button names.
    pub(super) fn target(&self) -> Result<Uuid, Problem> {
        let (_, target) = self.deed();
        let target = target.ok_or_else(|| bad_request("deed: the button names no target"))?;
        path_id(target, "a registration")
    }

    /// Whether the deed takes something away, and what that is was not shown yet.
    pub(super) fn is_unconfirmed(&self) -> bool {
        let takes = self.deed.starts_with("reject_") || self.deed.starts_with("revoke_");
        takes && self.confirmed.is_empty()
    }

    /// Refuses to show what is cut off where nothing can be: the deed is not for `object` in this
    /// status.
    pub(super) fn fits(
        &self,
        target: Uuid,
        (object, status): (&'static str, &str),
    ) -> Result<(), Problem> {
        let deed = self.ask(target)?.deed().name();
        let needed = match deed.strip_suffix(object) {
            Some("revoke_") => "approved",
            Some("reject_") => "pending",
            _ => return Err(bad_request("deed: it is about something else")),
        };
        if status == needed {
            return Ok(());
        }
        let now = status.to_owned();
        Err(refused(&AskRefusal::WrongStatus {
            object,
            now,
            deed,
            needed,
        }))
    }

    /// What is asked for.
    fn ask(&self, target: Uuid) -> Result<Ask, Problem> {
        let portal_id = path_id(&self.portal_id, "a portal")?;
        let (deed, _) = self.deed();
        let team = Some(self.team.trim()).filter(|team| !team.is_empty());
        let ask = Ask::new(portal_id, deed, target, team);
        ask.map_err(|error| bad_request(error.to_string()))
    }

    /// Asks for the deed, done to `target`.
    pub(super) async fn send(
        &self,
        console: &Console,
        visitor: &Visitor,
        target: Uuid,
    ) -> Result<(), Problem> {
        let person = visitor.person(Some(&self.reason))?;
        let ask = self.ask(target)?;
        let asked = console.actions.ask(&console.directory, &ask, &person).await;
        match asked? {
            Asked::New(_) | Asked::Open(_) => Ok(()),
            Asked::Refused(why) => Err(refused(&why)),
        }
    }
}

/// What to do when the directory has nothing to do it to.
pub(super) fn refused(why: &AskRefusal) -> Problem {
    let (status, then) = match why {
        AskRefusal::UnknownPortal | AskRefusal::UnknownTarget(_) | AskRefusal::UnknownTeam => (
            StatusCode::NOT_FOUND,
            "it may be gone, or no sweep has found it yet",
        ),
        AskRefusal::ManyTeams(_) => (StatusCode::CONFLICT, "its id is in Konnect"),
        AskRefusal::WrongStatus { .. } => (
            StatusCode::CONFLICT,
            "nothing was done, and its page shows how it is now",
        ),
    };
    Problem::new(status, format!("{why}; {then}"))
}

#[cfg(test)]
mod tests {
    use super::{AskForm, buttons};
    use crate::act::Ask;

    #[test]
    fn every_button_asks_for_a_deed_that_its_status_allows() {
        for (status, deeds) in [
            ("pending", &["approve", "reject"][..]),
            ("approved", &["revoke"]),
            ("rejected", &[]),
            ("a word that came later", &[]),
        ] {
            for object in ["developer", "registration"] {
                let told: Vec<String> = buttons(object, status)
                    .into_iter()
                    .map(|button| button.deed)
                    .collect();
                let expected: Vec<String> = deeds
                    .iter()
                    .map(|verb| format!("{verb}_{object}"))
                    .collect();
                assert_eq!(told, expected, "{status}");
                assert!(told.iter().all(|deed| Ask::DEEDS.contains(&deed.as_str())));
            }
        }
    }

    #[test]
    fn what_takes_away_is_shown_first() {
        for (deed, confirmed, is_unconfirmed) in [
            ("revoke_developer", "", true),
            ("revoke_developer", "1", false),
            ("reject_registration 7", "", true),
            ("approve_developer", "", false),
            ("remove_from_team", "", false),
        ] {
            let form = AskForm {
                deed: deed.to_owned(),
                confirmed: confirmed.to_owned(),
                ..AskForm::default()
            };
            assert_eq!(form.is_unconfirmed(), is_unconfirmed, "{deed} {confirmed}");
        }
    }

    #[test]
    fn a_button_may_name_its_target() {
        let form = |deed: &str| AskForm {
            deed: deed.to_owned(),
            ..AskForm::default()
        };
        assert_eq!(form("a").deed(), ("a", None));
        assert_eq!(form("a b").deed(), ("a", Some("b")));
    }
}
