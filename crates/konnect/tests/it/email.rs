//! The e-mails of portals, against the emulator: each operation, and what is there after it.

use chrono::Datelike as _;
use konnect::email::{
    EmailConfigUpdate, EmailContent, EmailContentUpdate, EmailDeliveryUpdate, EmailTemplateName,
    EmailTemplateUpdate, EmailVariableName, EmailVerificationStatus, ListEmailDomains,
    NewEmailConfig, NewEmailDomain, TestEmail,
};
use konnect::{Client, Patch, PortalId, Sort, SortBy, TextFilter};
use konnect_emulator::Emulator;
use serde_json::json;

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

#[tokio::test]
async fn domains_are_verified_in_time_and_found_by_name() {
    let (emulator, client, _) = konnect().await;
    let domains = client.email_domains();
    for domain in ["b.example", "a.example", "c.invalid"] {
        let domain = domain.to_owned();
        let made = domains.create(&NewEmailDomain { domain }).await.unwrap();
        let verification = made.verification.unwrap();
        assert_eq!(verification.status, EmailVerificationStatus::Pending);
        assert!(verification.last_time_checked.unwrap().year() > 2000);
        assert_eq!(verification.last_time_success, None);
        for record in &made.dns_validation_records {
            assert!(record.name.ends_with(&made.domain), "{record:?}");
            assert_eq!(record.kind, "CNAME");
        }
        assert_eq!(made.dns_validation_records.len(), 3);
    }
    let again = NewEmailDomain {
        domain: "a.example".to_owned(),
    };
    let refused = domains.create(&again).await.unwrap_err();
    assert_eq!(refused.status(), Some(400), "{refused}");

    emulator.advance_clock(60);
    let verified = domains.get("a.example").await.unwrap();
    let verification = verified.verification.unwrap();
    assert_eq!(verification.status, EmailVerificationStatus::Success);
    assert_eq!(
        verification.last_time_success,
        verification.last_time_checked
    );
    assert_eq!(verified.updated_at, verification.last_time_success);

    let all = ListEmailDomains::default;
    for (options, names) in [
        (all(), vec!["b.example", "a.example", "c.invalid"]),
        (
            ListEmailDomains {
                sort: Some(Sort::descending(SortBy::Domain)),
                page_size: Some(1),
                ..all()
            },
            vec!["c.invalid", "b.example", "a.example"],
        ),
        (
            ListEmailDomains {
                domain: Some(TextFilter::Contains("a.ex".to_owned())),
                ..all()
            },
            vec!["a.example"],
        ),
        (
            ListEmailDomains {
                verification_status: Some(EmailVerificationStatus::Failed.as_str().into()),
                ..all()
            },
            vec!["c.invalid"],
        ),
    ] {
        let found = domains.list(&options).await.unwrap();
        let found: Vec<_> = found.iter().map(|domain| domain.domain.as_str()).collect();
        assert_eq!(found, names, "{options:?}");
        let mut pages = domains.pages(&options);
        let first = pages.next().await.unwrap().unwrap();
        assert_eq!(first.items[0].domain, names[0]);
    }

    domains.delete("a.example").await.unwrap();
    assert!(domains.get("a.example").await.unwrap_err().is_not_found());
    assert!(
        domains
            .delete("a.example")
            .await
            .unwrap_err()
            .is_not_found()
    );
    let left = domains.list_page(&all(), 1).await.unwrap();
    assert_eq!(left.total, Some(2));
}

#[tokio::test]
async fn a_portal_has_one_configuration() {
    let (_emulator, client, portal) = konnect().await;
    let config = client.portal(portal).email_config();
    assert_eq!(config.get().await.unwrap(), None);
    let update = EmailConfigUpdate::default();
    assert!(config.update(&update).await.unwrap_err().is_not_found());
    assert!(config.delete().await.unwrap_err().is_not_found());

    let new = NewEmailConfig {
        domain_name: Some("mail.example".to_owned()),
        from_name: Some("Portal".to_owned()),
        from_email: Some("portal@mail.example".to_owned()),
        reply_to_email: None,
    };
    let made = config.create(&new).await.unwrap();
    assert_eq!(made.domain_name, new.domain_name);
    assert_eq!(made.from_name, new.from_name);
    assert_eq!(made.from_email, new.from_email);
    assert_eq!(made.reply_to_email, None);
    assert!(made.id.is_some() && made.created_at.is_some());
    assert_eq!(config.get().await.unwrap(), Some(made.clone()));
    let again = config.create(&NewEmailConfig::default()).await.unwrap_err();
    assert!(again.is_conflict(), "{again}");

    // A domain that a configuration names is one of the account's from then on.
    client.email_domains().get("mail.example").await.unwrap();

    let update = EmailConfigUpdate {
        from_name: Patch::Null,
        reply_to_email: "help@mail.example".into(),
        ..EmailConfigUpdate::default()
    };
    let changed = config.update(&update).await.unwrap();
    assert_eq!(changed.from_name, None);
    assert_eq!(changed.reply_to_email.as_deref(), Some("help@mail.example"));
    assert_eq!(
        (&changed.from_email, changed.id),
        (&made.from_email, made.id)
    );
    assert_eq!(changed.domain_name, made.domain_name);

    client.email_domains().delete("mail.example").await.unwrap();
    assert_eq!(config.get().await.unwrap().unwrap().domain_name, None);

    config.delete().await.unwrap();
    assert_eq!(config.get().await.unwrap(), None);
    config.create(&NewEmailConfig::default()).await.unwrap();
    client.portal(portal).delete(true).await.unwrap();
    assert_eq!(config.get().await.unwrap(), None);
    let orphan = config.create(&NewEmailConfig::default()).await.unwrap_err();
    assert!(orphan.is_not_found(), "{orphan}");
}

