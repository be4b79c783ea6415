//! One portal of a client, from which the resources of the portal are reached.
//!
//! It knows none of them: each adds its own way in, in its own file, as `impl PortalScope`.

use crate::client::Client;
use crate::transport::Transport;
use crate::wire::ids::PortalId;

/// A portal as the place of its resources; cheap to make and to copy. Nothing says that there is
/// such a portal until a call is made.
#[derive(Debug, Clone, Copy)]
pub struct PortalScope<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) id: PortalId,
}

impl Client {
    /// One portal: the operations on itself, and all that it has.
    pub fn portal(&self, id: PortalId) -> PortalScope<'_> {
        PortalScope {
            transport: &self.transport,
            id,
        }
    }
}

impl PortalScope<'_> {
    /// Id of the portal.
    pub fn id(self) -> PortalId {
        self.id
    }
}
