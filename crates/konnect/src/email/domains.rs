//! Domains that the account's portals may send e-mail from, and the operations on them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::paging::{Identified, Page, Pages, collect_numbered, numbered_page};
use crate::request::Request;
use crate::transport::Transport;
use crate::wire::filter::TextFilter;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals/email-domains";
const CREATE: &str = "POST /v3/portals/email-domains";
const GET: &str = "GET /v3/portals/email-domains/{emailDomain}";
const DELETE: &str = "DELETE /v3/portals/email-domains/{emailDomain}";

open_enum! {
    /// How far the API is with verifying that a domain belongs to the account.
    EmailVerificationStatus {
        /// The DNS records were not found yet.
        Pending = "pending",
        /// The domain is verified.
        Success = "success",
        /// The DNS records were not found in time.
        Failed = "failed",
        /// The DNS could not be asked; it will be asked again.
        TemporaryFailure = "temporary_failure",
        /// The DNS was not asked yet.
        NotStarted = "not_started",
    }
}

/// A domain that e-mail may be sent from. It has no id: its name tells it from the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailDomain {
    /// Name of the domain.
    pub domain: String,
    /// How far its verification is.
    #[serde(default)]
    pub verification: Option<EmailDomainVerification>,
    /// Records to add to the domain's DNS, for the verification to succeed.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub dns_validation_records: Vec<DnsRecord>,
    /// When the domain was added.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the domain was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for EmailDomain {
    type Id = String;

    fn id(&self) -> String {
        self.domain.clone()
    }
}

/// How far the verification of a domain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailDomainVerification {
    /// What came of it so far.
    pub status: EmailVerificationStatus,
    /// When the DNS was last asked; none if it never was.
    #[serde(default, deserialize_with = "lenient::time")]
    pub last_time_checked: Option<DateTime<Utc>>,
    /// When the DNS last had the records; none if it never had.
    #[serde(default, deserialize_with = "lenient::time")]
    pub last_time_success: Option<DateTime<Utc>>,
}

/// A record for the DNS of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Type of the record, such as `CNAME`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the record.
    pub name: String,
    /// Value of the record.
    pub value: String,
}

/// Which domains to list.
#[derive(Debug, Clone, Default)]
pub struct ListEmailDomains {
    /// Only domains of this name.
    pub domain: Option<TextFilter>,
    /// Only domains whose verification is this far; the words are those of
    /// [`EmailVerificationStatus`].
    pub verification_status: Option<TextFilter>,
    /// Order: by `domain`, `created_at` or `updated_at`; by creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A domain to add.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewEmailDomain {
    /// Name of the domain.
    pub domain: String,
}

/// Domains that the account's portals may send e-mail from.
#[derive(Debug, Clone, Copy)]
pub struct EmailDomains<'a> {
    transport: &'a Transport,
}

impl Client {
    /// Domains that the account's portals in this region may send e-mail from.
    pub fn email_domains(&self) -> EmailDomains<'_> {
        EmailDomains {
            transport: &self.transport,
        }
    }
}

impl<'a> EmailDomains<'a> {
    /// Lists all domains that match (`list-email-domains`).
    pub async fn list(&self, options: &ListEmailDomains) -> Result<Vec<EmailDomain>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all domains that match page by page, without those that cannot be read
    /// (`list-email-domains`).
    pub fn pages(self, options: &'a ListEmailDomains) -> Pages<'a, EmailDomain> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1 (`list-email-domains`).
    pub async fn list_page(
        &self,
        options: &ListEmailDomains,
        number: u32,
    ) -> Result<Page<EmailDomain>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListEmailDomains,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[])
            .sort(options.sort.as_ref())
            .filter("domain", options.domain.as_ref())
            .filter("verification_status", options.verification_status.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Adds a domain (`create-email-domain`); 400 if the API does not take it. The answer has the
    /// DNS records that prove that the domain belongs to the account.
    pub async fn create(&self, domain: &NewEmailDomain) -> Result<EmailDomain, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[]).json(domain)?)
            .await
    }

    /// Reads a domain by its name (`get-email-domain`); 404 if there is none.
    pub async fn get(&self, domain: &str) -> Result<EmailDomain, Error> {
        self.transport.fetch(Request::new(GET, &[&domain])).await
    }

    /// Removes a domain by its name (`delete-email-domain`); 404 if there is none.
    pub async fn delete(&self, domain: &str) -> Result<(), Error> {
        self.transport.call(Request::new(DELETE, &[&domain])).await
    }
}
