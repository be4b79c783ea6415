//! The nouns of a portal through the client against the emulator: made, read, listed, changed,
//! taken away.

use std::slice::from_ref;

use konnect::{
    ApiId, ApplicationOwner, Client, CredentialKind, DeveloperId, DeveloperStatus, EntityRegion,
    Error, ListApplicationDevelopers, ListApplicationRegistrations, ListDevelopers, ListPortals,
    ListTeamMembers, ListTeams, ListTeamsOfDeveloper, Membership, NewApplication, NewDeveloper,
    NewPortal, NewRegistration, NewRole, NewTeam, OwnerType, Patch, PortalId, PortalScope,
    PortalUpdate, RegistrationStatus, TeamUpdate, TextFilter, Visibility,
};
use konnect_emulator::Emulator;
use serde_json::{Value, json};
use uuid::Uuid;

/// A local Konnect with a portal, and a client of it.
pub(crate) struct Konnect {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    portal: PortalId,
}

impl Konnect {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let client = Client::builder(emulator.url().parse().unwrap())
            .token(emulator.token().into())
            .build()
            .unwrap();
        let new = NewPortal {
            name: "Main".to_owned(),
            ..NewPortal::default()
        };
        let portal = client.portals().create(&new).await.unwrap().id;
        Self {
            emulator,
            client,
            portal,
        }
    }

    fn portal(&self) -> PortalScope<'_> {
        self.client.portal(self.portal)
    }

    async fn developer(&self, email: &str) -> DeveloperId {
        let new = NewDeveloper {
            email: email.to_owned(),
            full_name: "Ann".to_owned(),
            status: Some(DeveloperStatus::Approved),
            send_invitation_email: false,
        };
        self.portal().developers().create(&new).await.unwrap().id
    }

    /// An API that the portal publishes.
    fn api(&self) -> ApiId {
        let seed = json!({ "apis": [{ "name": "Flights", "portals": [self.portal] }] });
        let made = self.emulator.seed(&seed).unwrap();
        serde_json::from_value(made["apis"][0]["id"].clone()).unwrap()
    }
}

pub(crate) fn is_gone<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    outcome.unwrap_err().is_not_found()
}

