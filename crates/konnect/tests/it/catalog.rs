//! APIs, their publications and authentication strategies, against the emulator.

use konnect::catalog::{
    ApiUpdate, AuthStrategyType, AuthStrategyUpdate, EntityType, KeyAuthUpdate, KeyTtl, KeyTtlUnit,
    ListApiPublications, ListApis, ListAuthStrategies, NewApi, NewAuthStrategy,
    OpenIdConnectConfig, OpenIdConnectUpdate, Principals, PublicationSettings,
    StrategyConfigsUpdate,
};
use konnect::{
    ApiId, AuthStrategyId, Client, NewPortal, Patch, PortalId, Sort, SortBy, TextFilter,
    TimeFilter, Visibility,
};
use konnect_emulator::Emulator;
use serde_json::json;

async fn start() -> (Emulator, Client) {
    let konnect = Emulator::start().await.unwrap();
    let client = Client::builder(konnect.url().parse().unwrap())
        .token(konnect.token().into())
        .build()
        .unwrap();
    (konnect, client)
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn fixtures() -> NewApi {
    NewApi {
        name: text("Fixtures"),
        version: Some(text("v1")),
        description: Some(text("What is played when.")),
        labels: [(text("env"), text("test"))].into(),
        attributes: [(text("owner"), vec![text("ann"), text("bob")])].into(),
        spec_content: Some(text("openapi: 3.1.0")),
        ..NewApi::default()
    }
}

#[tokio::test]
async fn an_api_lives_from_its_creation_to_its_end() {
    let (_konnect, client) = start().await;
    let apis = client.apis();
    let new = fixtures();
    let api = apis.create(&new).await.unwrap();
    assert_eq!(api.slug.as_deref(), Some("fixtures-v1"));
    assert_eq!(
        api.attributes["owner"],
        Some(vec![text("ann"), text("bob")])
    );
    assert_eq!(apis.get(api.id).await.unwrap(), api);
    let again = apis.create(&new).await.unwrap_err();
    assert_eq!(again.status(), Some(400));
    let plain = NewApi {
        name: text("Scores"),
        ..NewApi::default()
    };
    let plain = apis.create(&plain).await.unwrap();

    let update = ApiUpdate {
        name: Some(text("Fixtures")),
        version: Patch::from("v1"),
        ..ApiUpdate::default()
    };
    assert!(
        apis.update(plain.id, &update)
            .await
            .unwrap_err()
            .is_conflict()
    );
    let update = ApiUpdate {
        description: Patch::Null,
        version: Patch::Null,
        slug: Patch::from("played"),
        labels: Patch::Set([(text("env"), None), (text("tier"), Some(text("a")))].into()),
        attributes: [
            (text("owner"), None),
            (text("domain"), Some(vec![text("web")])),
        ]
        .into(),
        keep_operations: true,
        ..ApiUpdate::default()
    };
    let changed = apis.update(api.id, &update).await.unwrap();
    assert_eq!((changed.description, changed.version), (None, None));
    assert_eq!(changed.slug.as_deref(), Some("played"));
    assert_eq!(json!(changed.labels), json!({"tier": "a"}));
    assert_eq!(json!(changed.attributes), json!({"domain": ["web"]}));

    apis.delete(api.id).await.unwrap();
    assert!(apis.get(api.id).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn apis_are_found_by_what_is_said_of_them() {
    let (_konnect, client) = start().await;
    let apis = client.apis();
    let api = apis.create(&fixtures()).await.unwrap();
    let plain = NewApi {
        name: text("Scores"),
        ..NewApi::default()
    };
    let plain = apis.create(&plain).await.unwrap();
    let all = ListApis::default();
    assert_eq!(apis.list(&all).await.unwrap(), [api.clone(), plain.clone()]);
    let made = api.created_at.unwrap();
    let matching = [
        ListApis {
            id: Some(api.id.into()),
            ..all.clone()
        },
        ListApis {
            name: Some(TextFilter::Contains(text("ixt"))),
            ..all.clone()
        },
        ListApis {
            version: Some("v1".into()),
            ..all.clone()
        },
        ListApis {
            labels: [(text("env"), "test".into())].into(),
            ..all.clone()
        },
        ListApis {
            attributes: [(text("owner"), "bob".into())].into(),
            ..all.clone()
        },
        ListApis {
            created_at: Some(TimeFilter::Until(made)),
            labels: [(text("env"), TextFilter::OneOf(vec![text("test")]))].into(),
            ..all.clone()
        },
    ];
    for options in &matching {
        let mut items = apis.pages(options).items();
        assert_eq!(items.next().await.unwrap().unwrap(), api, "{options:?}");
        assert!(items.next().await.is_none(), "{options:?}");
    }
    let backwards = ListApis {
        sort: Some(Sort::descending(SortBy::Name)),
        page_size: Some(1),
        ..all
    };
    let names = apis.list(&backwards).await.unwrap();
    assert_eq!([names[0].id, names[1].id], [plain.id, api.id]);
}

/// Makes an API, a portal and a strategy.
async fn scene(client: &Client) -> (ApiId, PortalId, AuthStrategyId) {
    let new = NewApi {
        name: text("Fixtures"),
        ..NewApi::default()
    };
    let api = client.apis().create(&new).await.unwrap().id;
    let new = NewPortal {
        name: text("Main"),
        ..NewPortal::default()
    };
    let portal = client.portals().create(&new).await.unwrap().id;
    let strategy = NewAuthStrategy::key_auth("keys", "apikey");
    let strategy = client.auth_strategies().create(&strategy).await.unwrap().id;
    (api, portal, strategy)
}

#[tokio::test]
async fn an_api_is_published_and_taken_back() {
    let (_konnect, client) = start().await;
    let (api, portal, strategy) = scene(&client).await;
    let publications = client.api_publications();
    let missing = publications.get(api, portal).await.unwrap_err();
    assert!(missing.is_not_found());
    let settings = PublicationSettings {
        auto_approve_registrations: Some(true),
        auth_strategy_ids: Patch::Set(vec![strategy]),
        visibility: Some(Visibility::Public),
    };
    let made = publications.publish(api, portal, &settings).await.unwrap();
    assert_eq!(made.visibility, Some(Visibility::Public));
    assert_eq!(made.auth_strategy_ids, Some(vec![strategy]));
    assert_eq!(publications.get(api, portal).await.unwrap(), made);
    let shown = client.apis().get(api).await.unwrap();
    assert_eq!(
        (shown.portals[0].id, shown.portals[0].name.as_str()),
        (portal, "Main")
    );
    let used = client.auth_strategies().get(strategy).await.unwrap();
    assert_eq!(used.active, Some(true));

    let all = ListApiPublications::default();
    let matching = [
        ListApiPublications {
            portal_id: Some(portal.into()),
            ..all.clone()
        },
        ListApiPublications {
            portal_name: Some("Main".into()),
            ..all.clone()
        },
        ListApiPublications {
            api_id: Some(api.into()),
            ..all.clone()
        },
        ListApiPublications {
            api_name: Some("Fixtures".into()),
            ..all.clone()
        },
        ListApiPublications {
            auth_strategy_id: Some(strategy.into()),
            ..all.clone()
        },
        ListApiPublications {
            entity_type: Some(EntityType::Api.into()),
            ..all.clone()
        },
    ];
    for options in &matching {
        let listed = publications.list(options).await.unwrap();
        assert_eq!(
            (listed[0].api_id, listed[0].portal_id),
            (api, portal),
            "{options:?}"
        );
        assert_eq!(
            publications.list_lenient(options).await.unwrap().items,
            listed
        );
    }
    let others = ListApiPublications {
        entity_type: Some(EntityType::ApiPackage.into()),
        ..all
    };
    assert_eq!(publications.list(&others).await.unwrap(), []);

    let open = PublicationSettings {
        auth_strategy_ids: Patch::Null,
        ..PublicationSettings::default()
    };
    let made = publications.publish(api, portal, &open).await.unwrap();
    assert_eq!(
        (made.visibility, made.auth_strategy_ids),
        (Some(Visibility::Private), None)
    );
    publications.unpublish(api, portal).await.unwrap();
    let again = publications.unpublish(api, portal).await.unwrap_err();
    assert!(again.is_not_found());
    assert_eq!(client.apis().get(api).await.unwrap().portals, []);
}

fn by_token() -> NewAuthStrategy {
    let config = OpenIdConnectConfig {
        issuer: text("https://idp.example"),
        credential_claim: vec![text("sub")],
        scopes: vec![text("openid")],
        auth_methods: vec![text("bearer")],
        other: json!({"hide_credentials": true})
            .as_object()
            .unwrap()
            .clone(),
    };
    NewAuthStrategy::openid_connect("tokens", config)
}

#[tokio::test]
async fn strategies_of_both_types_are_kept_changed_and_deleted() {
    let (_konnect, client) = start().await;
    let strategies = client.auth_strategies();
    let by_key = NewAuthStrategy::key_auth("keys", "x-key");
    let by_key = strategies.create(&by_key).await.unwrap();
    assert_eq!(by_key.strategy_type, AuthStrategyType::KeyAuth);
    assert_eq!(
        by_key.configs.key_auth.as_ref().unwrap().key_names,
        ["x-key"]
    );
    let new = by_token();
    let by_token = strategies.create(&new).await.unwrap();
    let shown = by_token.configs.openid_connect.as_ref().unwrap();
    assert_eq!(shown.issuer, "https://idp.example");
    assert_eq!(shown.auth_methods, ["bearer"]);
    assert_eq!(strategies.get(by_token.id).await.unwrap(), by_token);

    let options = ListAuthStrategies {
        strategy_type: Some(AuthStrategyType::KeyAuth.into()),
        ..ListAuthStrategies::default()
    };
    let listed = strategies.list(&options).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&by_key));
    let options = ListAuthStrategies {
        sort: Some(Sort::descending("strategy_type")),
        ..ListAuthStrategies::default()
    };
    let listed = strategies.list(&options).await.unwrap();
    assert_eq!(listed, [by_token.clone(), by_key.clone()]);

    let ttl = KeyTtl {
        value: 2,
        unit: KeyTtlUnit::Weeks,
    };
    let change = |config| AuthStrategyUpdate {
        configs: Some(StrategyConfigsUpdate::KeyAuth(config)),
        ..AuthStrategyUpdate::default()
    };
    let set = change(KeyAuthUpdate {
        key_names: None,
        ttl: Patch::Set(ttl.clone()),
    });
    let shown = strategies.update(by_key.id, &set).await.unwrap();
    let config = shown.configs.key_auth.unwrap();
    assert_eq!(
        (config.key_names, config.ttl),
        (vec![text("x-key")], Some(ttl))
    );
    let unset = change(KeyAuthUpdate {
        key_names: None,
        ttl: Patch::Null,
    });
    let shown = strategies.update(by_key.id, &unset).await.unwrap();
    assert_eq!(shown.configs.key_auth.unwrap().ttl, None);
    let wrong = strategies.update(by_token.id, &unset).await.unwrap_err();
    assert_eq!(wrong.status(), Some(400));
}

#[tokio::test]
async fn a_strategy_by_token_keeps_the_settings_that_a_change_does_not_name() {
    let (_konnect, client) = start().await;
    let strategies = client.auth_strategies();
    let by_token = strategies.create(&by_token()).await.unwrap();
    let config = OpenIdConnectUpdate {
        scopes: Some(Vec::new()),
        ..OpenIdConnectUpdate::default()
    };
    let update = AuthStrategyUpdate {
        display_name: Some(text("Tokens")),
        labels: Patch::Set([(text("env"), Some(text("test")))].into()),
        dcr_provider_id: Patch::Null,
        configs: Some(StrategyConfigsUpdate::OpenIdConnect(config)),
        principals: Some(Principals { enabled: true }),
        ..AuthStrategyUpdate::default()
    };
    let shown = strategies.update(by_token.id, &update).await.unwrap();
    let config = shown.configs.openid_connect.unwrap();
    assert!(config.scopes.is_empty());
    assert_eq!(config.issuer, "https://idp.example");
    assert_eq!(config.other["hide_credentials"], true);
    assert_eq!(shown.display_name.as_deref(), Some("Tokens"));
    assert_eq!(shown.principals, Some(Principals { enabled: true }));
    assert_eq!(json!(shown.labels), json!({"env": "test"}));

    strategies.delete(by_token.id).await.unwrap();
    assert!(
        strategies
            .get(by_token.id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}