#[tokio::test]
async fn a_delivery_is_made_by_its_first_change() {
    let (_emulator, client, portal) = konnect().await;
    let delivery = client.portal(portal).email_delivery();
    assert_eq!(delivery.get().await.unwrap(), None);
    assert!(delivery.delete().await.unwrap_err().is_not_found());

    let update = EmailDeliveryUpdate {
        from_email: "portal@mail.example".into(),
        ..EmailDeliveryUpdate::default()
    };
    let made = delivery.update(&update).await.unwrap();
    assert!(!made.enabled);
    assert_eq!(made.from_email.as_deref(), Some("portal@mail.example"));
    assert_eq!(made.reply_to_email, None);

    let update = EmailDeliveryUpdate {
        enabled: Some(true),
        from_email: Patch::Null,
        ..EmailDeliveryUpdate::default()
    };
    let changed = delivery.update(&update).await.unwrap();
    assert_eq!((changed.enabled, &changed.from_email), (true, &None));
    assert_eq!(delivery.get().await.unwrap(), Some(changed));
    delivery.delete().await.unwrap();
    assert_eq!(delivery.get().await.unwrap(), None);
}

#[tokio::test]
async fn default_templates_and_their_variables_fit_each_other() {
    let (_emulator, client, _) = konnect().await;
    let templates = client.email_templates();
    let all = templates.list().await.unwrap();
    let variables = templates.variables().await.unwrap();
    assert_eq!((all.len(), variables.len()), (11, 12));
    for template in &all {
        assert!(!matches!(template.name, EmailTemplateName::Other(_)));
        assert!(template.default_content.subject.is_some() && template.label.is_some());
        assert_eq!(&templates.get(&template.name).await.unwrap(), template);
        for variable in &variables {
            assert!(!matches!(variable.name, EmailVariableName::Other(_)));
            assert!(variable.description.is_some() && variable.example.is_some());
            assert_eq!(
                variable.scope.contains(&template.name),
                template.variables.contains(&variable.name),
                "{} in {}",
                variable.name,
                template.name
            );
        }
    }
    let unknown = EmailTemplateName::from("nonsense");
    assert!(templates.get(&unknown).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_portal_makes_a_template_its_own_and_goes_back() {
    let (emulator, client, portal) = konnect().await;
    let templates = client.portal(portal).email_templates();
    let name = EmailTemplateName::ResetPassword;
    assert_eq!(templates.list().await.unwrap(), []);
    assert_eq!(templates.get(&name).await.unwrap(), None);
    assert!(templates.delete(&name).await.unwrap_err().is_not_found());

    let update = |content: EmailContentUpdate| EmailTemplateUpdate {
        content: content.into(),
        enabled: None,
    };
    let first = update(EmailContentUpdate {
        subject: "Hello {{developer_fullname}}".into(),
        button_label: "Go".into(),
        ..EmailContentUpdate::default()
    });
    let made = templates.update(&name, &first).await.unwrap();
    assert_eq!((&made.name, made.enabled), (&name, Some(true)));
    let default = client.email_templates().get(&name).await.unwrap();
    assert_eq!(made.default_content, default.default_content);
    assert_eq!(
        (made.label, made.variables),
        (default.label, default.variables)
    );

    // Texts that are not named stay, and so does the switch.
    let off = EmailTemplateUpdate {
        enabled: Some(false),
        ..EmailTemplateUpdate::default()
    };
    templates.update(&name, &off).await.unwrap();
    let second = update(EmailContentUpdate {
        title: "Hi".into(),
        button_label: Patch::Null,
        ..EmailContentUpdate::default()
    });
    let changed = templates.update(&name, &second).await.unwrap();
    assert_eq!(changed.enabled, Some(false));
    let content = EmailContent {
        subject: Some("Hello {{developer_fullname}}".to_owned()),
        title: Some("Hi".to_owned()),
        ..EmailContent::default()
    };
    assert_eq!(changed.content, Some(content));
    assert_eq!(templates.get(&name).await.unwrap(), Some(changed.clone()));
    assert_eq!(templates.list().await.unwrap(), [changed]);

    let none = EmailTemplateUpdate {
        content: Patch::Null,
        enabled: None,
    };
    let emptied = templates.update(&name, &none).await.unwrap();
    assert_eq!((emptied.content, emptied.enabled), (None, Some(false)));

    let test = TestEmail {
        subject: "S".to_owned(),
        title: "T".to_owned(),
        body: "B".to_owned(),
        button_label: None,
    };
    templates.send_test(&name, &test).await.unwrap();
    let sent = emulator.requests().pop().unwrap();
    assert!(sent.path.ends_with("/reset-password/send-test-email"));
    let content = json!({"subject": "S", "title": "T", "body": "B"});
    assert_eq!(sent.body, json!({"content": content}));

    templates.delete(&name).await.unwrap();
    assert_eq!(templates.get(&name).await.unwrap(), None);
    let unknown = EmailTemplateName::from("nonsense");
    let refused = templates.update(&unknown, &none).await.unwrap_err();
    assert!(refused.is_not_found(), "{refused}");
    let refused = templates.send_test(&unknown, &test).await.unwrap_err();
    assert!(refused.is_not_found(), "{refused}");
}
