//! Operations on portals.

use crate::error::Error;
use crate::models::ids::PortalId;
use crate::models::portal::{ListPortals, Portal};
use crate::page::{Page, collect_numbered};
use crate::request::Request;
use crate::resources::{SORT, numbered_page};
use crate::transport::Transport;

const LIST: &str = "GET /v3/portals";
const GET: &str = "GET /v3/portals/{portalId}";

/// Portals of the organisation in the client's region.
#[derive(Debug, Clone, Copy)]
pub struct Portals<'a> {
    pub(crate) transport: &'a Transport,
}

impl Portals<'_> {
    /// Lists all portals that match.
    pub async fn list(&self, options: &ListPortals) -> Result<Vec<Portal>, Error> {
        collect_numbered(LIST, |number| self.list_page(options, number)).await
    }

    /// Reads one page of the list, from 1.
    pub async fn list_page(
        &self,
        options: &ListPortals,
        number: u32,
    ) -> Result<Page<Portal>, Error> {
        let request = Request::new(LIST, &[])
            .query("sort", options.sort.as_deref().unwrap_or(SORT))
            .query_if("filter[name]", options.name.as_deref());
        numbered_page(self.transport, request, options.page_size, number).await
    }

    /// Reads a portal.
    pub async fn get(&self, id: PortalId) -> Result<Portal, Error> {
        self.transport.fetch(Request::new(GET, &[id.0])).await
    }
}
