//! The status of a developer or registration: answered only from `pending`, taken back only from
//! `approved`, read again right before the write. What a human decided in the meantime stands.

use konnect::{ApplicationId, DeveloperStatus, RegistrationId, RegistrationStatus};

use crate::act::Target;
use crate::act::deeds::{Bench, Doing, Outcome, team};
use crate::act::trouble::Trouble;

/// What a status that was just read asks for.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Write,
    Held,
    Refuse,
}

/// The only status from which `wanted` may follow. Developers and registrations share their words.
fn before(wanted: &str) -> &'static str {
    if wanted == "revoked" {
        "approved"
    } else {
        "pending"
    }
}

fn judge(now: &str, wanted: &str) -> Answer {
    if now == wanted {
        Answer::Held
    } else if now == before(wanted) {
        Answer::Write
    } else {
        Answer::Refuse
    }
}

fn refused(object: &str, now: &str, wanted: &str) -> Outcome {
    let before = before(wanted);
    Outcome::Refused(format!(
        "the {object} is {now}, no longer {before}: somebody else decided"
    ))
}

/// Gives a developer the status.
pub(super) async fn set_developer(
    bench: &Bench<'_>,
    wanted: &DeveloperStatus,
) -> Result<Outcome, Trouble> {
    let now = developer(bench).await?;
    answer_developer(bench, &now, wanted).await
}

/// The developer's status at this moment.
pub(super) async fn developer(bench: &Bench<'_>) -> Result<DeveloperStatus, Trouble> {
    let developers = bench.client.developers(bench.portal());
    let found = developers.get(team::developer(bench)?).await;
    let found = found.map_err(Trouble::on_read("developer"))?;
    let status = found.status.clone();
    bench.saw(|seen| seen.developers.push(found));
    Ok(status)
}

/// Gives a developer of whom `now` was just read the status.
pub(super) async fn answer_developer(
    bench: &Bench<'_>,
    now: &DeveloperStatus,
    wanted: &DeveloperStatus,
) -> Result<Outcome, Trouble> {
    match judge(now.as_str(), wanted.as_str()) {
        Answer::Held => Ok(bench.held(now.as_str())),
        Answer::Refuse => Ok(refused("developer", now.as_str(), wanted.as_str())),
        Answer::Write => {
            bench.sending().await?;
            let developers = bench.client.developers(bench.portal());
            let after = developers
                .set_status(team::developer(bench)?, wanted)
                .await
                .map_err(Trouble::Api)?;
            written(after.status.as_str(), wanted.as_str())?;
            bench.saw(|seen| seen.developers.push(after));
            Ok(Outcome::Done(Doing::Written))
        }
    }
}

/// Gives a registration the status.
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
        .map_err(Trouble::on_read("registration"))?;
    let status = now.status.clone();
    bench.saw(|seen| seen.registrations.push(now));
    match judge(status.as_str(), wanted.as_str()) {
        Answer::Held => Ok(bench.held(status.as_str())),
        Answer::Refuse => Ok(refused("registration", status.as_str(), wanted.as_str())),
        Answer::Write => {
            bench.sending().await?;
            let after = registrations
                .set_status(application, id, wanted)
                .await
                .map_err(Trouble::Api)?;
            written(after.status.as_str(), wanted.as_str())?;
            bench.saw(|seen| seen.registrations.push(after));
            Ok(Outcome::Done(Doing::Written))
        }
    }
}

/// Checks what the API answered to a write.
pub(super) fn written(after: &str, wanted: &str) -> Result<(), Trouble> {
    if after == wanted {
        return Ok(());
    }
    Err(Trouble::Contradiction(after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Answer, judge};

    #[test]
    fn only_who_waits_is_answered_and_only_what_was_granted_is_taken_back() {
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
            ("approved", "revoked", Answer::Write),
            ("revoked", "revoked", Answer::Held),
            ("pending", "revoked", Answer::Refuse),
            ("rejected", "revoked", Answer::Refuse),
        ];
        for (now, wanted, answer) in table {
            assert_eq!(judge(now, wanted), answer, "{now} -> {wanted}");
        }
    }
}
