//! How developers sign in, through the client at the local Konnect: settings, identity providers
//! and both forms of their mappings, each made, read, changed and ended.

use std::time::Duration;

use konnect::identity::{
    AuthenticationSettingsUpdate, ClaimMappings, IdentityProvider, IdentityProviderConfig,
    IdentityProviderKind, IdentityProviderUpdate, ListGroupMappings, ListIdentityProviders,
    ListTeamGroups, NewGroupMapping, NewIdentityProvider, NewIdentityProviderConfig, NewOidcConfig,
    NewSamlConfig, OidcConfig, SamlConfig, TeamGroups,
};
use konnect::{Client, Error, NewTeam, PortalId, TeamId};
use konnect_emulator::Emulator;
use serde_json::json;

const SECRET: &str = "s3cret-of-the-issuer";
const ISSUER: &str = "https://idp.example/oauth2";
const METADATA: &str = "https://idp.example/saml/metadata";

async fn konnect() -> (Emulator, Client, PortalId) {
    let emulator = Emulator::start().await.unwrap();
    let made = emulator
        .seed(&json!({"portals": [{"name": "Portal"}]}))
        .unwrap();
    let portal = serde_json::from_value(made["portals"][0]["id"].clone()).unwrap();
    let client = Client::builder(emulator.url().parse().unwrap())
        .token(emulator.token().into())
        .build()
        .unwrap();
    (emulator, client, portal)
}

fn oidc_config() -> NewOidcConfig {
    NewOidcConfig {
        issuer_url: ISSUER.to_owned(),
        client_id: "portal".to_owned(),
        client_secret: Some(SECRET.into()),
        ..NewOidcConfig::default()
    }
}

fn oidc(enabled: bool) -> NewIdentityProvider {
    NewIdentityProvider {
        enabled: Some(enabled),
        config: NewIdentityProviderConfig::Oidc(oidc_config()),
    }
}

fn saml(enabled: Option<bool>) -> NewIdentityProvider {
    NewIdentityProvider {
        enabled,
        config: NewIdentityProviderConfig::Saml(NewSamlConfig {
            idp_metadata_url: Some(METADATA.to_owned()),
            ..NewSamlConfig::default()
        }),
    }
}

async fn team(client: &Client, portal: PortalId, name: &str) -> TeamId {
    let new = NewTeam {
        name: name.to_owned(),
        ..NewTeam::default()
    };
    client.portal(portal).teams().create(&new).await.unwrap().id
}

fn status<T>(outcome: Result<T, Error>) -> Option<u16> {
    outcome.err().and_then(|error| error.status())
}

fn oidc_of(provider: &IdentityProvider) -> &OidcConfig {
    match &provider.config {
        Some(IdentityProviderConfig::Oidc(config)) => config,
        other => panic!("{other:?}"),
    }
}

