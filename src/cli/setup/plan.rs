//! What is to be done in Konnect, from what is there and what is wanted. Pure.

use konnect::{Destination, DestinationId, LogFormat, PortalId, Webhook, WebhookStatus};
use serde::Serialize;

use crate::event::plain;

/// Whose log is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    Portal { id: PortalId, name: String },
    Organisation,
}

impl Whose {
    /// The name of its destination.
    pub(super) fn destination(&self) -> String {
        match self {
            Self::Portal { id, .. } => format!("usher-{id}"),
            Self::Organisation => "usher-org".to_owned(),
        }
    }

    /// The portal's id, none for the organisation.
    pub(super) fn portal(&self) -> Option<PortalId> {
        match self {
            Self::Portal { id, .. } => Some(*id),
            Self::Organisation => None,
        }
    }

    /// What it is, for people.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Portal { id, name } => format!("portal {id} ({})", plain(name)),
            Self::Organisation => "the organisation".to_owned(),
        }
    }
}

/// What shall be.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) whose: &'a Whose,
    pub(super) endpoint: &'a str,
    /// A value was made a moment ago, which no destination can have.
    pub(super) is_new_authorization: bool,
}

/// What is.
#[derive(Debug)]
pub(super) struct Found {
    /// All destinations of the organisation.
    pub(super) destinations: Vec<Destination>,
    pub(super) webhook: Option<Webhook>,
    pub(super) status: Option<WebhookStatus>,
}

/// A destination that has the webhook and is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Other {
    pub(super) id: DestinationId,
    pub(super) name: String,
    /// Empty where Konnect does not list it.
    pub(super) endpoint: String,
    pub(super) log_format: Option<LogFormat>,
}

impl Other {
    /// What it is, for people.
    pub(super) fn described(&self) -> String {
        if self.endpoint.is_empty() {
            return format!("{} (which Konnect does not list)", plain(&self.name));
        }
        format!("{} ({})", plain(&self.name), plain(&self.endpoint))
    }
}

impl Found {
    /// The destinations of that name, the one that the webhook has first, then the oldest.
    pub(super) fn named(&self, name: &str) -> Vec<&Destination> {
        let mut own: Vec<&Destination> = self
            .destinations
            .iter()
            .filter(|destination| destination.name == name)
            .collect();
        own.sort_by_key(|one| (Some(one.id) != self.bound(), one.created_at, one.id.0));
        own
    }

    /// The destination that the webhook has.
    pub(super) fn bound(&self) -> Option<DestinationId> {
        self.webhook.and_then(|it| it.audit_log_destination_id)
    }

    /// The destination that the webhook has where that is none of `name`.
    pub(super) fn other(&self, name: &str) -> Option<Other> {
        let bound = self.bound()?;
        let mut all = self.destinations.iter();
        match all.find(|destination| destination.id == bound) {
            Some(found) if found.name == name => None,
            Some(found) => Some(Other {
                id: bound,
                name: found.name.clone(),
                endpoint: found.endpoint.clone(),
                log_format: found.log_format.clone(),
            }),
            None => Some(Other {
                id: bound,
                name: format!("destination {bound}"),
                endpoint: String::new(),
                log_format: None,
            }),
        }
    }

    /// Whether the receiver refused the latest attempt for its authorization.
    fn is_refused(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| matches!(status.last_response_code, Some(401 | 403)))
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Makes our destination.
    Create,
    /// Changes our destination where it differs.
    Update {
        id: DestinationId,
        endpoint: bool,
        log_format: bool,
        authorization: bool,
    },
    /// Has the webhook deliver to our destination.
    Bind {
        /// Whether another destination is to be named.
        destination: bool,
        /// Whether it is to be turned on.
        enable: bool,
    },
    /// Turns the webhook off and forgets its destination.
    Unbind,
    /// Deletes a destination of ours.
    Delete { id: DestinationId },
}

/// One member that is, or would be, another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// `file`, `configuration`, `destination` or `webhook`.
    pub(super) object: &'static str,
    /// Which one.
    pub(super) name: String,
    pub(super) member: &'static str,
    /// What is; null where there is nothing.
    pub(super) is: Option<String>,
    /// What shall be; null where there shall be nothing.
    pub(super) will_be: Option<String>,
}

/// What is to be done, in this order, and what that changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<Change>,
    /// Another receiver loses the webhook by it.
    pub(super) taken_from: Option<Other>,
    /// A destination of another name that leads here too, and that nothing needs any more.
    pub(super) left_over: Option<Other>,
}

