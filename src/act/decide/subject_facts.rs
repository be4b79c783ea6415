//! What the directory has about the subject of one signal, found in a portal view: pure.

use konnect::{ApplicationId, DeveloperId, RegistrationId};

use crate::directory::{
    ApplicationRecord, DeveloperRecord, OwnerRecord, PortalView, Registration, RegistrationRecord,
};
use crate::event::Signal;

/// What the directory has about the subject of a signal. Objects that are gone do not count.
#[derive(Debug, Default)]
pub struct SubjectFacts {
    pub portal_name: String,
    pub developer: Option<DeveloperRecord>,
    pub application: Option<ApplicationRecord>,
    pub registration: Option<Registration>,
}

impl SubjectFacts {
    /// Finds it in a portal view that contains everybody concerned.
    pub fn within(view: &PortalView, signal: &Signal) -> Self {
        let registration = signal
            .registration_id
            .and_then(|id| view.registration(RegistrationId(id)));
        let (registration, application) = alive(registration);
        let application = match (application, signal.application_id) {
            (None, Some(id)) => view.application(ApplicationId(id)),
            (application, _) => application,
        };
        let application = application.filter(|found| !found.application.row_version.is_gone());
        let developer =
            developer_of(signal, application.as_ref()).and_then(|id| view.developer(id));
        Self {
            portal_name: view.portal_name().to_owned(),
            developer: developer.filter(|found| !found.developer.row_version.is_gone()),
            application,
            registration,
        }
    }
}

fn alive(found: Option<RegistrationRecord>) -> (Option<Registration>, Option<ApplicationRecord>) {
    match found.filter(|found| !found.registration.row_version.is_gone()) {
        Some(found) => (Some(found.registration), found.application),
        None => (None, None),
    }
}

/// The subject of a signal: the developer it names, else the owner of the application.
fn developer_of(signal: &Signal, application: Option<&ApplicationRecord>) -> Option<DeveloperId> {
    let owner = || match application?.owner.as_ref()? {
        OwnerRecord::Developer(developer, _) => Some(developer.id),
        OwnerRecord::Team(_) => None,
    };
    signal.developer_id.map(DeveloperId).or_else(owner)
}
