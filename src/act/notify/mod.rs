//! Sends notices of decisions to an HTTP receiver: signed by Standard Webhooks or in Slack's form,
//! to public addresses only unless the configuration says otherwise.
//!
//! Must not follow redirects, read answers, or name more of a URL than its host: a hook's path is
//! often its password.

mod address;
mod error;
mod message;
mod post;
mod signed_request;

pub(super) use error::NoticeError;
pub(super) use message::{AlertNotice, Before, Message, Person};
pub(super) use post::Notifier;
pub(super) use signed_request::{Key, SignedRequest};
