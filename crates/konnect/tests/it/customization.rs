//! How a portal looks, its domain and its integrations, against the emulator: each operation, and
//! what is there after it.

use konnect::customization::{
    CnameStatus, CustomDomainSslUpdate, CustomDomainUpdate, Customization, CustomizationUpdate,
    DomainVerificationMethod, DomainVerificationStatus, EqualWeb, EqualWebConfig, GoogleAnalytics4,
    GoogleAnalytics4Config, GoogleAnalytics4ConfigUpdate, GoogleAnalytics4Update, GoogleTagManager,
    GoogleTagManagerConfig, GoogleTagManagerConfigUpdate, GoogleTagManagerUpdate, IntegrationType,
    Integrations, IntegrationsUpdate, Menu, MenuItem, MenuSection, NewCustomDomain,
    NewCustomDomainSsl, SpecRenderer, Theme, ThemeColors, ThemeMode,
};
use konnect::{Client, Patch, PortalId, Visibility};
use konnect_emulator::Emulator;
use serde_json::json;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----";

async fn konnect() -> (Emulator, Client, PortalId) {
    let emulator = Emulator::start().await.unwrap();
    let made = emulator
        .seed(&json!({"portals": [{"name": "Portal"}, {"name": "Other"}]}))
        .unwrap();
    let portal = serde_json::from_value(made["portals"][0]["id"].clone()).unwrap();
    let client = Client::builder(emulator.url().parse().unwrap())
        .token(emulator.token().into())
        .build()
        .unwrap();
    (emulator, client, portal)
}

fn link(path: &str) -> MenuItem {
    MenuItem {
        path: path.to_owned(),
        title: "Link".to_owned(),
        visibility: Visibility::Public,
        external: false,
    }
}

#[tokio::test]
async fn a_customization_is_replaced_as_a_whole_and_changed_member_by_member() {
    let (_emulator, client, portal) = konnect().await;
    let customization = client.portal(portal).customization();
    let none = customization.get().await.unwrap();
    assert_eq!(none, Customization::default());

    let whole = Customization {
        theme: Some(Theme {
            name: Some("mint".to_owned()),
            mode: Some(ThemeMode::Light),
            colors: Some(ThemeColors {
                primary: Some("#8250FF".to_owned()),
            }),
        }),
        layout: Some("topnav".to_owned()),
        css: Some("a { color: red }".to_owned()),
        menu: Some(Menu {
            main: Some(vec![link("/a"), link("/b")]),
            footer_sections: Some(vec![MenuSection {
                title: "Section".to_owned(),
                items: vec![link("#")],
            }]),
            footer_bottom: None,
        }),
        spec_renderer: Some(SpecRenderer {
            try_it_ui: Some(false),
            ..SpecRenderer::default()
        }),
        robots: Some("User-agent: *".to_owned()),
    };
    let mut expected = whole.clone();
    expected.spec_renderer = Some(SpecRenderer {
        try_it_ui: Some(false),
        try_it_insomnia: Some(true),
        infinite_scroll: Some(true),
        show_schemas: Some(true),
        hide_internal: Some(false),
        hide_deprecated: Some(false),
        allow_custom_server_urls: Some(true),
    });
    assert_eq!(customization.replace(&whole).await.unwrap(), expected);

    let update = CustomizationUpdate {
        theme: Some(Theme {
            mode: Some(ThemeMode::Dark),
            ..Theme::default()
        }),
        css: Patch::Null,
        menu: Some(Menu {
            main: Some(Vec::new()),
            ..Menu::default()
        }),
        robots: "User-agent: none".into(),
        ..CustomizationUpdate::default()
    };
    let changed = customization.update(&update).await.unwrap();
    expected.theme.as_mut().unwrap().mode = Some(ThemeMode::Dark);
    expected.css = None;
    expected.menu.as_mut().unwrap().main = Some(Vec::new());
    expected.robots = Some("User-agent: none".to_owned());
    assert_eq!(changed, expected);
    assert_eq!(customization.get().await.unwrap(), expected);

    // What was read can be put back, and what is left out is gone.
    assert_eq!(customization.replace(&expected).await.unwrap(), expected);
    assert_eq!(customization.replace(&none).await.unwrap(), none);
}

