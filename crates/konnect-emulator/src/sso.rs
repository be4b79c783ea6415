//! Sign-ins by an identity provider. No provider is asked: a control says who comes and with which
//! groups. What follows is the portal's business: the developer, their teams, the audit entry.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::{
    clock::new_id,
    entry::{Entry, Means, Origin, Outcome},
    resources::{developers::DEVELOPER, identity_providers::SAML},
    seed,
    state::{Kind, Row, World},
};

/// A sign-in at a portal by its identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsoSignIn {
    /// The portal.
    pub portal_id: Uuid,
    /// The identity provider, which must be enabled; the portal's enabled one if absent.
    #[serde(default)]
    pub identity_provider_id: Option<Uuid>,
    /// The address that the provider vouches for. In any case it is the same developer.
    pub email: String,
    /// The name of a newcomer; the address if absent.
    #[serde(default)]
    pub full_name: Option<String>,
    /// The groups, by their exact names.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl SsoSignIn {
    /// A sign-in by the portal's enabled identity provider, without groups.
    pub fn new(portal_id: Uuid, email: impl Into<String>) -> Self {
        Self {
            portal_id,
            identity_provider_id: None,
            email: email.into(),
            full_name: None,
            groups: Vec::new(),
        }
    }
}

/// What became of a sign-in by an identity provider. `Debug` does not show the session.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SsoSignedIn {
    /// Whether the developer is in; those who are not approved are not.
    pub successful: bool,
    /// Whether the developer was made by this sign-in.
    pub newcomer: bool,
    /// The developer.
    pub developer_id: Uuid,
    /// The developer's status, such as `approved`.
    pub status: String,
    /// The teams that the developer was put into.
    pub joined: Vec<Uuid>,
    /// The teams that the developer was taken out of.
    pub left: Vec<Uuid>,
    /// The session, which calls below `/portal` carry as the cookie `portalaccesstoken`; none where
    /// the sign-in was not successful.
    pub session: Option<String>,
}

impl fmt::Debug for SsoSignedIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SsoSignedIn")
            .field("successful", &self.successful)
            .field("newcomer", &self.newcomer)
            .field("developer_id", &self.developer_id)
            .field("status", &self.status)
            .field("joined", &self.joined)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// Signs somebody in and leaves an audit entry whatever the outcome. Refuses what no identity
/// provider of the portal can have sent.
pub(crate) fn sign_in(
    world: &mut World,
    asked: &SsoSignIn,
    origin: &Origin,
) -> Result<SsoSignedIn, String> {
    let portal = asked.portal_id;
    let provider = provider(world, asked)?;
    let provider_id = provider.id;
    let means = if provider.text("type") == SAML {
        Means::Saml
    } else {
        Means::Oidc
    };
    let known = world.find_by_email(portal, &asked.email);
    let developer = match known {
        Some(developer) => developer,
        None => add(world, asked, origin)?,
    };
    let status = world.find(Kind::Developer, developer);
    let status = status.map(|row| row.text("status").to_owned());
    let mut signed_in = SsoSignedIn {
        successful: status.as_deref() == Some("approved"),
        newcomer: known.is_none(),
        developer_id: developer,
        status: status.unwrap_or_default(),
        joined: Vec::new(),
        left: Vec::new(),
        session: None,
    };
    let outcome = if signed_in.successful {
        map_teams(world, provider_id, &asked.groups, &mut signed_in);
        signed_in.session = Some(world.accounts.open_session(developer));
        Outcome::Success
    } else {
        Outcome::Disabled
    };
    let entry = Entry::sign_in(origin, outcome, portal, Some(developer), means);
    world.audit.record(Some(portal), entry, origin.at);
    Ok(signed_in)
}

/// Finds the identity provider, which is one of the portal and enabled.
fn provider<'a>(world: &'a World, asked: &SsoSignIn) -> Result<&'a Row, String> {
    let portal = asked.portal_id;
    if world.find(Kind::Portal, portal).is_none() {
        return Err(format!("portal {portal} does not exist"));
    }
    let mut providers = world.children(Kind::IdentityProvider, Some(portal));
    let Some(id) = asked.identity_provider_id else {
        return providers
            .find(|row| row.is("enabled"))
            .ok_or_else(|| format!("portal {portal} has no identity provider that is enabled"));
    };
    match providers.find(|row| row.id == id) {
        None => Err(format!("portal {portal} has no identity provider {id}")),
        Some(row) if !row.is("enabled") => Err(format!("identity provider {id} is not enabled")),
        Some(row) => Ok(row),
    }
}

/// Makes a developer of a newcomer: whom the identity provider lets in is approved.
fn add(world: &mut World, asked: &SsoSignIn, origin: &Origin) -> Result<Uuid, String> {
    let id = new_id();
    let members = Map::from_iter([
        ("email".to_owned(), json!(asked.email)),
        (
            "full_name".to_owned(),
            json!(asked.full_name.as_ref().unwrap_or(&asked.email)),
        ),
        ("status".to_owned(), json!("approved")),
    ]);
    let parent = Some(asked.portal_id);
    seed::create(world, &DEVELOPER, id, parent, &members, origin)?;
    Ok(id)
}

/// Puts the developer into the teams of their groups, and takes them out of the others that have a
/// group, where the portal says that groups decide. Teams without a group are left alone.
fn map_teams(world: &mut World, provider: Uuid, groups: &[String], of: &mut SsoSignedIn) {
    let portal = world.any(provider).and_then(|row| row.parent);
    let settings = world.children(Kind::AuthSettings, portal).next();
    if !settings.is_some_and(|row| row.is("idp_mapping_enabled")) {
        return;
    }
    let mappings = || world.children(Kind::TeamGroupMapping, Some(provider));
    let wanted: HashSet<Uuid> = mappings()
        .filter(|row| groups.iter().any(|group| group == row.text("group")))
        .filter_map(|row| row.reference("team_id"))
        .collect();
    let mapped: HashSet<Uuid> = mappings()
        .filter_map(|row| row.reference("team_id"))
        .collect();
    let teams = world.children(Kind::Team, portal).map(|team| team.id);
    let teams: Vec<Uuid> = teams.filter(|team| mapped.contains(team)).collect();
    for team in teams {
        if wanted.contains(&team) {
            if world.join(team, of.developer_id) {
                of.joined.push(team);
            }
        } else if world.leave(team, of.developer_id) {
            of.left.push(team);
        }
    }
}