fn saml_of(provider: &IdentityProvider) -> &SamlConfig {
    match &provider.config {
        Some(IdentityProviderConfig::Saml(config)) => config,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn settings_have_defaults_and_change_member_by_member() {
    let (emulator, client, portal) = konnect().await;
    let settings = client.portal(portal).authentication_settings();
    let first = settings.get().await.unwrap();
    assert_eq!(
        serde_json::to_value(&first).unwrap(),
        json!({
            "basic_auth_enabled": true, "konnect_mapping_enabled": true,
            "idp_mapping_enabled": false, "oidc_team_mapping_enabled": false,
            "oidc_auth_enabled": false, "saml_auth_enabled": false, "oidc_config": null,
        })
    );
    let nothing = AuthenticationSettingsUpdate::default();
    assert_eq!(settings.update(&nothing).await.unwrap(), first);
    let off = AuthenticationSettingsUpdate {
        basic_auth_enabled: Some(false),
        konnect_mapping_enabled: Some(false),
        ..nothing
    };
    settings.update(&off).await.unwrap();
    let read = settings.get().await.unwrap();
    assert_eq!(read.basic_auth_enabled, Some(false));
    assert_eq!(read.konnect_mapping_enabled, Some(false));

    let mapping = AuthenticationSettingsUpdate {
        idp_mapping_enabled: Some(true),
        ..AuthenticationSettingsUpdate::default()
    };
    let refused = settings.update(&mapping).await.unwrap_err();
    assert_eq!(refused.status(), Some(400));
    assert_eq!(settings.get().await.unwrap(), read, "nothing has changed");
    let providers = client.portal(portal).identity_providers();
    providers.create(&oidc(true)).await.unwrap();
    let read = settings.update(&mapping).await.unwrap();
    assert_eq!(read.idp_mapping_enabled, Some(true));
    assert_eq!(read.oidc_team_mapping_enabled, Some(true));
    emulator.stop().await;
}

#[tokio::test]
async fn older_settings_are_those_of_the_identity_provider() {
    let (emulator, client, portal) = konnect().await;
    let scope = client.portal(portal);
    let update = AuthenticationSettingsUpdate {
        oidc_auth_enabled: Some(true),
        oidc_team_mapping_enabled: Some(true),
        oidc_issuer: Some(ISSUER.to_owned()),
        oidc_client_id: Some("portal".to_owned()),
        oidc_client_secret: Some(SECRET.into()),
        oidc_claim_mappings: Some(ClaimMappings {
            groups: Some("teams".to_owned()),
            ..ClaimMappings::default()
        }),
        ..AuthenticationSettingsUpdate::default()
    };
    assert!(!format!("{update:?}").contains(SECRET));
    let settings = scope.authentication_settings();
    let shown = settings.update(&update).await.unwrap();
    let config = shown.oidc_config.unwrap();
    assert_eq!(config.issuer.as_deref(), Some(ISSUER));
    assert_eq!(config.scopes, ["email", "openid", "profile"]);
    assert_eq!(shown.idp_mapping_enabled, Some(true));

    let providers = scope.identity_providers();
    let all = ListIdentityProviders::default();
    let [provider] = &providers.list(&all).await.unwrap()[..] else {
        panic!("the settings made one identity provider")
    };
    assert_eq!(provider.enabled, Some(true));
    let claims = oidc_of(provider).claim_mappings.clone().unwrap();
    assert_eq!(claims.groups.as_deref(), Some("teams"));
    assert_eq!(claims.email.as_deref(), Some("email"));

    let off = IdentityProviderUpdate {
        enabled: Some(false),
        ..IdentityProviderUpdate::default()
    };
    providers.update(provider.id, &off).await.unwrap();
    let shown = settings.get().await.unwrap();
    assert_eq!(shown.oidc_auth_enabled, Some(false));
    providers.delete(provider.id).await.unwrap();
    let shown = settings.get().await.unwrap();
    assert_eq!(shown.oidc_auth_enabled, Some(false));
    assert_eq!(shown.oidc_config, None);
    emulator.stop().await;
}

#[tokio::test]
async fn identity_providers_are_made_read_changed_and_deleted() {
    let (emulator, client, portal) = konnect().await;
    let providers = client.portal(portal).identity_providers();
    let all = ListIdentityProviders::default();
    assert_eq!(providers.list(&all).await.unwrap(), []);
    let new = oidc(true);
    assert!(!format!("{new:?}").contains(SECRET));
    let made = providers.create(&new).await.unwrap();
    assert_eq!(made.kind, Some(IdentityProviderKind::Oidc));
    assert_eq!(made.enabled, Some(true));
    assert_eq!(oidc_of(&made).issuer_url.as_deref(), Some(ISSUER));
    assert_eq!(oidc_of(&made).scopes, ["email", "openid", "profile"]);
    assert_eq!(providers.get(made.id).await.unwrap(), made);

    // One of each protocol, and one that is enabled.
    assert_eq!(status(providers.create(&oidc(false)).await), Some(409));
    assert_eq!(status(providers.create(&saml(Some(true))).await), Some(409));
    let other = providers.create(&saml(None)).await.unwrap();
    assert_eq!(other.enabled, Some(false));
    let config = saml_of(&other);
    assert_eq!(config.idp_metadata_url.as_deref(), Some(METADATA));
    assert!(config.callback_url.as_deref().unwrap().starts_with('/'));
    for (kind, found) in [
        (None, vec![made.id, other.id]),
        (Some(IdentityProviderKind::Saml), vec![other.id]),
        (Some(IdentityProviderKind::Other("ldap".to_owned())), vec![]),
    ] {
        let options = ListIdentityProviders { kind };
        let listed = providers.list(&options).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|provider| provider.id).collect();
        assert_eq!(ids, found, "{options:?}");
    }

    let enable = |enabled| IdentityProviderUpdate {
        enabled: Some(enabled),
        ..IdentityProviderUpdate::default()
    };
    let refused = providers.update(other.id, &enable(true)).await;
    assert_eq!(status(refused), Some(409));
    providers.update(made.id, &enable(false)).await.unwrap();
    let xml = IdentityProviderUpdate {
        enabled: Some(true),
        config: Some(NewIdentityProviderConfig::Saml(NewSamlConfig {
            idp_metadata_xml: Some("<EntityDescriptor/>".to_owned()),
            ..NewSamlConfig::default()
        })),
    };
    let changed = providers.update(other.id, &xml).await.unwrap();
    assert_eq!(changed.enabled, Some(true));
    assert_eq!(saml_of(&changed).idp_metadata_url, None);
    assert!(saml_of(&changed).idp_metadata_xml.is_some());
    let other_protocol = IdentityProviderUpdate {
        enabled: None,
        ..xml
    };
    let refused = providers.update(made.id, &other_protocol).await;
    assert_eq!(status(refused), Some(400));

    let scopes = IdentityProviderUpdate {
        config: Some(NewIdentityProviderConfig::Oidc(NewOidcConfig {
            client_secret: None,
            scopes: Some(vec!["openid".to_owned()]),
            ..oidc_config()
        })),
        ..IdentityProviderUpdate::default()
    };
    let changed = providers.update(made.id, &scopes).await.unwrap();
    assert_eq!(oidc_of(&changed).scopes, ["openid"]);
    assert_eq!(
        oidc_of(&changed).claim_mappings,
        oidc_of(&made).claim_mappings,
        "what is left out stays"
    );
    providers.delete(made.id).await.unwrap();
    assert_eq!(status(providers.get(made.id).await), Some(404));
    assert_eq!(status(providers.delete(made.id).await), Some(404));
    emulator.stop().await;
}

#[tokio::test]
async fn mappings_are_made_read_and_end_with_their_team_or_provider() {
    let (emulator, client, portal) = konnect().await;
    let scope = client.portal(portal);
    let (ann, bob) = (
        team(&client, portal, "Ann's").await,
        team(&client, portal, "Bob's").await,
    );
    let provider = scope.identity_providers().create(&oidc(false)).await;
    let provider = provider.unwrap().id;
    let mappings = scope.group_mappings(provider);
    let new = |team_id, group: &str| NewGroupMapping {
        team_id,
        group: group.to_owned(),
    };
    let mut made = Vec::new();
    for (team, group) in [(ann, "leads"), (bob, "leads"), (ann, "writers")] {
        made.push(mappings.create(&new(team, group)).await.unwrap());
    }
    assert_eq!(mappings.get(made[0].id).await.unwrap(), made[0]);
    assert_eq!(status(mappings.create(&new(ann, "leads")).await), Some(409));
    let nobody = TeamId("11111111-2222-4333-8444-555555555555".parse().unwrap());
    assert_eq!(status(mappings.create(&new(nobody, "x")).await), Some(400));

    for (team, group, expected) in [
        (None, None, vec![0, 1, 2]),
        (Some(ann), None, vec![0, 2]),
        (None, Some("leads"), vec![0, 1]),
        (Some(bob), Some("writers"), vec![]),
    ] {
        let options = ListGroupMappings {
            team,
            group: group.map(str::to_owned),
            page_size: Some(1),
        };
        let expected: Vec<_> = expected.into_iter().map(|index| &made[index]).collect();
        let listed = mappings.list(&options).await.unwrap();
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{options:?}");
        let mut items = mappings.pages(&options).items();
        let mut streamed = Vec::new();
        while let Some(item) = items.next().await {
            streamed.push(item.unwrap());
        }
        assert_eq!(streamed, listed);
    }

    mappings.delete(made[2].id).await.unwrap();
    assert_eq!(status(mappings.get(made[2].id).await), Some(404));
    let path = format!("{}/v3/portals/{portal}/teams/{ann}", emulator.url());
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20));
    let delete = http.build().unwrap().delete(path);
    let gone = delete.bearer_auth(emulator.token()).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let left = mappings.list(&ListGroupMappings::default()).await.unwrap();
    assert_eq!(left, [made[1].clone()]);
    scope.identity_providers().delete(provider).await.unwrap();
    assert_eq!(status(mappings.get(made[1].id).await), Some(404));
    emulator.stop().await;
}

