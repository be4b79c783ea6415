//! The answer to somebody who waits, developer or registration: only from `pending`, read again
//! right before the write. What a human decided in the meantime stands.

use konnect::{ApplicationId, DeveloperId, DeveloperStatus, RegistrationId, RegistrationStatus};

use crate::act::Target;
use crate::act::deeds::{Bench, Doing, Outcome};
use crate::act::trouble::Trouble;

/// What a status that was just read asks for.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Write,
    Held,
    Refuse,
}

fn judge(now: &str, wanted: &str) -> Answer {
    if now == wanted {
        Answer::Held
    } else if now == DeveloperStatus::Pending.as_str() {
        Answer::Write
    } else {
        Answer::Refuse
    }
}

fn refused(object: &str, now: &str) -> Outcome {
    Outcome::Refused(format!(
        "the {object} is {now}, no longer pending: somebody else decided"
    ))
}

/// Gives a pending developer the status.
pub(super) async fn set_developer(
    bench: &Bench<'_>,
    wanted: &DeveloperStatus,
) -> Result<Outcome, Trouble> {
    let Target::Developer { id } = bench.claimed.target else {
        return Err(Trouble::WrongTarget(bench.claimed.target.kind()));
    };
    let developers = bench.client.developers(bench.portal());
    let id = DeveloperId(id);
    let now = developers
        .get(id)
        .await
        .map_err(Trouble::on_read("developer"))?
        .status;
    match judge(now.as_str(), wanted.as_str()) {
        Answer::Held => Ok(bench.held(now.as_str())),
        Answer::Refuse => Ok(refused("developer", now.as_str())),
        Answer::Write => {
            bench.sending().await?;
            let after = developers
                .set_status(id, wanted)
                .await
                .map_err(Trouble::Api)?
                .status;
            written(after.as_str(), wanted.as_str())
        }
    }
}

/// Gives a pending registration the status.
pub(super) async fn set_registration(
    bench: &Bench<'_>,
    wanted: &RegistrationStatus,
) -> Result<Outcome, Trouble> {
    let Target::Registration { id, application_id } = bench.claimed.target else {
        return Err(Trouble::WrongTarget(bench.claimed.target.kind()));
    };
    let registrations = bench.client.registrations(bench.portal());
    let (application, id) = (ApplicationId(application_id), RegistrationId(id));
    let now = registrations
        .get(application, id)
        .await
        .map_err(Trouble::on_read("registration"))?
        .status;
    match judge(now.as_str(), wanted.as_str()) {
        Answer::Held => Ok(bench.held(now.as_str())),
        Answer::Refuse => Ok(refused("registration", now.as_str())),
        Answer::Write => {
            bench.sending().await?;
            let after = registrations
                .set_status(application, id, wanted)
                .await
                .map_err(Trouble::Api)?
                .status;
            written(after.as_str(), wanted.as_str())
        }
    }
}

fn written(after: &str, wanted: &str) -> Result<Outcome, Trouble> {
    if after == wanted {
        return Ok(Outcome::Done(Doing::Written));
    }
    Err(Trouble::Contradiction(after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Answer, judge};

    #[test]
    fn only_who_waits_is_answered() {
        let table = [
            ("pending", "approved", Answer::Write),
            ("pending", "rejected", Answer::Write),
            ("approved", "approved", Answer::Held),
            ("rejected", "rejected", Answer::Held),
            ("approved", "rejected", Answer::Refuse),
            ("rejected", "approved", Answer::Refuse),
            ("revoked", "approved", Answer::Refuse),
            ("revoked", "rejected", Answer::Refuse),
            ("unheard-of", "approved", Answer::Refuse),
        ];
        for (now, wanted, answer) in table {
            assert_eq!(judge(now, wanted), answer, "{now} -> {wanted}");
        }
    }
}
