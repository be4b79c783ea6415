//! A portal's own e-mail templates, and the operations on them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::email::templates::{EmailContent, EmailTemplateName, EmailVariableName};
use crate::email::whole::Whole;
use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::patch::Patch;

const LIST: &str = "GET /v3/portals/{portalId}/email-templates";
const GET: &str = "GET /v3/portals/{portalId}/email-templates/{templateName}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/email-templates/{templateName}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/email-templates/{templateName}";
const SEND_TEST: &str =
    "POST /v3/portals/{portalId}/email-templates/{templateName}/send-test-email";

/// A template that a portal has made its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailTemplate {
    /// Name of the template.
    pub name: EmailTemplateName,
    /// What the template is for, to show to people.
    #[serde(default)]
    pub label: Option<String>,
    /// Texts that are used where the portal has none of its own.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub default_content: EmailContent,
    /// The portal's own texts.
    #[serde(default)]
    pub content: Option<EmailContent>,
    /// Variables that its texts may have.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub variables: Vec<EmailVariableName>,
    /// Whether the portal sends this e-mail.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// When the portal made the template its own.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the template was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// What to change of a template; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailTemplateUpdate {
    /// The portal's own texts; null for none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub content: Patch<EmailContentUpdate>,
    /// Whether the portal sends this e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What to change of a template's texts; null for the default text. Members that are `Keep` stay
/// as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmailContentUpdate {
    /// Subject, at most 1024 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub subject: Patch<String>,
    /// Title above the body, at most 1024 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub title: Patch<String>,
    /// Body, at most 4096 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub body: Patch<String>,
    /// What the button says, at most 128 characters.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub button_label: Patch<String>,
}

/// The texts of an e-mail to try.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TestEmail {
    /// Subject, at most 1024 characters.
    pub subject: String,
    /// Title above the body, at most 1024 characters.
    pub title: String,
    /// Body, at most 4096 characters.
    pub body: String,
    /// What the button says, at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button_label: Option<String>,
}

#[derive(Serialize)]
struct TestBody<'a> {
    content: &'a TestEmail,
}

/// A portal's own e-mail templates.
#[derive(Debug, Clone, Copy)]
pub struct CustomEmailTemplates<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// The portal's own e-mail templates.
    pub fn email_templates(self) -> CustomEmailTemplates<'a> {
        CustomEmailTemplates {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl CustomEmailTemplates<'_> {
    /// Lists the templates that the portal has made its own
    /// (`list-portal-custom-email-templates`).
    pub async fn list(&self) -> Result<Vec<EmailTemplate>, Error> {
        let request = Request::new(LIST, &[&self.portal]);
        let list: Whole<_> = self.transport.fetch(request).await?;
        Ok(list.data)
    }

    /// Reads a template (`get-portal-custom-email-template`); none if the portal has not made it
    /// its own, or if there is no such portal.
    pub async fn get(&self, name: &EmailTemplateName) -> Result<Option<EmailTemplate>, Error> {
        self.transport
            .fetch_if_found(Request::new(GET, &[&self.portal, name]))
            .await
    }

    /// Makes a template the portal's own, or changes it (`update-portal-custom-email-template`).
    pub async fn update(
        &self,
        name: &EmailTemplateName,
        update: &EmailTemplateUpdate,
    ) -> Result<EmailTemplate, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal, name]).json(update)?)
            .await
    }

    /// Goes back to the default template (`delete-portal-custom-email-template`); 404 if the
    /// portal has not made it its own.
    pub async fn delete(&self, name: &EmailTemplateName) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, name]))
            .await
    }

    /// Sends an e-mail with these texts to the user whose token the client has
    /// (`post-portal-custom-email-test-send`).
    pub async fn send_test(
        &self,
        name: &EmailTemplateName,
        email: &TestEmail,
    ) -> Result<(), Error> {
        let request = Request::new(SEND_TEST, &[&self.portal, name]);
        self.transport
            .call(request.json(&TestBody { content: email })?)
            .await
    }
}