#[tokio::test]
async fn a_portal_changes_and_goes_by_force_once_it_publishes() {
    let konnect = Konnect::start().await;
    let portals = konnect.client.portals();
    let new = NewPortal {
        name: "Second".to_owned(),
        description: Some("d".to_owned()),
        default_api_visibility: Some(Visibility::Public),
        labels: [("a", "1"), ("b", "2")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..NewPortal::default()
    };
    let made = portals.create(&new).await.unwrap();
    assert_eq!(made.default_api_visibility, Some(Visibility::Public));
    let second = konnect.client.portal(made.id);
    assert_eq!(second.get().await.unwrap(), made);
    let named = ListPortals {
        name: Some(TextFilter::Contains("econ".to_owned())),
        ..ListPortals::default()
    };
    assert_eq!(portals.list(&named).await.unwrap(), [made]);

    let update = PortalUpdate {
        description: Patch::Null,
        labels: Patch::Set([("a".to_owned(), None)].into()),
        ..PortalUpdate::default()
    };
    let changed = second.update(&update).await.unwrap();
    assert_eq!(changed.description, None);
    assert_eq!(changed.labels.into_keys().collect::<Vec<_>>(), ["b"]);
    let taken = PortalUpdate {
        name: Some("Main".to_owned()),
        ..PortalUpdate::default()
    };
    assert!(second.update(&taken).await.unwrap_err().is_conflict());
    second.delete(false).await.unwrap();
    assert!(is_gone(second.get().await));

    konnect.api();
    let refused = konnect.portal().delete(false).await.unwrap_err();
    assert_eq!(refused.status(), Some(400));
    assert_eq!(refused.invalid_parameters()[0].field, "force");
    konnect.portal().delete(true).await.unwrap();
    assert!(is_gone(konnect.portal().get().await));
    assert!(is_gone(konnect.portal().delete(true).await));
}

#[tokio::test]
async fn a_team_changes_has_members_and_roles_and_goes() {
    let konnect = Konnect::start().await;
    let (portal, teams) = (konnect.portal(), konnect.portal().teams());
    let new = NewTeam {
        name: "Team".to_owned(),
        description: Some("d".to_owned()),
        can_own_applications: Some(true),
    };
    let team = teams.create(&new).await.unwrap();
    assert_eq!(teams.get(team.id).await.unwrap(), team);
    let update = TeamUpdate {
        name: Some("Renamed".to_owned()),
        description: Patch::Null,
        ..TeamUpdate::default()
    };
    let changed = teams.update(team.id, &update).await.unwrap();
    assert_eq!((&*changed.name, changed.id), ("Renamed", team.id));
    assert_ne!(changed.description.as_deref(), Some("d"));
    let owning = ListTeams {
        can_own_applications: Some(true),
        ..ListTeams::default()
    };
    assert_eq!(teams.list(&owning).await.unwrap(), [changed]);

    let ann = konnect.developer("ann@arsenal.com").await;
    for outcome in [Membership::Added, Membership::AlreadyMember] {
        assert_eq!(teams.add_member(team.id, ann).await.unwrap(), outcome);
    }
    let members = teams.members(team.id).await.unwrap();
    assert_eq!((members[0].id, members[0].active), (ann, Some(true)));
    let inactive = ListTeamMembers {
        active: Some(false),
        ..ListTeamMembers::default()
    };
    let mut pages = teams.member_pages(team.id, &inactive).items();
    assert!(pages.next().await.is_none());
    assert_eq!(teams.of_developer(ann).await.unwrap()[0].id, team.id);
    for (can, count) in [(true, 1), (false, 0)] {
        let options = ListTeamsOfDeveloper {
            can_own_applications: Some(can),
            ..ListTeamsOfDeveloper::default()
        };
        let mut pages = teams.pages_of_developer(ann, &options);
        let page = pages
            .next()
            .await
            .map_or(0, |page| page.unwrap().items.len());
        assert_eq!(page, count, "{can}");
    }

    let catalogue = konnect.client.portal_roles().await.unwrap().services;
    let role = NewRole {
        role_name: catalogue.roles["apiviewer"].name.clone(),
        entity_id: konnect.api().0,
        entity_type_name: catalogue.name,
        entity_region: EntityRegion::Eu,
    };
    let roles = portal.roles();
    let assigned = roles.assign(team.id, &role).await.unwrap();
    assert!(
        roles
            .assign(team.id, &role)
            .await
            .unwrap_err()
            .is_conflict()
    );
    assert_eq!(roles.list(team.id).await.unwrap(), from_ref(&assigned));
    let mut pages = roles.pages(team.id, Some(1));
    assert_eq!(
        pages.next().await.unwrap().unwrap().items,
        from_ref(&assigned)
    );
    roles.remove(team.id, assigned.id).await.unwrap();
    assert!(is_gone(roles.remove(team.id, assigned.id).await));

    teams.remove_member(team.id, ann).await.unwrap();
    assert!(is_gone(teams.remove_member(team.id, ann).await));
    teams.delete(team.id).await.unwrap();
    assert!(is_gone(teams.get(team.id).await));
    assert!(is_gone(teams.delete(team.id).await));
}

#[tokio::test]
async fn a_developer_has_one_status_and_goes() {
    let konnect = Konnect::start().await;
    let developers = konnect.portal().developers();
    let ann = konnect.developer("ann@arsenal.com").await;
    let revoked = DeveloperStatus::Revoked;
    let changed = developers.set_status(ann, &revoked).await.unwrap();
    assert_eq!((changed.id, &changed.status), (ann, &revoked));
    let options = ListDevelopers {
        status: Some(revoked.into()),
        email: Some("ann@arsenal.com".into()),
        ..ListDevelopers::default()
    };
    assert_eq!(developers.list(&options).await.unwrap(), [changed]);
    developers.delete(ann).await.unwrap();
    assert!(is_gone(developers.get(ann).await));
    assert!(is_gone(developers.delete(ann).await));
}

#[tokio::test]
async fn an_application_is_handed_on_and_goes() {
    let konnect = Konnect::start().await;
    let (portal, applications) = (konnect.portal(), konnect.portal().applications());
    let ann = konnect.developer("ann@arsenal.com").await;
    let new = NewApplication {
        name: "App".to_owned(),
        description: None,
        labels: [("a".to_owned(), "1".to_owned())].into(),
        dcr_client_id: None,
        client_id: None,
        auth_strategy_id: None,
        owner: ApplicationOwner {
            kind: OwnerType::Developer,
            id: ann.0,
        },
    };
    let made = applications.create(&new).await.unwrap();
    assert_eq!(made.labels["a"].as_deref(), Some("1"));
    assert_eq!(applications.get(made.id).await.unwrap(), made);
    assert_eq!(konnect.client.application(made.id).await.unwrap(), made);
    assert_eq!(applications.developers(made.id).await.unwrap()[0].id, ann);

    let team = NewTeam {
        name: "Team".to_owned(),
        can_own_applications: Some(true),
        ..NewTeam::default()
    };
    let team = portal.teams().create(&team).await.unwrap().id;
    let bob = konnect.developer("bob@arsenal.com").await;
    portal.teams().add_member(team, bob).await.unwrap();
    let owner = ApplicationOwner {
        kind: OwnerType::Team,
        id: team.0,
    };
    let handed = applications.set_owner(made.id, &owner).await.unwrap();
    assert_eq!(handed.owner.unwrap().team(), Some(team));
    let users = applications.developers(made.id).await.unwrap();
    assert_eq!(users.iter().map(|user| user.id).collect::<Vec<_>>(), [bob]);
    let options = ListApplicationDevelopers {
        id: Some(ann.to_string().into()),
        ..ListApplicationDevelopers::default()
    };
    let mut others = applications.developer_pages(made.id, &options).items();
    assert!(others.next().await.is_none(), "Ann has no part in it");

    applications.delete(made.id).await.unwrap();
    assert!(is_gone(applications.get(made.id).await));
    assert!(is_gone(konnect.client.application(made.id).await));
    assert!(is_gone(applications.delete(made.id).await));
}

#[tokio::test]
async fn a_registration_is_decided_mapped_and_taken_back() {
    let konnect = Konnect::start().await;
    let ann = konnect.developer("ann@arsenal.com").await;
    let api = konnect.api();
    let owned = json!({ "applications": [{
        "portal_id": konnect.portal, "name": "App", "owner": { "type": "developer", "id": ann },
    }] });
    let made = konnect.emulator.seed(&owned).unwrap();
    let app = serde_json::from_value(made["applications"][0]["id"].clone()).unwrap();

    let registrations = konnect.portal().registrations();
    let new = NewRegistration {
        api_id: api,
        status: None,
    };
    let asked = registrations.create(app, &new).await.unwrap();
    assert_eq!(asked.status, RegistrationStatus::Pending);
    let again = registrations.create(app, &new).await.unwrap_err();
    assert!(again.is_conflict());
    let approved = RegistrationStatus::Approved;
    let changed = registrations.set_status(app, asked.id, &approved).await;
    assert_eq!(changed.unwrap().status, approved);

    let consumer = Uuid::from_u128(7);
    registrations
        .set_consumer(app, asked.id, consumer)
        .await
        .unwrap();
    let mapped = registrations.get(app, asked.id).await.unwrap();
    assert_eq!(mapped.consumer.unwrap().id, consumer);
    registrations.unset_consumer(app, asked.id).await.unwrap();
    let unmapped = registrations.get(app, asked.id).await.unwrap();
    assert_eq!(unmapped.consumer, None);
    assert!(is_gone(registrations.unset_consumer(app, asked.id).await));

    assert_eq!(registrations.of_application(app).await.unwrap(), [unmapped]);
    for (status, count) in [(approved, 1), (RegistrationStatus::Revoked, 0)] {
        let options = ListApplicationRegistrations {
            status: Some(status.into()),
            ..ListApplicationRegistrations::default()
        };
        let mut pages = registrations.pages_of_application(app, &options);
        let page = pages
            .next()
            .await
            .map_or(0, |page| page.unwrap().items.len());
        assert_eq!(page, count);
    }
    registrations.delete(app, asked.id).await.unwrap();
    assert!(is_gone(registrations.get(app, asked.id).await));
    assert!(is_gone(registrations.delete(app, asked.id).await));
    registrations.create(app, &new).await.unwrap();
}

#[tokio::test]
async fn credentials_are_listed_without_their_secret() {
    let konnect = Konnect::start().await;
    let made = konnect.emulator.seed(&json!({ "developers": [{
        "portal_id": konnect.portal, "email": "ann@arsenal.com", "full_name": "Ann",
        "status": "approved", "password": "s3cret",
    }] }));
    let ann = made.unwrap()["developers"][0]["id"].clone();
    let made = konnect.emulator.seed(&json!({ "applications": [{
        "portal_id": konnect.portal, "name": "App", "owner": { "type": "developer", "id": ann },
    }] }));
    let app = serde_json::from_value(made.unwrap()["applications"][0]["id"].clone()).unwrap();
    let credentials = konnect.portal().credentials(app);
    assert_eq!(credentials.list().await.unwrap(), []);

    // Only the developer can make one.
    let portal = format!(
        "{}/portal/{}/api/v3",
        konnect.emulator.url(),
        konnect.portal
    );
    let http = reqwest::Client::builder().build().unwrap();
    let post = |path: String, body: Value| {
        let request = http.post(format!("{portal}/{path}"));
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    };
    let login = json!({ "username": "ann@arsenal.com", "password": "s3cret" });
    let signed_in = post("developer/authenticate".to_owned(), login);
    let signed_in = signed_in.send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].clone();
    let key = post(
        format!("applications/{app}/credentials"),
        json!({ "display_name": "key" }),
    );
    let made = key.header("cookie", cookie).send().await.unwrap();
    assert_eq!(made.status(), 201);

    let listed = credentials.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].kind, CredentialKind::ApiKey);
    assert_eq!(listed[0].display_name.as_deref(), Some("key"));
    let mut pages = credentials.pages(Some(1));
    assert_eq!(pages.next().await.unwrap().unwrap().items, listed);
}
