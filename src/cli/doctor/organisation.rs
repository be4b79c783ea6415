//! Check of the webhook of the organisation's log, where usher is to be sent that log.

use std::slice;

use crate::cli::doctor::finding::{Finding, Status};
use crate::cli::doctor::konnect::{GUIDE, left_out};
use crate::cli::doctor::konnect_facts::Slot;
use crate::cli::doctor::subject::Subject;
use crate::cli::doctor::webhook::{Leads, judge_destinations, judge_slots, judge_status, leads};
use crate::config::OrgLogs;

/// Whether the organisation sends its log to usher, and how the last delivery went.
pub(super) async fn webhook(subject: &Subject) -> Finding {
    match subject.config.backfill.org_logs {
        OrgLogs::Webhook => {}
        OrgLogs::Off => {
            return Finding::skipped(
                "backfill.org_logs is off: no log of the organisation is awaited",
            );
        }
        OrgLogs::Pull => {
            return Finding::skipped("backfill.org_logs is pull: the organisation's log is pulled");
        }
    }
    if let Some(left_out) = left_out(subject).await {
        return left_out;
    }
    match subject.konnect.organisation().await {
        Some(slot) => judge(&slot, &subject.config.ingest.path),
        None => Finding::skipped("no call can be made, see konnect"),
    }
}

/// What is wrong first: the webhook, its destination, or its last delivery.
fn judge(slot: &Slot, path: &str) -> Finding {
    let is_bound = match &slot.webhook {
        Ok(webhook) => webhook.is_some_and(|it| it.audit_log_destination_id.is_some()),
        Err(refused) => match refused.status {
            Some(401) => return Finding::skipped("the token is refused, see konnect-token"),
            Some(403) => {
                let told = "the token may not read the webhook of the organisation (403)";
                return Finding::warning(told, GUIDE);
            }
            // Konnect knows none before the first.
            Some(404) => false,
            // It is told with the other troubles of a webhook.
            _ => true,
        },
    };
    if !is_bound {
        return Finding::failed(
            "backfill.org_logs is webhook, and the organisation sends its log to nobody",
            slot.log.setup(),
        );
    }
    let found = judge_slots(slice::from_ref(slot), path);
    if found.status != Status::Ok {
        return found;
    }
    if let Leads::Here(destination) = leads(slot, path) {
        let found = judge_destinations(&[(slot, destination)], path);
        if found.status != Status::Ok {
            return found;
        }
    }
    judge_status(&[slot], path)
}

#[cfg(test)]
mod tests {
    use konnect::{DeliveryState, Destination, LogFormat, Webhook, WebhookStatus};
    use uuid::Uuid;

    use super::judge;
    use crate::cli::doctor::finding::Status;
    use crate::cli::doctor::konnect_facts::{Refused, SeenLog, Slot};

    const PATH: &str = "/audit-logs";

    fn refused(status: u16) -> Refused {
        Refused {
            status: Some(status),
            why: "refused".to_owned(),
        }
    }

    fn ours() -> Slot {
        let id = Uuid::from_u128(1).into();
        Slot {
            log: SeenLog::Organisation,
            webhook: Ok(Some(Webhook {
                enabled: true,
                audit_log_destination_id: Some(id),
            })),
            destination: Some(Ok(Destination {
                id,
                name: "usher-org".to_owned(),
                endpoint: "https://in.example/audit-logs".to_owned(),
                log_format: Some(LogFormat::Json),
                skip_ssl_verification: false,
                created_at: None,
                updated_at: None,
            })),
            status: Some(Ok(WebhookStatus {
                webhook_status: Some(DeliveryState::Active),
                webhook_enabled: true,
                last_attempt_at: None,
                last_response_code: None,
                last_response_message: None,
            })),
        }
    }

    fn with(change: impl FnOnce(&mut Slot)) -> Slot {
        let mut slot = ours();
        change(&mut slot);
        slot
    }

    fn destination(change: impl FnOnce(&mut Destination)) -> Slot {
        with(|slot| {
            if let Some(Ok(destination)) = &mut slot.destination {
                change(destination);
            }
        })
    }

    #[test]
    fn what_is_wrong_with_the_webhook_of_the_organisation_is_told() {
        for (slot, status, word) in [
            (ours(), Status::Ok, "the organisation: nothing was sent yet"),
            (
                with(|slot| slot.webhook = Ok(None)),
                Status::Failed,
                "sends its log to nobody",
            ),
            (
                with(|slot| slot.webhook = Err(refused(404))),
                Status::Failed,
                "sends its log to nobody",
            ),
            (
                with(|slot| slot.webhook = Err(refused(403))),
                Status::Warning,
                "may not read the webhook of the organisation",
            ),
            (
                with(|slot| slot.webhook = Err(refused(401))),
                Status::Skipped,
                "konnect-token",
            ),
            (
                with(|slot| slot.webhook = Err(refused(500))),
                Status::Warning,
                "cannot be read",
            ),
            (
                with(|slot| {
                    slot.webhook = slot.webhook.clone().map(|it| {
                        it.map(|it| Webhook {
                            enabled: false,
                            ..it
                        })
                    });
                }),
                Status::Failed,
                "the webhook of the organisation is off",
            ),
            (
                destination(|it| {
                    it.name = "splunk".to_owned();
                    it.endpoint = "https://splunk.example/hec".to_owned();
                }),
                Status::Failed,
                "destination splunk",
            ),
            (
                destination(|it| it.endpoint = "https://in.example/audit".to_owned()),
                Status::Failed,
                "posts to /audit,",
            ),
            // Whose destination it is may not be read, and how it fares may.
            (
                with(|slot| slot.destination = Some(Err(refused(403)))),
                Status::Ok,
                "nothing was sent",
            ),
            (
                with(|slot| {
                    if let Some(Ok(status)) = &mut slot.status {
                        status.webhook_status = Some(DeliveryState::Inactive);
                        status.last_response_code = Some(401);
                    }
                }),
                Status::Failed,
                "none of ingest.authorization",
            ),
        ] {
            let found = judge(&slot, PATH);
            assert_eq!(found.status, status, "{found:?}");
            assert!(found.detail.contains(word), "{found:?}");
            let mend = found.mend.unwrap_or_default();
            assert!(!mend.contains("--portal"), "{mend}");
        }
    }
}
