//! All facts that rules may use for one signal, read from the directory as it is now. Calls no API.

use chrono::{DateTime, Utc};
use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::act::decide::own::{Past, is_own};
use crate::act::decide::subject_facts::SubjectFacts;
use crate::act::{Queue, Target};
use crate::directory::{
    ApplicationRecord, DeveloperRecord, Directory, Owner, OwnerRecord, PortalView, Registration,
    Subject, Subjects,
};
use crate::event::Signal;
use crate::journal::JournalError;
use crate::rules::{
    ApiFacts, ApplicationFacts, DeveloperFacts, Facts, OwnedApplicationFacts, OwnerFacts,
    PortalFacts, RegistrationFacts, RuleSet, SignalFacts, TargetKind, TeamFacts,
};

/// The facts about a signal.
#[derive(Debug, Clone)]
pub struct GatheredFacts {
    /// The facts for rules. Contain names and addresses: not to be stored.
    pub facts: Facts,
    /// The registration that a deed would change.
    registration: Option<Target>,
    /// Whom a deed would invite.
    invitee: Option<Target>,
}

/// Gathers the facts about `signal`, judged at `now`. `event` is the audit event where it is itself
/// the evidence, `own` says whether usher's account or Konnect caused it. The directory is today's;
/// of a signal of the `past`, the actions of that time show what usher itself did.
pub async fn gather_facts(
    (directory, queue): (&Directory, &Queue),
    signal: &Signal,
    event: Option<Map<String, Value>>,
    own: bool,
    (now, past): (DateTime<Utc>, Option<Past<'_>>),
) -> Result<GatheredFacts, JournalError> {
    let view = load_related(directory, [signal]).await?;
    let found = SubjectFacts::within(&view, signal);
    let own = own || is_own(queue, signal, &found, past).await?;
    Ok(assemble(found, signal, event, own, now))
}

/// Loads the portal view of everybody that signals of one portal are about.
pub async fn load_related<'a>(
    directory: &Directory,
    signals: impl IntoIterator<Item = &'a Signal>,
) -> Result<PortalView, JournalError> {
    let mut portal = PortalId(Uuid::nil());
    let mut subjects = Subjects::default();
    for signal in signals {
        portal = PortalId(signal.portal_id);
        subjects
            .developers
            .extend(signal.developer_id.map(DeveloperId));
        subjects
            .applications
            .extend(signal.application_id.map(ApplicationId));
        subjects
            .registrations
            .extend(signal.registration_id.map(RegistrationId));
    }
    directory.load_related(portal, &subjects).await
}

/// Assembles the facts from what was found: pure.
pub fn assemble(
    found: SubjectFacts,
    signal: &Signal,
    event: Option<Map<String, Value>>,
    own: bool,
    now: DateTime<Utc>,
) -> GatheredFacts {
    let target = found
        .registration
        .as_ref()
        .map(|registration| Target::Registration {
            id: registration.id.0,
            application_id: registration.application_id.0,
        });
    let subject = found.developer.as_ref().map(|found| &found.subject);
    let is_forgotten = subject.is_some_and(Subject::is_forgotten);
    GatheredFacts {
        facts: Facts {
            signal: SignalFacts {
                kind: signal.kind.to_string(),
                from_status: signal.from_status.clone(),
                at: signal.occurred_at,
                own,
            },
            portal: PortalFacts {
                id: signal.portal_id,
                name: found.portal_name,
            },
            developer: found.developer.map(developer_facts),
            application: found.application.map(application_facts),
            registration: found.registration.map(registration_facts),
            event,
            now,
            is_again: false,
            is_forgotten,
        },
        registration: target,
        invitee: None,
    }
}

impl GatheredFacts {
    /// Stores the address that the event names, if one of the rules on it may invite its owner: no
    /// other address is stored.
    pub async fn keep_invitee(
        &mut self,
        directory: &Directory,
        rules: &RuleSet,
    ) -> Result<(), JournalError> {
        let invites = rules
            .listening_to(&self.facts.signal.kind)
            .flat_map(|rule| &rule.then)
            .any(|deed| deed.target() == TargetKind::Invitee);
        if let Some((email, name)) = self.facts.invitee().filter(|_| invites) {
            let portal = PortalId(self.facts.portal.id);
            let id = directory.invitee(portal, email, name).await?;
            self.invitee = Some(Target::Invitee { id: id.0 });
        }
        Ok(())
    }

    /// Takes the signal's subject for the person to invite, so that asking for a decision stores no
    /// address.
    pub fn suppose_invitee(&mut self) {
        let invitee = self.facts.developer.as_ref().map(|found| found.id);
        self.invitee = invitee.map(|id| Target::Invitee { id });
    }

