//! What the journal has, for those who ask: events by identity or by a search, the quarantine, and
//! the requests that delivered entries.
//!
//! Must not write, nor know who reads: appends, readers and retention look at this wing, and it at
//! none of them.

mod alerts;
mod deliveries;
mod events;
mod quarantine;
mod search;
mod stored_event;
mod window;

pub(in crate::journal) use alerts::AlertRow;
pub use alerts::{FoundAlert, OpenAlert, SignatureFailures};
pub use deliveries::{Delivery, DeliveryFilter, FirstDelivery};
pub use quarantine::{QUARANTINE_COUNTED, QuarantineCount, QuarantineFilter, Quarantined};
pub(in crate::journal) use search::Recent;
pub use search::{
    Around, EventFilter, Export, Follow, Found, Network, NoFilter, NoNetwork, Order, Outcome,
    Position, shell_word,
};
pub(in crate::journal) use stored_event::EventRow;
pub use stored_event::StoredEvent;
pub use window::{NoWindow, far_future, read_time};