#[tokio::test]
async fn groups_of_teams_are_the_mappings_of_the_provider() {
    let (emulator, client, portal) = konnect().await;
    let scope = client.portal(portal);
    let groups = scope.team_groups();
    let all = ListTeamGroups::default();
    assert_eq!(status(groups.list(all).await), Some(400));
    assert_eq!(status(groups.update(&[]).await), Some(400));
    let provider = scope.identity_providers().create(&oidc(true)).await;
    let mappings = scope.group_mappings(provider.unwrap().id);
    let (ann, bob) = (
        team(&client, portal, "Ann's").await,
        team(&client, portal, "Bob's").await,
    );
    let of = |team_id, groups: &[&str]| TeamGroups {
        team_id,
        groups: groups.iter().copied().map(str::to_owned).collect(),
    };
    assert_eq!(groups.list(all).await.unwrap(), []);
    let both = [of(ann, &["leads", "writers"]), of(bob, &["leads"])];
    assert_eq!(groups.update(&both).await.unwrap(), both);
    let first = mappings.list(&ListGroupMappings::default()).await.unwrap();
    assert_eq!(first.len(), 3);

    let one = [of(ann, &["writers", "writers", "readers"])];
    let expected = [of(ann, &["writers", "readers"]), of(bob, &["leads"])];
    assert_eq!(groups.update(&one).await.unwrap(), expected);
    let second = mappings.list(&ListGroupMappings::default()).await.unwrap();
    assert!(
        second.contains(&first[1]),
        "a mapping that stays is the same"
    );

    groups.update(&[of(ann, &[])]).await.unwrap();
    let one_a_page = ListTeamGroups { page_size: Some(1) };
    assert_eq!(groups.list(one_a_page).await.unwrap(), expected[1..]);
    let nobody = TeamId("11111111-2222-4333-8444-555555555555".parse().unwrap());
    let half = [of(bob, &[]), of(nobody, &["leads"])];
    assert_eq!(status(groups.update(&half).await), Some(400));
    assert_eq!(groups.list(all).await.unwrap(), expected[1..]);
    emulator.stop().await;
}
