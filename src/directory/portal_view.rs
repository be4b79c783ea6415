//! The people of one portal and their related objects in memory: the queries of `find` without a
//! query each. Loaded from the tables in a few queries for many people, or taken from a snapshot
//! alone for a dry run, which has no tables. Compares nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use konnect::{
    ApplicationId, DeveloperId, DeveloperStatus, PortalId, RegistrationId, RegistrationStatus,
    TeamId,
};

use crate::directory::compare::stored_text;
use crate::directory::objects::{
    Api, Application, ApplicationRecord, Developer, DeveloperRecord, Owner, OwnerRecord, Portal,
    Registration, RegistrationRecord, RowVersion, Team,
};
use crate::directory::{Snapshot, Subject};

/// A part of a portal's stored state. An object that is gone is included, and flagged, where it was
/// asked for by id.
#[derive(Debug)]
pub struct PortalView {
    pub(super) portal: Option<Portal>,
    pub(super) developers: HashMap<DeveloperId, Developer>,
    pub(super) subjects: HashMap<DeveloperId, Subject>,
    pub(super) teams: HashMap<TeamId, Team>,
    pub(super) teams_of: HashMap<DeveloperId, Vec<TeamId>>,
    pub(super) applications: HashMap<ApplicationId, Application>,
    pub(super) applications_of: HashMap<DeveloperId, Vec<ApplicationId>>,
    pub(super) registrations: HashMap<RegistrationId, Registration>,
}

impl PortalView {
    /// What a complete `snapshot`, taken at `at`, shows by itself.
    pub fn of(snapshot: &Snapshot, at: DateTime<Utc>) -> Self {
        let row_version = RowVersion {
            sweep: 0,
            revision: 1,
            first_at: at,
            last_at: at,
            gone_at: None,
        };
        let portal_id = snapshot.portal_id;
        let mut view = Self::empty();
        view.portal = snapshot
            .portal
            .as_ref()
            .map(|read| portal(read, row_version));
        for read in &snapshot.developers {
            view.subjects.insert(read.id, subject(read));
            let known = developer(portal_id, read, row_version);
            view.developers.insert(read.id, known);
        }
        for read in &snapshot.teams {
            view.teams
                .insert(read.id, team(portal_id, read, row_version));
        }
        for (team, developer) in &snapshot.memberships {
            let teams = view.teams_of.entry(*developer).or_default();
            teams.push(*team);
        }
        for read in &snapshot.applications {
            let known = application(portal_id, read, row_version);
            view.applications.insert(read.id, known);
        }
        for read in &snapshot.registrations {
            let known = registration(portal_id, read, row_version);
            view.registrations.insert(read.id, known);
        }
        view.note_owners();
        view
    }

    pub(super) fn empty() -> Self {
        Self {
            portal: None,
            developers: HashMap::new(),
            subjects: HashMap::new(),
            teams: HashMap::new(),
            teams_of: HashMap::new(),
            applications: HashMap::new(),
            applications_of: HashMap::new(),
            registrations: HashMap::new(),
        }
    }

    /// Adds the owners of the applications, once all of them are loaded.
    pub(super) fn note_owners(&mut self) {
        for known in self.applications.values() {
            if let Some(owner) = known.owner.and_then(Owner::developer)
                && !known.row_version.is_gone()
            {
                let owned = self.applications_of.entry(owner).or_default();
                owned.push(known.id);
            }
        }
    }

    /// The portal's name; empty where it was not read yet.
    pub fn portal_name(&self) -> &str {
        self.portal
            .as_ref()
            .map_or("", |portal| portal.name.as_str())
    }

    /// The developers who wait for an answer, oldest first.
    pub fn pending_developers(&self) -> Vec<&Developer> {
        let mut pending: Vec<&Developer> = self
            .developers
            .values()
            .filter(|known| {
                known.status == DeveloperStatus::Pending && !known.row_version.is_gone()
            })
            .collect();
        pending.sort_by_key(|known| (known.created_at, known.id.0));
        pending
    }

    /// The registrations that wait for an answer, oldest first.
    pub fn pending_registrations(&self) -> Vec<&Registration> {
        let mut pending: Vec<&Registration> = self
            .registrations
            .values()
            .filter(|known| {
                known.status == RegistrationStatus::Pending && !known.row_version.is_gone()
            })
            .collect();
        pending.sort_by_key(|known| (known.created_at, known.id.0));
        pending
    }

