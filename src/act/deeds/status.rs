//! The status of a developer or registration: answered only from `pending`, taken back only from
//! `approved`, read again right before the write. What a human decided in the meantime stands.

use konnect::{
    ApplicationId, DeveloperId, DeveloperStatus, RegistrationId, RegistrationStatus, Team,
};

use crate::act::Target;
use crate::act::deeds::{Bench, Doing, Outcome, team};
use crate::act::seen::Seen;
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
    let now = developer(bench, team::developer(bench)?).await?;
    answer_developer(bench, &now, wanted).await
}

/// A developer's status at this moment, read once an attempt.
pub(in crate::act) async fn developer(
    bench: &Bench<'_>,
    id: DeveloperId,
) -> Result<DeveloperStatus, Trouble> {
    let read = |seen: &Seen| Some(seen.developer(id)?.status.clone());
    if let Some(status) = bench.known(read) {
        return Ok(status);
    }
    let found = bench.client.developers(bench.portal()).get(id).await;
    let found = found.map_err(Trouble::on_read("developer"))?;
    let status = found.status.clone();
    bench.saw(|seen| seen.developers.push(found));
    Ok(status)
}

/// The teams of a developer at this moment, read once an attempt.
pub(in crate::act) async fn teams(
    bench: &Bench<'_>,
    id: DeveloperId,
) -> Result<Vec<Team>, Trouble> {
    if let Some(teams) = bench.known(|seen| seen.teams_of(id).map(<[Team]>::to_vec)) {
        return Ok(teams);
    }
    let teams = bench.client.teams(bench.portal()).of_developer(id).await;
    let teams = teams.map_err(Trouble::on_read("developer"))?;
    bench.saw(|seen| seen.teams_of = Some((id, teams.clone())));
    Ok(teams)
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

/// The registration's status at this moment, read once an attempt.
pub(in crate::act) async fn registration(bench: &Bench<'_>) -> Result<RegistrationStatus, Trouble> {
    let (application, id) = registration_of(bench)?;
    let read = |seen: &Seen| Some(seen.registration(id)?.status.clone());
    if let Some(status) = bench.known(read) {
        return Ok(status);
    }
    let registrations = bench.client.registrations(bench.portal());
    let now = registrations.get(application, id).await;
    let now = now.map_err(Trouble::on_read("registration"))?;
    let status = now.status.clone();
    bench.saw(|seen| seen.registrations.push(now));
    Ok(status)
}

fn registration_of(bench: &Bench<'_>) -> Result<(ApplicationId, RegistrationId), Trouble> {
    match bench.claimed.target {
        Target::Registration { id, application_id } => {
            Ok((ApplicationId(application_id), RegistrationId(id)))
        }
        other => Err(Trouble::WrongTarget(other.kind())),
    }
}

/// Gives a registration the status.
pub(super) async fn set_registration(
    bench: &Bench<'_>,
    wanted: &RegistrationStatus,
) -> Result<Outcome, Trouble> {
    let (application, id) = registration_of(bench)?;
    let status = registration(bench).await?;
    let registrations = bench.client.registrations(bench.portal());
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