/// Shown in place of a value that Konnect never tells.
const NEVER_TOLD: &str = "(never told)";
const FROM_CONFIGURATION: &str = "(the first of ingest.authorization)";

/// What brings Konnect from `found` to `wanted`.
pub(super) fn plan(wanted: &Wanted<'_>, found: &Found) -> Plan {
    let name = wanted.whose.destination();
    let mut plan = Plan::default();
    let own = found.named(&name).first().copied();
    match own {
        None => create(&mut plan, wanted, &name),
        Some(own) => update(&mut plan, wanted, own, found.is_refused()),
    }
    let other = found.other(&name);
    let is_bound = other.is_none() && found.bound().is_some();
    let is_enabled = found.webhook.is_some_and(|webhook| webhook.enabled);
    if !is_bound || !is_enabled {
        plan.steps.push(Step::Bind {
            destination: !is_bound,
            enable: !is_enabled,
        });
    }
    let mut change = |member, is: Option<String>, will_be: &str| {
        plan.changes.push(Change {
            object: "webhook",
            name: wanted.whose.described(),
            member,
            is,
            will_be: Some(will_be.to_owned()),
        });
    };
    if !is_bound {
        change("destination", other.as_ref().map(Other::described), &name);
    }
    if !is_enabled {
        let is = found.webhook.map(|webhook| webhook.enabled.to_string());
        change("enabled", is, "true");
    }
    if let Some(other) = other {
        if other.endpoint == wanted.endpoint {
            plan.left_over = Some(other);
        } else {
            plan.taken_from = Some(other);
        }
    }
    plan
}

fn create(plan: &mut Plan, wanted: &Wanted<'_>, name: &str) {
    plan.steps.push(Step::Create);
    let members = [
        ("endpoint", wanted.endpoint),
        ("log_format", LogFormat::Json.as_str()),
        ("authorization", FROM_CONFIGURATION),
    ];
    plan.changes.extend(members.map(|(member, value)| Change {
        object: "destination",
        name: name.to_owned(),
        member,
        is: None,
        will_be: Some(value.to_owned()),
    }));
}

/// `refused` is the one sign that the destination has another value than usher accepts.
fn update(plan: &mut Plan, wanted: &Wanted<'_>, own: &Destination, refused: bool) {
    let endpoint = own.endpoint != wanted.endpoint;
    let log_format = own.log_format != Some(LogFormat::Json);
    let authorization = wanted.is_new_authorization || refused;
    if !(endpoint || log_format || authorization) {
        return;
    }
    plan.steps.push(Step::Update {
        id: own.id,
        endpoint,
        log_format,
        authorization,
    });
    let mut change = |member, is: Option<&str>, will_be: &str| {
        plan.changes.push(Change {
            object: "destination",
            name: own.name.clone(),
            member,
            is: is.map(plain),
            will_be: Some(will_be.to_owned()),
        });
    };
    if endpoint {
        change("endpoint", Some(&own.endpoint), wanted.endpoint);
    }
    if log_format {
        let is = own.log_format.as_ref().map(LogFormat::as_str);
        change("log_format", is, LogFormat::Json.as_str());
    }
    if authorization {
        change("authorization", Some(NEVER_TOLD), FROM_CONFIGURATION);
    }
}