#[tokio::test]
async fn a_domain_is_verified_in_time_and_names_the_portal_while_it_is_enabled() {
    let (emulator, client, portal) = konnect().await;
    let domain = client.portal(portal).custom_domain();
    let canonical = async || {
        let portal = client.portal(portal).get().await.unwrap();
        portal.canonical_domain.unwrap()
    };
    let given = canonical().await;
    assert_eq!(domain.get().await.unwrap(), None);
    let switch = |enabled| CustomDomainUpdate {
        enabled: Some(enabled),
        ssl: None,
    };
    assert!(
        domain
            .update(&switch(true))
            .await
            .unwrap_err()
            .is_not_found()
    );

    let new = NewCustomDomain {
        hostname: "portal.example.com".to_owned(),
        enabled: true,
        ssl: NewCustomDomainSsl::Http,
    };
    let made = domain.create(&new).await.unwrap();
    assert_eq!(
        (made.hostname.as_str(), made.enabled),
        ("portal.example.com", true)
    );
    assert_eq!(made.cname_status, Some(CnameStatus::Pending));
    assert_eq!(
        made.ssl.domain_verification_method,
        Some(DomainVerificationMethod::Http)
    );
    assert_eq!(
        made.ssl.verification_status,
        Some(DomainVerificationStatus::Pending)
    );
    assert_eq!(made.ssl.uploaded_at, None);
    assert!(made.created_at.is_some());
    assert_eq!(canonical().await, "portal.example.com");
    let second = domain.create(&new).await.unwrap_err();
    assert_eq!(second.status(), Some(400), "{second}");

    emulator.advance_clock(60);
    let verified = domain.get().await.unwrap().unwrap();
    assert_eq!(verified.cname_status, Some(CnameStatus::Verified));
    assert_eq!(
        verified.ssl.verification_status,
        Some(DomainVerificationStatus::Verified)
    );
    let off = domain.update(&switch(false)).await.unwrap();
    assert!(!off.enabled && off.updated_at > off.created_at);
    assert_eq!(canonical().await, given);

    domain.delete().await.unwrap();
    assert_eq!(domain.get().await.unwrap(), None);
    assert!(domain.delete().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_certificate_is_looked_at_and_its_key_is_never_shown() {
    let (_emulator, client, portal) = konnect().await;
    let domain = client.portal(portal).custom_domain();
    let new = NewCustomDomain {
        hostname: "portal.example.com".to_owned(),
        enabled: true,
        ssl: NewCustomDomainSsl::CustomCertificate {
            custom_certificate: "none".to_owned(),
            custom_private_key: KEY.into(),
            skip_ca_check: Some(true),
        },
    };
    assert!(!format!("{new:?}").contains("PRIVATE KEY"));
    let made = domain.create(&new).await.unwrap();
    assert_eq!(
        made.ssl.verification_status,
        Some(DomainVerificationStatus::Error)
    );
    assert_eq!(made.ssl.validation_errors.len(), 1);
    assert_eq!(made.ssl.skip_ca_check, Some(true));
    assert_eq!(made.ssl.uploaded_at, made.created_at);

    let update = CustomDomainUpdate {
        enabled: None,
        ssl: Some(CustomDomainSslUpdate {
            custom_certificate: Some(CERTIFICATE.to_owned()),
            custom_private_key: Some(KEY.into()),
            skip_ca_check: None,
        }),
    };
    assert!(!format!("{update:?}").contains("PRIVATE KEY"));
    let changed = domain.update(&update).await.unwrap();
    assert_eq!(
        changed.ssl.verification_status,
        Some(DomainVerificationStatus::Verified)
    );
    assert_eq!(changed.ssl.validation_errors, Vec::<String>::new());
    assert_eq!(changed.ssl.skip_ca_check, Some(true));
    assert_eq!(changed.ssl.uploaded_at, changed.updated_at);
    assert!(changed.enabled);
}

#[tokio::test]
async fn integrations_are_replaced_merged_and_taken_away() {
    let (_emulator, client, portal) = konnect().await;
    let integrations = client.portal(portal).integrations();
    let none = integrations.get().await.unwrap();
    assert_eq!(none, Integrations::default());

    let widget = json!({"Position": "left", "btnStyle": {"scale": ["0.5"]}});
    let mut all = Integrations {
        google_tag_manager: Some(GoogleTagManager::new(GoogleTagManagerConfig {
            id: "GTM-1A2B3C4".to_owned(),
            l: Some("layer".to_owned()),
            debug: Some(true),
            ..GoogleTagManagerConfig::default()
        })),
        google_analytics_4: Some(GoogleAnalytics4::new(GoogleAnalytics4Config {
            id: "G-1A2B-3C4D".to_owned(),
            l: None,
        })),
        equal_web: Some(EqualWeb::new(EqualWebConfig {
            site_key: "a1".repeat(16),
            widget_config: widget.as_object().cloned(),
        })),
    };
    assert_eq!(integrations.replace(&all).await.unwrap(), all);

    let update = IntegrationsUpdate {
        google_tag_manager: Patch::Set(GoogleTagManagerUpdate {
            enabled: Some(false),
            config_data: Some(GoogleTagManagerConfigUpdate {
                l: Patch::Null,
                preview: "preview".into(),
                ..GoogleTagManagerConfigUpdate::default()
            }),
            ..GoogleTagManagerUpdate::default()
        }),
        equal_web: Patch::Null,
        ..IntegrationsUpdate::default()
    };
    let tags = all.google_tag_manager.as_mut().unwrap();
    tags.enabled = false;
    tags.config_data.l = None;
    tags.config_data.preview = Some("preview".to_owned());
    all.equal_web = None;
    assert_eq!(integrations.update(&update).await.unwrap(), all);
    assert_eq!(integrations.get().await.unwrap(), all);

    assert_eq!(integrations.replace(&none).await.unwrap(), none);
    // Where there is none, a change must say all that is needed.
    let change = |kind| IntegrationsUpdate {
        google_analytics_4: Patch::Set(GoogleAnalytics4Update {
            enabled: Some(true),
            kind,
            config_data: Some(GoogleAnalytics4ConfigUpdate {
                id: Some("G-12345".to_owned()),
                l: Patch::Keep,
            }),
        }),
        ..IntegrationsUpdate::default()
    };
    let refused = integrations.update(&change(None)).await.unwrap_err();
    assert_eq!(refused.status(), Some(400), "{refused}");
    let whole = change(Some(IntegrationType::Analytics));
    let made = integrations.update(&whole).await.unwrap();
    let expected = GoogleAnalytics4::new(GoogleAnalytics4Config {
        id: "G-12345".to_owned(),
        l: None,
    });
    assert_eq!(made.google_analytics_4, Some(expected));
}
