//! Writes events: a batch in one transaction, what trusted senders and usher itself report, and,
//! afterwards, stronger verdicts and entries that leave the quarantine.
//!
//! Must not judge: what an entry is worth is decided before it comes here. Looks at `read` and at
//! `outbox`, whose rows are written with the batch. Deletes nothing by itself: the statements that
//! delete its own rows are called by `retention`.

mod access_log;
mod alerts;
mod closed_months;
mod copies;
mod custom;
mod insert;
mod release;
mod replay_detector;
mod row;
mod stored_copies;
mod transaction;
mod twins;
mod verdicts;
mod write_health;

pub use access_log::{Access, AccessLog, AccessPath, ReleaseByHand, SetupStep};
pub use alerts::AlertChanges;
pub(in crate::journal) use copies::delete_orphaned_counts;
pub use custom::{CustomRequestCounts, NewCustomEvent, NewCustomRequest};
pub(in crate::journal) use custom::{delete_custom_ids, delete_custom_subjects};
pub use release::{KeptFilter, Released};
pub(in crate::journal) use replay_detector::ReplayDetector;
pub use stored_copies::{Fingerprint, StoredCopies};
pub use transaction::append_in;
pub use twins::Twin;
pub use verdicts::{CheckFilter, NewVerdict};
pub(in crate::journal) use write_health::WriteHealth;
