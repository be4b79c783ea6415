//! Creates a developer and makes Konnect invite them. A developer who exists is not made again, and
//! one whom a person turned away or revoked is not invited.

use konnect::{
    Developer, DeveloperId, DeveloperStatus, Error as ApiError, ListDevelopers, NewDeveloper,
};
use serde_json::json;

use crate::act::Target;
use crate::act::deeds::{Completion, DeedContext, Outcome};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(
    context: &DeedContext<'_>,
    pending: bool,
) -> Result<Outcome, Trouble> {
    let Target::Invitee { id } = context.claimed.target else {
        return Err(Trouble::WrongTarget(context.claimed.target.kind()));
    };
    let subject = context.directory.subject(context.portal(), DeveloperId(id));
    let subject = subject.await?;
    let Some(email) = subject.email else {
        return Ok(Outcome::Refused("the address was forgotten".to_owned()));
    };
    if let Some(known) = find(context, &email).await? {
        return Ok(judge(context, &known));
    }
    context.note_write().await?;
    let name = email.split('@').next().unwrap_or_default();
    let new = NewDeveloper {
        // Konnect asks for a name, and not every sender has one.
        full_name: subject.full_name.unwrap_or_else(|| name.to_owned()),
        status: Some(if pending {
            DeveloperStatus::Pending
        } else {
            DeveloperStatus::Approved
        }),
        send_invitation_email: true,
        email: email.clone(),
    };
    match context
        .client
        .portal(context.portal())
        .developers()
        .create(&new)
        .await
    {
        Ok(made) => Ok(Outcome::Done(Completion::Reported {
            reason: None,
            report: json!({ "developer_id": made.id }),
        })),
        Err(error) if error.is_conflict() => match find(context, &email).await? {
            Some(known) => Ok(judge(context, &known)),
            // The list does not show them yet.
            None => Err(Trouble::Personal(error)),
        },
        Err(error) => Err(Trouble::Personal(error)),
    }
}

/// The developer of exactly this address: a filter may match more than was asked for.
async fn find(context: &DeedContext<'_>, email: &str) -> Result<Option<Developer>, Trouble> {
    let options = ListDevelopers {
        email: Some(email.into()),
        ..ListDevelopers::default()
    };
    let developers = context.client.portal(context.portal()).developers();
    let found = developers.list(&options).await.map_err(on_list)?;
    let same = |one: &Developer| one.email.eq_ignore_ascii_case(email);
    Ok(found.into_iter().find(same))
}

fn on_list(error: ApiError) -> Trouble {
    if error.is_not_found() {
        Trouble::Gone("portal")
    } else {
        Trouble::Personal(error)
    }
}

fn judge(context: &DeedContext<'_>, known: &Developer) -> Outcome {
    match known.status {
        DeveloperStatus::Approved | DeveloperStatus::Pending => {
            context.already_true(known.status.as_str())
        }
        _ => Outcome::Refused(format!(
            "the developer is {}: somebody else decided",
            known.status.as_str()
        )),
    }
}
