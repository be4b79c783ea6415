//! The e-mails that portals send unless they have their own, what may be said in them, and the
//! operations that read both.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::email::whole::Whole;
use crate::error::Error;
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;

const LIST: &str = "GET /v3/portals/email-templates";
const VARIABLES: &str = "GET /v3/portals/email-templates/variables";
const GET: &str = "GET /v3/portals/email-templates/{templateName}";

open_enum! {
    /// Name of a template, which says what its e-mail is sent for.
    EmailTemplateName {
        /// A developer signed up and is to confirm the address.
        ConfirmEmailAddress = "confirm-email-address",
        /// A registration was approved.
        AppRegistrationApproved = "app-registration-approved",
        /// A registration was rejected.
        AppRegistrationRejected = "app-registration-rejected",
        /// A registration was revoked.
        AppRegistrationRevoked = "app-registration-revoked",
        /// A developer forgot the password.
        ResetPassword = "reset-password",
        /// A developer was approved.
        AccountAccessApproved = "account-access-approved",
        /// A developer was rejected.
        AccountAccessRejected = "account-access-rejected",
        /// A developer was revoked.
        AccountAccessRevoked = "account-access-revoked",
        /// An API key ends soon.
        ApiKeyExpiringSoon = "api-key-expiring-soon",
        /// An API key ended.
        ApiKeyExpired = "api-key-expired",
        /// An admin of the portal invited a developer.
        DeveloperInvitation = "developer-invitation",
    }
}

open_enum! {
    /// A variable of templates. The API replaces it where a text has its name between two braces:
    /// `{{developer_fullname}}`.
    EmailVariableName {
        /// Name of the portal that developers see.
        PortalDisplayName = "portal_display_name",
        /// Where the portal is.
        PortalDomain = "portal_domain",
        /// Address of the developer.
        DeveloperEmail = "developer_email",
        /// Name of the developer.
        DeveloperFullname = "developer_fullname",
        /// Address that answers go to.
        DevPortalReplyTo = "dev_portal_reply_to",
        /// Status of the developer.
        DeveloperStatus = "developer_status",
        /// Where the documentation of the API is.
        ApiDocumentationUrl = "api_documentation_url",
        /// Name of the API.
        ApiName = "api_name",
        /// Version of the API.
        ApiVersion = "api_version",
        /// Name of the application.
        ApplicationName = "application_name",
        /// Name of the credential.
        CredentialName = "credential_name",
        /// When the credential ends.
        CredentialExpiresAt = "credential_expires_at",
    }
}

/// The texts of an e-mail; they may have variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailContent {
    /// Subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Title above the body.
    #[serde(default)]
    pub title: Option<String>,
    /// Body.
    #[serde(default)]
    pub body: Option<String>,
    /// What the button says, in e-mails that have one.
    #[serde(default)]
    pub button_label: Option<String>,
}

/// A template that portals use unless they have their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultEmailTemplate {
    /// Name of the template.
    pub name: EmailTemplateName,
    /// What the template is for, to show to people.
    #[serde(default)]
    pub label: Option<String>,
    /// Texts of the e-mail.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub default_content: EmailContent,
    /// Variables that its texts may have.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub variables: Vec<EmailVariableName>,
}

/// What is to know of a variable of templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailTemplateVariable {
    /// Name of the variable.
    pub name: EmailVariableName,
    /// What the variable stands for, to show to people.
    #[serde(default)]
    pub description: Option<String>,
    /// Templates that may have the variable.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub scope: Vec<EmailTemplateName>,
    /// A value that the variable could have.
    #[serde(default)]
    pub example: Option<String>,
}

/// The templates that all portals use unless they have their own.
#[derive(Debug, Clone, Copy)]
pub struct DefaultEmailTemplates<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Templates of e-mails that portals use unless they have their own.
    pub fn email_templates(&self) -> DefaultEmailTemplates<'_> {
        DefaultEmailTemplates {
            transport: &self.transport,
        }
    }
}

impl DefaultEmailTemplates<'_> {
    /// Lists all default templates (`list-default-email-templates`).
    pub async fn list(&self) -> Result<Vec<DefaultEmailTemplate>, Error> {
        let list: Whole<_> = self.transport.fetch(Request::new(LIST, &[])).await?;
        Ok(list.data)
    }

    /// Lists all variables that templates may have (`list-email-template-variables`).
    pub async fn variables(&self) -> Result<Vec<EmailTemplateVariable>, Error> {
        let list: Whole<_> = self.transport.fetch(Request::new(VARIABLES, &[])).await?;
        Ok(list.data)
    }

    /// Reads a default template (`get-default-email-template`); 404 if the API knows no such name.
    pub async fn get(&self, name: &EmailTemplateName) -> Result<DefaultEmailTemplate, Error> {
        self.transport.fetch(Request::new(GET, &[name])).await
    }
}
