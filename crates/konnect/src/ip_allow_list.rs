//! Networks that may reach a portal: IP allow lists, and the operations on them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::paging::{Cursor, CursorPage, Identified, Pages, collect_cursor, cursor_page};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{PortalId, ids};
use crate::wire::lenient;

const LIST: &str = "GET /v3/portals/{portalId}/ip-allow-list";
const CREATE: &str = "POST /v3/portals/{portalId}/ip-allow-list";
const GET: &str = "GET /v3/portals/{portalId}/ip-allow-list/{id}";
const REPLACE: &str = "PUT /v3/portals/{portalId}/ip-allow-list/{id}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/ip-allow-list/{id}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/ip-allow-list/{id}";

ids! {
    /// Id of an IP allow list of a portal.
    IpAllowListId,
}

/// An IP allow list of a portal. It takes effect while the portal's `sipr_enabled` is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpAllowList {
    /// Id of the allow list.
    pub id: IpAllowListId,
    /// IPv4 and IPv6 addresses, and blocks of them in CIDR notation.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub allowed_ips: Vec<String>,
}

impl Identified for IpAllowList {
    type Id = IpAllowListId;

    fn id(&self) -> IpAllowListId {
        self.id
    }
}

/// How allow lists are listed; the API has no filters here.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListIpAllowLists {
    /// Entries a page.
    pub page_size: Option<u32>,
}

/// An IP allow list to create, or to put in the place of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewIpAllowList {
    /// Addresses and blocks in CIDR notation: 1 to 25, none of them twice.
    pub allowed_ips: Vec<String>,
}

/// What to change of an IP allow list; the API refuses a change of nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IpAllowListUpdate {
    /// All addresses and blocks that are allowed from now on: 1 to 25, none of them twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
}

/// IP allow lists of a portal.
#[derive(Debug, Clone, Copy)]
pub struct IpAllowLists<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// IP allow lists of the portal.
    pub fn ip_allow_lists(self) -> IpAllowLists<'a> {
        IpAllowLists {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl<'a> IpAllowLists<'a> {
    /// Lists all allow lists (`list-portal-ip-allow-list`).
    pub async fn list(&self, options: &ListIpAllowLists) -> Result<Vec<IpAllowList>, Error> {
        collect_cursor(LIST, |cursor| self.list_page(options, cursor)).await
    }

    /// Lists all allow lists page by page, without those that cannot be read
    /// (`list-portal-ip-allow-list`).
    pub fn pages(self, options: &'a ListIpAllowLists) -> Pages<'a, IpAllowList> {
        Pages::by_cursor(LIST, move |cursor| async move {
            self.page(options, cursor).await
        })
    }

    /// Reads one page of the list, the first one without a cursor (`list-portal-ip-allow-list`).
    pub async fn list_page(
        &self,
        options: &ListIpAllowLists,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<IpAllowList>, Error> {
        self.page(options, cursor).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        options: &ListIpAllowLists,
        cursor: Option<Cursor>,
    ) -> Result<CursorPage<T>, Error> {
        let request = Request::new(LIST, &[&self.portal]);
        cursor_page(self.transport, request, options.page_size, cursor).await
    }

    /// Reads an allow list (`get-portal-ip-allow-list`).
    pub async fn get(&self, id: IpAllowListId) -> Result<IpAllowList, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &id]))
            .await
    }

    /// Creates an allow list (`create-portal-ip-allow-list`).
    pub async fn create(&self, list: &NewIpAllowList) -> Result<IpAllowList, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(list)?)
            .await
    }

    /// Puts a list in the place of an allow list that there is (`put-portal-ip-allow-list`).
    pub async fn replace(
        &self,
        id: IpAllowListId,
        list: &NewIpAllowList,
    ) -> Result<IpAllowList, Error> {
        self.transport
            .fetch(Request::new(REPLACE, &[&self.portal, &id]).json(list)?)
            .await
    }

    /// Changes an allow list (`update-portal-ip-allow-list`).
    pub async fn update(
        &self,
        id: IpAllowListId,
        update: &IpAllowListUpdate,
    ) -> Result<IpAllowList, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal, &id]).json(update)?)
            .await
    }

    /// Deletes an allow list (`delete-portal-ip-allow-list`).
    pub async fn delete(&self, id: IpAllowListId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &id]))
            .await
    }
}
