//! The status of a developer or registration: answered only from `pending`, taken back only from
//! `approved`, read again right before the write. What a human decided in the meantime stands.

use konnect::{
    ApplicationId, DeveloperId, DeveloperStatus, RegistrationId, RegistrationStatus, Team,
};

use crate::act::Target;
use crate::act::decide::{Finds, of_status};
use crate::act::deeds::{Bench, Doing, Outcome, team};
use crate::act::seen::Seen;
use crate::act::trouble::Trouble;

fn refused(bench: &Bench<'_>, object: &str, now: &str) -> Outcome {
    let before = bench.claimed.deed.statuses().map_or("", |(from, _)| from);
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
    match of_status(&bench.claimed.deed, now.as_str()) {
        Finds::Goal => Ok(bench.held(now.as_str())),
        Finds::Status => Ok(refused(bench, "developer", now.as_str())),
        Finds::Work => {
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
    match of_status(&bench.claimed.deed, status.as_str()) {
        Finds::Goal => Ok(bench.held(status.as_str())),
        Finds::Status => Ok(refused(bench, "registration", status.as_str())),
        Finds::Work => {
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