/// What leaves nothing of `whose` in Konnect. Does not touch a webhook that is not ours.
pub(super) fn removal(whose: &Whose, found: &Found) -> Plan {
    let name = whose.destination();
    let mut plan = Plan {
        taken_from: found.other(&name),
        ..Plan::default()
    };
    if plan.taken_from.is_none() && found.bound().is_some() {
        plan.steps.push(Step::Unbind);
        plan.changes.push(Change {
            object: "webhook",
            name: whose.described(),
            member: "destination",
            is: Some(name.clone()),
            will_be: None,
        });
    }
    for own in found.named(&name) {
        plan.steps.push(Step::Delete { id: own.id });
        plan.changes.push(Change {
            object: "destination",
            name: name.clone(),
            member: "endpoint",
            is: Some(plain(&own.endpoint)),
            will_be: None,
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const PORTAL: PortalId = PortalId(Uuid::from_u128(7));
    const ENDPOINT: &str = "https://u.example/audit-logs";

    fn whose() -> Whose {
        Whose::Portal {
            id: PORTAL,
            name: "Main".to_owned(),
        }
    }

    fn id(number: u128) -> DestinationId {
        DestinationId(Uuid::from_u128(number))
    }

    fn destination(number: u128, name: &str, endpoint: &str, format: &str) -> Destination {
        let value = json!({
            "id": id(number), "name": name, "endpoint": endpoint, "log_format": format,
        });
        serde_json::from_value(value).unwrap()
    }

    fn own(endpoint: &str, format: &str) -> Destination {
        destination(1, &whose().destination(), endpoint, format)
    }

    fn found(
        destinations: Vec<Destination>,
        webhook: Option<(Option<u128>, bool)>,
        code: Option<u64>,
    ) -> Found {
        let status = json!({ "last_response_code": code });
        Found {
            destinations,
            webhook: webhook.map(|(bound, enabled)| Webhook {
                enabled,
                audit_log_destination_id: bound.map(id),
            }),
            status: serde_json::from_value(status).ok(),
        }
    }

    fn planned(found: &Found) -> Plan {
        let whose = whose();
        let wanted = Wanted {
            whose: &whose,
            endpoint: ENDPOINT,
            is_new_authorization: false,
        };
        plan(&wanted, found)
    }

    fn members(plan: &Plan) -> Vec<(&str, Value, Value)> {
        let changes = plan.changes.iter();
        changes
            .map(|one| (one.member, json!(one.is), json!(one.will_be)))
            .collect()
    }

    #[test]
    fn writes_only_what_differs() {
        let update = |endpoint, log_format, authorization| Step::Update {
            id: id(1),
            endpoint,
            log_format,
            authorization,
        };
        let bind = |destination, enable| Step::Bind {
            destination,
            enable,
        };
        let siem = || destination(2, "siem", "https://siem.example", "cef");
        let right = || own(ENDPOINT, "json");
        for (found, steps) in [
            (
                found(vec![], None, None),
                vec![Step::Create, bind(true, true)],
            ),
            (
                found(vec![right()], Some((Some(1), true)), Some(200)),
                vec![],
            ),
            (
                found(vec![right()], Some((Some(1), true)), Some(500)),
                vec![],
            ),
            (
                found(vec![right()], Some((Some(1), true)), Some(401)),
                vec![update(false, false, true)],
            ),
            (
                found(vec![right()], Some((Some(1), false)), None),
                vec![bind(false, true)],
            ),
            (
                found(vec![right()], Some((None, false)), None),
                vec![bind(true, true)],
            ),
            (
                found(
                    vec![own("https://a.example", "cef")],
                    Some((Some(1), true)),
                    None,
                ),
                vec![update(true, true, false)],
            ),
            (
                found(vec![siem(), right()], Some((Some(2), true)), None),
                vec![bind(true, false)],
            ),
        ] {
            assert_eq!(planned(&found).steps, steps, "{found:?}");
        }
    }

    #[test]
    fn names_who_would_lose_the_webhook() {
        let siem = destination(2, "siem", "https://siem.example", "cef");
        let plan = planned(&found(vec![siem], Some((Some(2), true)), None));
        assert_eq!(plan.taken_from.as_ref().map(|it| it.id), Some(id(2)));
        assert_eq!(
            members(&plan).last().unwrap(),
            &(
                "destination",
                json!("siem (https://siem.example)"),
                json!(whose().destination())
            )
        );
        // Another name for the same endpoint is nobody else.
        let here = destination(2, "usher", ENDPOINT, "json");
        let plan = planned(&found(vec![here], Some((Some(2), true)), None));
        assert_eq!(plan.taken_from, None);
        assert_eq!(plan.left_over.map(|it| it.name), Some("usher".to_owned()));
        // One that Konnect does not list may be anybody's.
        let plan = planned(&found(vec![], Some((Some(9), false)), None));
        assert_eq!(plan.taken_from.map(|it| it.id), Some(id(9)));
    }

    #[test]
    fn a_removal_leaves_nothing_and_touches_nobody_else() {
        let siem = || destination(2, "siem", "https://siem.example", "cef");
        let twin = || destination(3, &whose().destination(), "https://old.example", "json");
        for (found, steps, is_refused) in [
            (found(vec![siem()], None, None), vec![], false),
            (
                found(
                    vec![twin(), own(ENDPOINT, "json")],
                    Some((Some(1), true)),
                    None,
                ),
                vec![
                    Step::Unbind,
                    Step::Delete { id: id(1) },
                    Step::Delete { id: id(3) },
                ],
                false,
            ),
            (
                found(
                    vec![siem(), own(ENDPOINT, "json")],
                    Some((Some(2), true)),
                    None,
                ),
                vec![Step::Delete { id: id(1) }],
                true,
            ),
        ] {
            let plan = removal(&whose(), &found);
            assert_eq!(plan.steps, steps);
            assert_eq!(plan.taken_from.is_some(), is_refused);
        }
    }
}
