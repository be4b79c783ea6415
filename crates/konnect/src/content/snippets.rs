//! Snippets of a portal, which pages share, and the operations on them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::content::pages::PublishedStatus;
use crate::error::Error;
use crate::paging::{Identified, Page, Pages, collect_numbered, numbered_page};
use crate::portals::Visibility;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, TimeFilter, ValueFilter};
use crate::wire::ids::{PortalId, ids};
use crate::wire::lenient;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals/{portalId}/snippets";
const CREATE: &str = "POST /v3/portals/{portalId}/snippets";
const GET: &str = "GET /v3/portals/{portalId}/snippets/{snippetId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/snippets/{snippetId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/snippets/{snippetId}";

ids! {
    /// Id of a snippet of a portal.
    SnippetId,
}

/// A snippet of a portal, with its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snippet {
    /// Id of the snippet.
    pub id: SnippetId,
    /// Name by which pages include the snippet, unique in the portal.
    pub name: String,
    /// Markdown of the snippet.
    pub content: String,
    /// Title of the snippet.
    #[serde(default)]
    pub title: Option<String>,
    /// What the snippet is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Who sees the snippet.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Whether the snippet is shown at all.
    #[serde(default)]
    pub status: Option<PublishedStatus>,
    /// When the snippet was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the snippet was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A snippet as lists show it: without its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnippetInfo {
    /// Id of the snippet.
    pub id: SnippetId,
    /// Name by which pages include the snippet, unique in the portal.
    pub name: String,
    /// Title of the snippet.
    #[serde(default)]
    pub title: Option<String>,
    /// What the snippet is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Who sees the snippet.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Whether the snippet is shown at all.
    #[serde(default)]
    pub status: Option<PublishedStatus>,
    /// When the snippet was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the snippet was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Identified for SnippetInfo {
    type Id = SnippetId;

    fn id(&self) -> SnippetId {
        self.id
    }
}

/// Which snippets to list.
#[derive(Debug, Clone, Default)]
pub struct ListSnippets {
    /// Only snippets of these ids.
    pub id: Option<ValueFilter<SnippetId>>,
    /// Only snippets of this name.
    pub name: Option<TextFilter>,
    /// Only snippets of this title.
    pub title: Option<TextFilter>,
    /// Only snippets that these people see.
    pub visibility: Option<ValueFilter<Visibility>>,
    /// Only snippets made at this time.
    pub created_at: Option<TimeFilter>,
    /// Only snippets last changed at this time.
    pub updated_at: Option<TimeFilter>,
    /// Order: by `created_at`, `updated_at`, `name`, `title` or `visibility`; by
    /// creation if none.
    pub sort: Option<Sort>,
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// A snippet to create. The API chooses what is none.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewSnippet {
    /// Name by which pages include the snippet, at most 512 characters, unique in the portal.
    pub name: String,
    /// Markdown, at most 1,000,000 characters. A title or description in its front matter wins
    /// over those here.
    pub content: String,
    /// Title, at most 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the snippet is about, at most 160 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who sees the snippet; as the portal's `default_page_visibility` says if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whether the snippet is shown at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PublishedStatus>,
}

/// What to change of a snippet; members that are none stay as they are. None may become null.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SnippetUpdate {
    /// New name, at most 512 characters, unique in the portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New markdown, at most 1,000,000 characters. A title or description in its front matter wins
    /// over those here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// New title, at most 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the snippet is about, at most 160 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who sees the snippet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whether the snippet is shown at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PublishedStatus>,
}

/// Snippets of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Snippets<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Snippets of the portal.
    pub fn snippets(self) -> Snippets<'a> {
        Snippets {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl<'a> Snippets<'a> {
    /// Lists all snippets that match (`list-portal-snippets`).
    pub async fn list(&self, options: &ListSnippets) -> Result<Vec<SnippetInfo>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Lists all snippets that match page by page, without those that cannot be read
    /// (`list-portal-snippets`).
    pub fn pages(self, options: &'a ListSnippets) -> Pages<'a, SnippetInfo> {
        Pages::new(LIST, move |number| async move {
            self.page(options, number).await
        })
    }

    /// Reads one page of the list, from 1 (`list-portal-snippets`).
    pub async fn list_page(
        &self,
        options: &ListSnippets,
        number: u32,
    ) -> Result<Page<SnippetInfo>, Error> {
        self.page(options, number).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListSnippets,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal])
            .sort(options.sort.as_ref())
            .filter("id", options.id.as_ref())
            .filter("name", options.name.as_ref())
            .filter("title", options.title.as_ref())
            .filter("visibility", options.visibility.as_ref())
            .filter("created_at", options.created_at.as_ref())
            .filter("updated_at", options.updated_at.as_ref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Creates a snippet (`create-portal-snippet`).
    pub async fn create(&self, snippet: &NewSnippet) -> Result<Snippet, Error> {
        let request = Request::new(CREATE, &[&self.portal]).json(snippet)?;
        self.transport.fetch(request).await
    }

    /// Reads a snippet with its content (`get-portal-snippet`).
    pub async fn get(&self, id: SnippetId) -> Result<Snippet, Error> {
        let request = Request::new(GET, &[&self.portal, &id]);
        self.transport.fetch(request).await
    }

    /// Changes a snippet (`update-portal-snippet`).
    pub async fn update(&self, id: SnippetId, update: &SnippetUpdate) -> Result<Snippet, Error> {
        let request = Request::new(UPDATE, &[&self.portal, &id]).json(update)?;
        self.transport.fetch(request).await
    }

    /// Deletes a snippet (`delete-portal-snippet`).
    pub async fn delete(&self, id: SnippetId) -> Result<(), Error> {
        let request = Request::new(DELETE, &[&self.portal, &id]);
        self.transport.call(request).await
    }
}