    /// Whether the directory had everybody whom the signal names: only then does a negative
    /// decision count.
    pub fn is_complete(&self, signal: &Signal) -> bool {
        let facts = &self.facts;
        !facts.is_forgotten
            && (signal.developer_id.is_none() || facts.developer.is_some())
            && (signal.application_id.is_none() || facts.application.is_some())
            && (signal.registration_id.is_none() || facts.registration.is_some())
    }

    /// The target of a deed of this kind.
    pub fn target(&self, kind: TargetKind) -> Option<Target> {
        let developer = || {
            self.facts
                .developer
                .as_ref()
                .map(|found| Target::Developer { id: found.id })
        };
        let application = || {
            self.facts
                .application
                .as_ref()
                .map(|found| Target::Application { id: found.id })
        };
        let subject = || self.registration.or_else(application).or_else(developer);
        match kind {
            TargetKind::Developer => developer(),
            TargetKind::Registration => self.registration,
            TargetKind::Subject => subject(),
            TargetKind::Anything => subject().or_else(|| {
                Some(match self.facts.portal.id {
                    id if id.is_nil() => Target::Usher,
                    id => Target::Portal { id },
                })
            }),
            TargetKind::Invitee => self.invitee,
        }
    }

    /// What the action stores of the facts: ids, statuses, teams, at most the domain of an address.
    pub fn summary(&self) -> Value {
        let facts = &self.facts;
        let mut summary = json!({
            "signal": {
                "kind": facts.signal.kind,
                "from_status": facts.signal.from_status,
                "at": facts.signal.at,
                "own": facts.signal.own,
            },
            "developer": facts.developer.as_ref().map(|developer| json!({
                "id": developer.id,
                "status": developer.status,
                "email_domain": domain(&developer.email),
                "teams": developer.teams.iter().map(|team| &team.name).collect::<Vec<_>>(),
            })),
            "application": facts.application.as_ref().map(|application| json!({
                "id": application.id,
                "owner_type": application.owner_type,
                "owner_id": application.owner_id,
            })),
            "registration": facts.registration.as_ref().map(|registration| json!({
                "id": registration.id,
                "status": registration.status,
                "api_id": registration.api.id,
                "api_name": registration.api.name,
            })),
            // The rules had only a part of these.
            "cut": facts.cut(),
        });
        if facts.is_forgotten {
            summary["developer"]["forgotten"] = Value::Bool(true);
        }
        summary
    }
}

/// The part after the only `@`; nothing where there are none or several, since the text may then
/// contain anything personal.
fn domain(email: &str) -> Option<String> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.contains('@')).then(|| domain.to_ascii_lowercase())
}

fn developer_facts(found: DeveloperRecord) -> DeveloperFacts {
    let created_at = found.developer.signed_up_at();
    DeveloperFacts {
        id: found.developer.id.0,
        email: found.subject.email.unwrap_or_default(),
        full_name: found.subject.full_name.unwrap_or_default(),
        status: found.developer.status.to_string(),
        created_at,
        teams: found
            .teams
            .into_iter()
            .map(|team| TeamFacts {
                id: team.id.0,
                name: team.name,
            })
            .collect(),
        applications: found
            .applications
            .into_iter()
            .map(|application| OwnedApplicationFacts {
                id: application.id.0,
                name: application.name,
            })
            .collect(),
    }
}

fn application_facts(found: ApplicationRecord) -> ApplicationFacts {
    let owner = found.application.owner;
    ApplicationFacts {
        id: found.application.id.0,
        name: found.application.name,
        // Older versions of the API do not name the owner.
        owner_type: owner
            .map(|owner| owner.kind().to_owned())
            .unwrap_or_default(),
        owner_id: owner.map(Owner::id).unwrap_or_default(),
        owner: found.owner.map(|owner| match owner {
            OwnerRecord::Developer(developer, subject) => OwnerFacts {
                id: developer.id.0,
                name: subject.full_name.unwrap_or_default(),
                email: subject.email,
            },
            OwnerRecord::Team(team) => OwnerFacts {
                id: team.id.0,
                name: team.name,
                email: None,
            },
        }),
    }
}

fn registration_facts(found: Registration) -> RegistrationFacts {
    let created_at = found.requested_at();
    RegistrationFacts {
        id: found.id.0,
        status: found.status.to_string(),
        created_at,
        api: ApiFacts {
            id: found.api.id.0,
            name: found.api.name,
            version: found.api.version,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::domain;

    #[test]
    fn keeps_no_more_of_an_address_than_its_domain() {
        let table = [
            ("kevin@ManchesterCity.com", Some("manchestercity.com")),
            ("kevin@arsenal.com@evil.example", None),
            ("kevin", None),
            ("@arsenal.com", None),
            ("", None),
        ];
        for (email, expected) in table {
            assert_eq!(domain(email).as_deref(), expected, "{email}");
        }
    }
}
