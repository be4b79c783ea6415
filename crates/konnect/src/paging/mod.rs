//! The two styles of paging that Konnect has, and how a whole list is read in each: at once, page
//! by page, as a stream, or from the newest page on.
//!
//! Lists change while they are read: an insertion moves entries to a later page, where they show up
//! again, so entries are kept once by id. A total that shrinks moves entries to an earlier page,
//! where they are missed, so the list is then read anew.

mod ask;
mod collect;
mod cursor;
mod items;
mod listing;
mod newest;
mod page;
mod pages;
mod pass;

pub(crate) use ask::{cursor_page, numbered_page};
pub(crate) use collect::{collect_cursor, collect_lenient, collect_numbered};
pub use cursor::Cursor;
pub use items::{Items, ListError};
pub use listing::{Identified, Listing, Unreadable};
pub use newest::NewestFirst;
pub use page::{CursorPage, Page};
pub use pages::Pages;
