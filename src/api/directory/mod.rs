//! `/api/v1/directory/…`: what Konnect's API last returned of portals and of who is in them, by
//! portal and id.

pub(super) mod applications;
pub(super) mod developers;
pub(super) mod memberships;
pub(super) mod portals;
pub(super) mod registrations;
pub(super) mod teams;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::document::StatusName;
use crate::api::page::optional;
use crate::directory::{Gone, ListPage, RowVersion, Subject};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part};

/// The parameters of every list of the directory, for the document.
pub(super) enum Scope {}

/// When sweeps found and changed something, as the API answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Seen)]
struct SeenBody {
    /// Grows by one with every difference.
    revision: i64,
    /// When a sweep first found it.
    first_seen_at: DateTime<Utc>,
    /// When a sweep last changed it.
    last_seen_at: DateTime<Utc>,
    /// When its absence was certain; null while it is there.
    #[schema(required = true)]
    gone_at: Option<DateTime<Utc>>,
}

impl From<RowVersion> for SeenBody {
    fn from(seen: RowVersion) -> Self {
        Self {
            revision: seen.revision,
            first_seen_at: seen.first_at,
            last_seen_at: seen.last_at,
            gone_at: seen.gone_at,
        }
    }
}

/// Who somebody is, as the API answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
struct PersonBody {
    /// Their address; null once they were forgotten.
    #[schema(required = true)]
    email: Option<String>,
    /// Their name; null once they were forgotten.
    #[schema(required = true)]
    full_name: Option<String>,
}

impl From<Option<Subject>> for PersonBody {
    fn from(subject: Option<Subject>) -> Self {
        let subject = subject.unwrap_or_default();
        Self {
            email: subject.email,
            full_name: subject.full_name,
        }
    }
}

impl IntoParams for Scope {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let portal = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
        let words = GONE.map(|(word, _)| word);
        let gone = text()
            .enum_values(Some(words))
            .default(Some(words[0].into()));
        vec![
            optional("portal_id", "Only what is of this portal", portal),
            optional("gone", "Whether what is gone is listed", gone),
        ]
    }
}

/// The words for what is gone; the first is the default.
const GONE: [(&str, Gone); 3] = [
    ("false", Gone::Without),
    ("true", Gone::Only),
    ("any", Gone::With),
];

impl Parameters {
    /// An id that is asked for.
    fn id(&mut self, name: &str) -> Result<Option<Uuid>, Problem> {
        self.read(name, "a UUID")
    }

    /// A status that is asked for.
    fn status(&mut self) -> Result<Option<String>, Problem> {
        match self.text("status") {
            Some(status) if !StatusName::ALL.contains(&status.as_str()) => {
                let expected = StatusName::ALL.join(", ");
                Err(bad_request(format!(
                    "parameter status: expected one of {expected}"
                )))
            }
            status => Ok(status),
        }
    }

    fn gone(&mut self) -> Result<Gone, Problem> {
        let Some(given) = self.text("gone") else {
            return Ok(Gone::default());
        };
        let found = GONE.iter().find(|(word, _)| *word == given);
        let expected = || bad_request("parameter gone: expected false, true or any");
        found.map(|(_, gone)| *gone).ok_or_else(expected)
    }

    /// The page that is asked for, with one row more, which says whether another page follows.
    /// `place` reads a cursor of `N` parts.
    fn list_page<K, const N: usize>(
        &mut self,
        place: impl FnOnce([String; N]) -> Result<K, Problem>,
    ) -> Result<ListPage<K>, Problem> {
        Ok(ListPage {
            portal_id: self.id("portal_id")?,
            gone: self.gone()?,
            after: self.after(place)?,
            limit: self.limit()? + 1,
        })
    }

    /// The page of a list in the order of portals and ids.
    fn page_by_id(&mut self) -> Result<ListPage<(Uuid, Uuid)>, Problem> {
        self.list_page(|[portal, id]: [String; 2]| Ok((part(&portal)?, part(&id)?)))
    }
}

/// How many rows of a page are shown: one less than are read.
fn shown<K>(page: &ListPage<K>) -> i64 {
    page.limit - 1
}
