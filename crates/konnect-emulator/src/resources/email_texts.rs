//! The texts of the templates that all portals have, and the variables in them. Names and which
//! template may have which variable are Konnect's; the words are the emulator's own.

/// A template that all portals have.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// The subject too.
    pub(crate) title: &'static str,
    pub(crate) body: &'static str,
    pub(crate) button_label: Option<&'static str>,
}

/// A variable of templates.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) example: &'static str,
    /// The templates that may have it.
    pub(crate) scope: &'static [&'static str],
}

/// All templates.
pub(crate) static TEMPLATES: &[Template] = &[
    Template {
        name: "confirm-email-address",
        label: "A developer has to confirm an address",
        title: "Is this your address?",
        body: "Hello {{developer_fullname}}, somebody signed up at {{portal_display_name}} with this address. If it was you, confirm it.",
        button_label: Some("Confirm"),
    },
    Template {
        name: "app-registration-approved",
        label: "A registration was approved",
        title: "{{application_name}} may use {{api_name}}",
        body: "Hello {{developer_fullname}}, your application {{application_name}} may now use {{api_name}} {{api_version}}. How: {{api_documentation_url}}",
        button_label: Some("Read the documentation"),
    },
    Template {
        name: "app-registration-rejected",
        label: "A registration was rejected",
        title: "{{application_name}} may not use {{api_name}}",
        body: "Hello {{developer_fullname}}, the registration of {{application_name}} for {{api_name}} {{api_version}} was rejected.",
        button_label: None,
    },
    Template {
        name: "app-registration-revoked",
        label: "A registration was revoked",
        title: "{{application_name}} may no longer use {{api_name}}",
        body: "Hello {{developer_fullname}}, the registration of {{application_name}} for {{api_name}} {{api_version}} was revoked.",
        button_label: None,
    },
    Template {
        name: "reset-password",
        label: "A developer forgot a password",
        title: "Choose a new password",
        body: "Hello {{developer_fullname}}, somebody asked for a new password for your account at {{portal_display_name}}. If it was you, choose one.",
        button_label: Some("Choose a password"),
    },
    Template {
        name: "account-access-approved",
        label: "A developer was approved",
        title: "Welcome to {{portal_display_name}}",
        body: "Hello {{developer_fullname}}, your account is {{developer_status}}. Sign in at {{portal_domain}}.",
        button_label: Some("Sign in"),
    },
    Template {
        name: "account-access-rejected",
        label: "A developer was rejected",
        title: "Your account at {{portal_display_name}}",
        body: "Hello {{developer_fullname}}, your account is {{developer_status}}. Questions go to {{dev_portal_reply_to}}.",
        button_label: None,
    },
    Template {
        name: "account-access-revoked",
        label: "A developer was revoked",
        title: "Your account at {{portal_display_name}} has ended",
        body: "Hello {{developer_fullname}}, your account is {{developer_status}}. Questions go to {{dev_portal_reply_to}}.",
        button_label: None,
    },
    Template {
        name: "api-key-expiring-soon",
        label: "An API key ends soon",
        title: "{{credential_name}} ends soon",
        body: "Hello {{developer_fullname}}, the key {{credential_name}} of {{application_name}} ends at {{credential_expires_at}}.",
        button_label: Some("Make a new key"),
    },
    Template {
        name: "api-key-expired",
        label: "An API key ended",
        title: "{{credential_name}} has ended",
        body: "Hello {{developer_fullname}}, the key {{credential_name}} of {{application_name}} ended at {{credential_expires_at}}.",
        button_label: Some("Make a new key"),
    },
    Template {
        name: "developer-invitation",
        label: "A developer was invited",
        title: "Come to {{portal_display_name}}",
        body: "Hello {{developer_fullname}}, you are invited to {{portal_display_name}} at {{portal_domain}}.",
        button_label: Some("Accept"),
    },
];

const ALL: &[&str] = &[
    "confirm-email-address",
    "app-registration-approved",
    "app-registration-rejected",
    "app-registration-revoked",
    "reset-password",
    "account-access-approved",
    "account-access-rejected",
    "account-access-revoked",
    "api-key-expiring-soon",
    "api-key-expired",
    "developer-invitation",
];

const OF_REGISTRATIONS: &[&str] = &[
    "app-registration-approved",
    "app-registration-rejected",
    "app-registration-revoked",
];

const OF_APPLICATIONS: &[&str] = &[
    "app-registration-approved",
    "app-registration-rejected",
    "app-registration-revoked",
    "api-key-expiring-soon",
    "api-key-expired",
];

const OF_ACCOUNTS: &[&str] = &[
    "account-access-approved",
    "account-access-rejected",
    "account-access-revoked",
];

const OF_KEYS: &[&str] = &["api-key-expiring-soon", "api-key-expired"];

/// All variables.
#[rustfmt::skip]
pub(crate) static VARIABLES: &[Variable] = &[
    variable("portal_display_name", "what the portal is called", "Arsenal", ALL),
    variable("portal_domain", "where the portal is", "portal.arsenal.example", ALL),
    variable("developer_email", "the developer's address", "ann@arsenal.example", ALL),
    variable("developer_fullname", "the developer's name", "Ann", ALL),
    variable("dev_portal_reply_to", "where answers go", "help@arsenal.example", ALL),
    variable("developer_status", "the developer's status", "approved", OF_ACCOUNTS),
    variable("api_documentation_url", "where the API is documented", "https://portal.arsenal.example/apis/flights", OF_REGISTRATIONS),
    variable("api_name", "what the API is called", "Flights", OF_REGISTRATIONS),
    variable("api_version", "which version of the API it is", "v2", OF_REGISTRATIONS),
    variable("application_name", "what the application is called", "Timetable", OF_APPLICATIONS),
    variable("credential_name", "what the key is called", "key of the test stage", OF_KEYS),
    variable("credential_expires_at", "when the key ends", "2030-01-02T03:04:05Z", OF_KEYS),
];

const fn variable(
    name: &'static str,
    description: &'static str,
    example: &'static str,
    scope: &'static [&'static str],
) -> Variable {
    Variable {
        name,
        description,
        example,
        scope,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_only_variables_that_their_template_may_have() {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        assert_eq!(names, ALL);
        for template in TEMPLATES {
            for text in [template.title, template.body] {
                for part in text.split("{{").skip(1) {
                    let (name, _) = part.split_once("}}").unwrap();
                    let variable = VARIABLES.iter().find(|variable| variable.name == name);
                    let scope = variable.unwrap_or_else(|| panic!("{name}")).scope;
                    assert!(scope.contains(&template.name), "{}: {name}", template.name);
                }
            }
        }
    }
}
