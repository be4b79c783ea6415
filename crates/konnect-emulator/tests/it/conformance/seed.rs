//! The 74 operations of the reference that the project began with: a test named after each
//! operationId calls it with valid and invalid input.

use std::collections::BTreeSet;

use crate::conformance::{conform_by_name, facts::FACTS};

macro_rules! operations {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                conform_by_name(stringify!($name)).await;
            }
        )*

        #[test]
        fn these_are_all_of_them() {
            let tested: BTreeSet<String> =
                [$(stringify!($name)),*].map(|name| name.replace('_', "-")).into();
            let wanted = FACTS.iter().filter(|operation| operation.in_seed);
            let wanted: BTreeSet<String> = wanted.map(|operation| operation.id.clone()).collect();
            assert_eq!(tested, wanted);
            assert_eq!(tested.len(), 74);
        }
    };
}

operations! {
    add_developer_to_portal_team
    assign_role_to_portal_teams
    create_default_content
    create_email_domain
    create_portal
    create_portal_custom_domain
    create_portal_identity_provider
    create_portal_page
    create_portal_snippet
    create_portal_team
    delete_application
    delete_application_registration
    delete_developer
    delete_email_delivery
    delete_email_domain
    delete_portal
    delete_portal_custom_domain
    delete_portal_identity_provider
    delete_portal_page
    delete_portal_snippet
    delete_portal_team
    get_application
    get_application_registration
    get_application_unscoped
    get_developer
    get_email_delivery
    get_email_domain
    get_portal
    get_portal_asset_favicon
    get_portal_audit_log_replay_job
    get_portal_audit_log_webhook
    get_portal_audit_log_webhook_status
    get_portal_authentication_settings
    get_portal_custom_domain
    get_portal_customization
    get_portal_identity_provider
    get_portal_identity_providers
    get_portal_page
    get_portal_snippet
    get_portal_team
    list_applications
    list_developers_by_application
    list_email_domains
    list_portal_developer_teams
    list_portal_developers
    list_portal_pages
    list_portal_roles
    list_portal_snippets
    list_portal_team_developers
    list_portal_team_group_mappings
    list_portal_team_roles
    list_portal_teams
    list_portals
    list_registrations
    list_registrations_by_application
    move_portal_pages
    remove_developer_from_portal_team
    remove_role_from_portal_team
    replace_portal_asset_favicon
    replace_portal_customization
    update_application_registration
    update_developer
    update_email_delivery
    update_portal
    update_portal_audit_log_replay_job
    update_portal_audit_log_webhook
    update_portal_authentication_settings
    update_portal_custom_domain
    update_portal_customization
    update_portal_identity_provider
    update_portal_page
    update_portal_snippet
    update_portal_team
    update_portal_team_group_mappings
}
