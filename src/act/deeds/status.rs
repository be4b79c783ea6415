//! The status of a developer or registration: set from `pending`, revoked only from `approved`, and
//! read again right before the write. What a person decided meanwhile stays.

use konnect::{ApplicationId, DeveloperId, DeveloperStatus, RegistrationId, RegistrationStatus};

use crate::act::Target;
use crate::act::decide::{GoalState, of_status};
use crate::act::deeds::{Completion, DeedContext, Outcome, team};
use crate::act::read_back::ReadBack;
use crate::act::trouble::Trouble;

fn refused(context: &DeedContext<'_>, object: &str, now: &str) -> Outcome {
    let before = context.claimed.deed.statuses().map_or("", |(from, _)| from);
    Outcome::Refused(format!(
        "the {object} is {now}, no longer {before}: somebody else decided"
    ))
}

/// Gives a developer the status.
pub(super) async fn set_developer(
    context: &DeedContext<'_>,
    wanted: &DeveloperStatus,
) -> Result<Outcome, Trouble> {
    let now = developer(context, team::developer(context)?).await?;
    answer_developer(context, &now, wanted).await
}

/// A developer's status at this moment, read once an attempt.
pub(in crate::act) async fn developer(
    context: &DeedContext<'_>,
    id: DeveloperId,
) -> Result<DeveloperStatus, Trouble> {
    let read = |read_back: &ReadBack| Some(read_back.developer(id)?.status.clone());
    if let Some(status) = context.known(read) {
        return Ok(status);
    }
    let found = context
        .client
        .portal(context.portal())
        .developers()
        .get(id)
        .await;
    let found = found.map_err(Trouble::on_read("developer"))?;
    let status = found.status.clone();
    context.read_back(|read_back| read_back.developers.push(found));
    Ok(status)
}

/// Gives a developer, whose status `now` was just read, the status.
pub(super) async fn answer_developer(
    context: &DeedContext<'_>,
    now: &DeveloperStatus,
    wanted: &DeveloperStatus,
) -> Result<Outcome, Trouble> {
    match of_status(&context.claimed.deed, now.as_str()) {
        GoalState::Goal => Ok(context.already_true(now.as_str())),
        GoalState::Status => Ok(refused(context, "developer", now.as_str())),
        GoalState::Work => {
            context.note_write().await?;
            let developers = context.client.portal(context.portal()).developers();
            let after = developers
                .set_status(team::developer(context)?, wanted)
                .await
                .map_err(Trouble::Api)?;
            written(after.status.as_str(), wanted.as_str())?;
            context.read_back(|read_back| read_back.developers.push(after));
            Ok(Outcome::Done(Completion::Written))
        }
    }
}

/// The registration's status at this moment, read once an attempt.
pub(in crate::act) async fn registration(
    context: &DeedContext<'_>,
) -> Result<RegistrationStatus, Trouble> {
    let (application, id) = registration_of(context)?;
    let read = |read_back: &ReadBack| Some(read_back.registration(id)?.status.clone());
    if let Some(status) = context.known(read) {
        return Ok(status);
    }
    let registrations = context.client.portal(context.portal()).registrations();
    let now = registrations.get(application, id).await;
    let now = now.map_err(Trouble::on_read("registration"))?;
    let status = now.status.clone();
    context.read_back(|read_back| read_back.registrations.push(now));
    Ok(status)
}

fn registration_of(context: &DeedContext<'_>) -> Result<(ApplicationId, RegistrationId), Trouble> {
    match context.claimed.target {
        Target::Registration { id, application_id } => {
            Ok((ApplicationId(application_id), RegistrationId(id)))
        }
        other => Err(Trouble::WrongTarget(other.kind())),
    }
}

/// Gives a registration the status.
pub(super) async fn set_registration(
    context: &DeedContext<'_>,
    wanted: &RegistrationStatus,
) -> Result<Outcome, Trouble> {
    let (application, id) = registration_of(context)?;
    let status = registration(context).await?;
    let registrations = context.client.portal(context.portal()).registrations();
    match of_status(&context.claimed.deed, status.as_str()) {
        GoalState::Goal => Ok(context.already_true(status.as_str())),
        GoalState::Status => Ok(refused(context, "registration", status.as_str())),
        GoalState::Work => {
            context.note_write().await?;
            let after = registrations
                .set_status(application, id, wanted)
                .await
                .map_err(Trouble::Api)?;
            written(after.status.as_str(), wanted.as_str())?;
            context.read_back(|read_back| read_back.registrations.push(after));
            Ok(Outcome::Done(Completion::Written))
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
