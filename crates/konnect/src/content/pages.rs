//! Pages of a portal, which are a tree, and the operations on them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::portals::Visibility;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::filter::{TextFilter, TimeFilter, ValueFilter};
use crate::wire::ids::{PortalId, ids};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::patch::Patch;
use crate::wire::sort::Sort;

const LIST: &str = "GET /v3/portals/{portalId}/pages";
const CREATE: &str = "POST /v3/portals/{portalId}/pages";
const GET: &str = "GET /v3/portals/{portalId}/pages/{pageId}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/pages/{pageId}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/pages/{pageId}";
const MOVE: &str = "POST /v3/portals/{portalId}/pages/{pageId}/move";

ids! {
    /// Id of a page of a portal.
    PageId,
}

open_enum! {
    /// Whether a portal shows a page or a snippet at all.
    PublishedStatus {
        /// It is shown.
        Published = "published",
        /// It is not shown.
        Unpublished = "unpublished",
    }
}

/// A page of a portal, with its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortalPage {
    /// Id of the page.
    pub id: PageId,
    /// Its part of the path, such as `/guides`; the path is that of its parent and this one.
    pub slug: String,
    /// Markdown of the page.
    pub content: String,
    /// Title of the page.
    #[serde(default)]
    pub title: Option<String>,
    /// What the page is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Who sees the page.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Whether the page is shown at all.
    #[serde(default)]
    pub status: Option<PublishedStatus>,
    /// The page above it; none at the top level.
    #[serde(default, deserialize_with = "lenient::id")]
    pub parent_page_id: Option<PageId>,
    /// When the page was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the page was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// A page in the tree of all pages: without its content, with the pages below it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageNode {
    /// Id of the page.
    pub id: PageId,
    /// Its part of the path, such as `/guides`; the path is that of its parent and this one.
    pub slug: String,
    /// Title of the page.
    #[serde(default)]
    pub title: Option<String>,
    /// What the page is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Who sees the page.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Whether the page is shown at all.
    #[serde(default)]
    pub status: Option<PublishedStatus>,
    /// The page above it; none at the top level.
    #[serde(default, deserialize_with = "lenient::id")]
    pub parent_page_id: Option<PageId>,
    /// The pages below it, in their order.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub children: Vec<PageNode>,
    /// When the page was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the page was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// Which pages to list.
#[derive(Debug, Clone, Default)]
pub struct ListPages {
    /// Only pages of these ids.
    pub id: Option<ValueFilter<PageId>>,
    /// Only pages of this slug.
    pub slug: Option<TextFilter>,
    /// Only pages of this title.
    pub title: Option<TextFilter>,
    /// Only pages that these people see.
    pub visibility: Option<ValueFilter<Visibility>>,
    /// Only pages made at this time.
    pub created_at: Option<TimeFilter>,
    /// Only pages last changed at this time.
    pub updated_at: Option<TimeFilter>,
    /// Order of siblings: by `created_at`, `updated_at`, `slug`, `title` or `visibility`;
    /// in the order of the tree if none.
    pub sort: Option<Sort>,
}

/// A page to create. The API chooses what is none.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewPage {
    /// Its part of the path, at most 512 characters, such as `/guides`; `/` is the first page of
    /// the portal.
    pub slug: String,
    /// Markdown, at most 1,000,000 characters. A title or description in its front matter wins
    /// over those here.
    pub content: String,
    /// Title, at most 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the page is about, at most 160 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who sees the page; as the portal's `default_page_visibility` says if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whether the page is shown at all; it is not if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PublishedStatus>,
    /// The page to put it below; at the top level if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_page_id: Option<PageId>,
}

/// What to change of a page; members that are none or `Keep` stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PageUpdate {
    /// New part of the path, at most 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// New markdown, at most 1,000,000 characters. A title or description in its front matter wins
    /// over those here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// New title, at most 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the page is about, at most 160 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who sees the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whether the page is shown at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PublishedStatus>,
    /// The page to put it below, as the last one; null puts it at the top level.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub parent_page_id: Patch<PageId>,
}

/// Where to move a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MovePage {
    /// The page to put it below; at the top level if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_page_id: Option<PageId>,
    /// Its place among its siblings, from 0; a negative one counts from the end: -1 is the last
    /// place. The API chooses if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
}

/// Pages of a portal.
#[derive(Debug, Clone, Copy)]
pub struct PortalPages<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Pages of the portal.
    pub fn pages(self) -> PortalPages<'a> {
        PortalPages {
            transport: self.transport,
            portal: self.id,
        }
    }
}

/// The tree as the API sends it: not in pages of a list.
#[derive(Deserialize)]
struct Tree {
    #[serde(deserialize_with = "lenient::or_default")]
    data: Vec<PageNode>,
}

impl PortalPages<'_> {
    /// Lists all pages that match, as a tree; the API gives it whole (`list-portal-pages`).
    pub async fn list(&self, options: &ListPages) -> Result<Vec<PageNode>, Error> {
        let request = Request::new(LIST, &[&self.portal])
            .query_if("sort", options.sort.as_ref())
            .filter("id", options.id.as_ref())
            .filter("slug", options.slug.as_ref())
            .filter("title", options.title.as_ref())
            .filter("visibility", options.visibility.as_ref())
            .filter("created_at", options.created_at.as_ref())
            .filter("updated_at", options.updated_at.as_ref());
        Ok(self.transport.fetch::<Tree>(request).await?.data)
    }

    /// Creates a page (`create-portal-page`).
    pub async fn create(&self, page: &NewPage) -> Result<PortalPage, Error> {
        let request = Request::new(CREATE, &[&self.portal]).json(page)?;
        self.transport.fetch(request).await
    }

    /// Reads a page with its content (`get-portal-page`).
    pub async fn get(&self, id: PageId) -> Result<PortalPage, Error> {
        let request = Request::new(GET, &[&self.portal, &id]);
        self.transport.fetch(request).await
    }

    /// Changes a page (`update-portal-page`).
    pub async fn update(&self, id: PageId, update: &PageUpdate) -> Result<PortalPage, Error> {
        let request = Request::new(UPDATE, &[&self.portal, &id]).json(update)?;
        self.transport.fetch(request).await
    }

    /// Deletes a page (`delete-portal-page`).
    pub async fn delete(&self, id: PageId) -> Result<(), Error> {
        let request = Request::new(DELETE, &[&self.portal, &id]);
        self.transport.call(request).await
    }

    /// Moves a page, with the pages below it, in the tree (`move-portal-pages`); 409 if it cannot
    /// be there, such as below itself.
    pub async fn move_to(&self, id: PageId, place: &MovePage) -> Result<(), Error> {
        let request = Request::new(MOVE, &[&self.portal, &id]).json(place)?;
        self.transport.call(request).await
    }
}