    /// How many teams have exactly this name.
    pub fn teams_named(&self, name: &str) -> usize {
        let named = |team: &&Team| team.name == name && !team.row_version.is_gone();
        self.teams.values().filter(named).count()
    }

    /// Finds a developer with e-mail and name, teams and applications.
    pub fn developer(&self, id: DeveloperId) -> Option<DeveloperRecord> {
        let developer = self.developers.get(&id)?.clone();
        let mut teams: Vec<Team> = self
            .teams_of
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|team| self.teams.get(team))
            .filter(|team| !team.row_version.is_gone())
            .cloned()
            .collect();
        teams.sort_by(|a, b| (&a.name, a.id.0).cmp(&(&b.name, b.id.0)));
        let mut applications: Vec<Application> = self
            .applications_of
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|application| self.applications.get(application))
            .cloned()
            .collect();
        applications.sort_by_key(|application| (application.created_at, application.id.0));
        Some(DeveloperRecord {
            developer,
            subject: self.subject(id),
            teams,
            applications,
        })
    }

    /// Finds an application with its owner.
    pub fn application(&self, id: ApplicationId) -> Option<ApplicationRecord> {
        let application = self.applications.get(&id)?.clone();
        let owner = application.owner.and_then(|owner| match owner {
            Owner::Developer(id) => self
                .developers
                .get(&id)
                .map(|owner| OwnerRecord::Developer(owner.clone(), self.subject(id))),
            Owner::Team(id) => self.teams.get(&id).cloned().map(OwnerRecord::Team),
        });
        Some(ApplicationRecord { application, owner })
    }

    /// Finds a registration with its application and the application's owner.
    pub fn registration(&self, id: RegistrationId) -> Option<RegistrationRecord> {
        let registration = self.registrations.get(&id)?.clone();
        let application = self.application(registration.application_id);
        Some(RegistrationRecord {
            registration,
            application,
        })
    }

    /// The developer who owns an application.
    pub fn owner_of(&self, application: ApplicationId) -> Option<DeveloperId> {
        self.applications.get(&application)?.owner?.developer()
    }

    fn subject(&self, id: DeveloperId) -> Subject {
        self.subjects.get(&id).cloned().unwrap_or_default()
    }
}

fn portal(read: &konnect::Portal, row_version: RowVersion) -> Portal {
    Portal {
        id: read.id,
        name: stored_text(&read.name),
        auto_approve_developers: read.auto_approve_developers.unwrap_or(false),
        auto_approve_applications: read.auto_approve_applications.unwrap_or(false),
        created_at: read.created_at,
        updated_at: read.updated_at,
        row_version,
    }
}

fn subject(read: &konnect::Developer) -> Subject {
    Subject {
        email: Some(stored_text(&read.email)),
        full_name: Some(stored_text(&read.full_name)),
    }
}

fn developer(portal_id: PortalId, read: &konnect::Developer, row_version: RowVersion) -> Developer {
    Developer {
        portal_id,
        id: read.id,
        status: read.status.clone(),
        created_at: read.created_at,
        updated_at: read.updated_at,
        row_version,
    }
}

fn team(portal_id: PortalId, read: &konnect::Team, row_version: RowVersion) -> Team {
    Team {
        portal_id,
        id: read.id,
        name: stored_text(&read.name),
        can_own_applications: read.can_own_applications.unwrap_or(false),
        created_at: read.created_at,
        updated_at: read.updated_at,
        row_version,
    }
}

fn application(
    portal_id: PortalId,
    read: &konnect::Application,
    row_version: RowVersion,
) -> Application {
    Application {
        portal_id,
        id: read.id,
        name: stored_text(&read.name),
        owner: read.owner.as_ref().and_then(Owner::from_api),
        created_at: read.created_at,
        updated_at: read.updated_at,
        row_version,
    }
}

fn registration(
    portal_id: PortalId,
    read: &konnect::Registration,
    row_version: RowVersion,
) -> Registration {
    Registration {
        portal_id,
        id: read.id,
        application_id: read.application.id,
        status: read.status.clone(),
        api: Api {
            id: read.api.id,
            name: stored_text(&read.api.name),
            version: read.api.version.as_deref().map(stored_text),
            entity_type: read.api.entity_type.clone(),
        },
        created_at: read.created_at,
        updated_at: read.updated_at,
        row_version,
    }
}
