//! The e-mails of a portal: domains, delivery, configuration and templates.
//!
//! Domains and default templates belong to the whole account: `client.email_domains()`,
//! `client.email_templates()`. All else belongs to a portal:
//! `client.portal(id).email_config()`, `.email_templates()`, `.email_delivery()`.

mod config;
mod custom_templates;
mod delivery;
mod domains;
mod templates;
mod whole;

pub use config::{EmailConfig, EmailConfigResource, EmailConfigUpdate, NewEmailConfig};
pub use custom_templates::{
    CustomEmailTemplates, EmailContentUpdate, EmailTemplate, EmailTemplateUpdate, TestEmail,
};
pub use delivery::{EmailDelivery, EmailDeliveryResource, EmailDeliveryUpdate};
pub use domains::{
    DnsRecord, EmailDomain, EmailDomainVerification, EmailDomains, EmailVerificationStatus,
    ListEmailDomains, NewEmailDomain,
};
pub use templates::{
    DefaultEmailTemplate, DefaultEmailTemplates, EmailContent, EmailTemplateName,
    EmailTemplateVariable, EmailVariableName,
};
