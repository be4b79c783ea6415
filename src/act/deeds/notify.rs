//! Sends the decision to a receiver outside. At least once: the id stays the same over attempts.

use konnect::{ApplicationId, DeveloperId, RegistrationId};
use serde_json::Value;
use uuid::Uuid;

use crate::act::Target;
use crate::act::calls;
use crate::act::deeds::{Completion, DeedContext, Outcome};
use crate::act::notify::{AlertNotice, Key, Message, Person, SignedRequest};
use crate::act::trouble::Trouble;
use crate::directory::{ApplicationRecord, DeveloperRecord, OwnerRecord, Subject};
use crate::event::{Alert, render};
use crate::journal::JournalError;
use crate::rules::NoticeFormat;

pub(super) async fn carry_out(
    context: &DeedContext<'_>,
    url: &str,
    format: NoticeFormat,
    secret: Option<&str>,
) -> Result<Outcome, Trouble> {
    let notifier = context.notifier;
    let url = notifier.url(url).await.map_err(Trouble::Notice)?;
    let key = match format {
        NoticeFormat::Standard => notifier.key(secret).await.map_err(Trouble::Notice)?,
        NoticeFormat::Slack => Key::None,
    };
    let message = message(context).await?;
    let signed = SignedRequest {
        id: context.claimed.row.id,
        url,
        key,
        body: match format {
            NoticeFormat::Standard => message.standard(),
            NoticeFormat::Slack => message.slack(),
        },
    };
    context.note_write().await?;
    let posted = notifier.post(&signed).await;
    calls::note_notice(match &posted {
        Ok(status) => Some(*status),
        Err(error) => error.status(),
    });
    posted.map_err(Trouble::Notice)?;
    Ok(Outcome::Done(Completion::Elsewhere))
}

/// The message, from what the directory has about the target now: a person who was forgotten
/// meanwhile is not named.
async fn message(context: &DeedContext<'_>) -> Result<Message, Trouble> {
    let (directory, portal) = (context.directory, context.portal());
    let target = context.claimed.target;
    let row = &context.claimed.row;
    let name = directory.portal(portal).await?.map(|portal| portal.name);
    let mut message = Message {
        action_id: row.id,
        rule: row.rule.clone(),
        signal: row.signal.clone(),
        portal_id: Some(portal.0).filter(|id| !id.is_nil()),
        portal: name,
        target,
        developer: None,
        application: None,
        api: None,
        deeds: context.queue.before(row.id).await?,
        alert: None,
        causes: row.causes.clone(),
        page: None,
        decided_at: row.created_at,
    };
    if let Ok(alert) = message.signal.parse() {
        message.alert = Some(notice_of(context, alert, message.causes.first()).await?);
    }
    message.name_page(context.notifier.console());
    match target {
        Target::Developer { id } => {
            let found = directory.developer(portal, DeveloperId(id)).await?;
            message.developer = found.map(of_developer);
        }
        Target::Application { id } => {
            let found = directory.application(portal, ApplicationId(id)).await?;
            message.owned(found);
        }
        Target::Registration { id, .. } => {
            let found = directory.registration(portal, RegistrationId(id)).await?;
            if let Some(found) = found {
                message.api = Some(found.registration.api.name);
                message.owned(found.application);
            }
        }
        Target::Invitee { id } => {
            let subject = directory.subject(portal, DeveloperId(id)).await?;
            message.developer = Some(person(DeveloperId(id), subject, "invited"));
        }
        Target::Portal { .. } | Target::Usher => {}
    }
    Ok(message)
}

/// What the event says that led here. Retention may have deleted it.
async fn notice_of(
    context: &DeedContext<'_>,
    alert: Alert,
    cause: Option<&Uuid>,
) -> Result<AlertNotice, JournalError> {
    let stored = match cause {
        Some(cause) => context.queue.event(*cause).await?,
        None => None,
    };
    let event = stored.map(|event| render(&event)).unwrap_or_default();
    let text = |member: &str| {
        let value = event.get("data").and_then(|data| data.get(member));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(AlertNotice {
        state: text("state"),
        subject: text("subject"),
        detail: text("detail"),
        since: text("since"),
        advice: alert.advice(),
    })
}

impl Message {
    fn owned(&mut self, found: Option<ApplicationRecord>) {
        let Some(found) = found else { return };
        self.application = Some(found.application.name);
        self.developer = match found.owner {
            Some(OwnerRecord::Developer(developer, subject)) => {
                Some(person(developer.id, subject, developer.status.as_str()))
            }
            Some(OwnerRecord::Team(_)) | None => None,
        };
    }
}

fn of_developer(found: DeveloperRecord) -> Person {
    let developer = found.developer;
    person(developer.id, found.subject, developer.status.as_str())
}

fn person(id: DeveloperId, subject: Subject, status: &str) -> Person {
    Person {
        id: id.0,
        email: subject.email,
        full_name: subject.full_name,
        status: status.to_owned(),
    }
}
