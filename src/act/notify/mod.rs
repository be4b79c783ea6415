//! Tells an HTTP receiver of a decision: signed by Standard Webhooks or in Slack's shape, to public
//! addresses only unless the configuration says otherwise.
//!
//! Must not follow redirects, read answers, or name more of a URL than its host: a hook's path is
//! often its password.

mod address;
mod error;
mod letter;
mod message;
mod post;

pub(super) use error::NoticeError;
pub(super) use letter::{Key, Letter};
pub(super) use message::{Before, Message, Person};
pub(super) use post::Notifier;
