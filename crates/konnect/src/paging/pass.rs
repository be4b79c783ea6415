//! One way through a list: which page is next, and which entries are new.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::Error;
use crate::paging::cursor::Cursor;
use crate::paging::listing::Identified;
use crate::paging::page::{CursorPage, Page};

/// Pages in a row without a new entry before a list is taken to repeat itself.
const MAX_STALE_PAGES: usize = 3;

/// Which page of a list is meant, in its style of paging.
#[derive(Debug, Clone)]
pub(crate) enum Position {
    /// The page of this number, from 1.
    Number(u32),
    /// The page that begins here, or the first one.
    Cursor(Option<Cursor>),
}

/// A page of either style.
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total: Option<u64>,
    next: Option<Cursor>,
}

impl<T> From<Page<T>> for Batch<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            items: page.items,
            total: page.total,
            next: None,
        }
    }
}

impl<T> From<CursorPage<T>> for Batch<T> {
    fn from(page: CursorPage<T>) -> Self {
        Self {
            items: page.items,
            total: None,
            next: page.next,
        }
    }
}

/// One way through a list.
pub(crate) struct Pass<I> {
    route: &'static str,
    /// Ids of the entries that were read.
    pub(crate) seen: HashSet<I>,
    stale_pages: usize,
    /// The page to read next; none after the last one.
    pub(crate) next: Option<Position>,
    largest_total: u64,
    /// Whether the list became shorter meanwhile, so that entries may have been missed.
    pub(crate) shrank: bool,
}

impl<I: Eq + Hash> Pass<I> {
    pub(crate) fn new(route: &'static str, first: Position) -> Self {
        Self {
            route,
            seen: HashSet::new(),
            stale_pages: 0,
            next: Some(first),
            largest_total: 0,
            shrank: false,
        }
    }

    /// Takes the page that was read, and returns the entries of it that are new.
    ///
    /// # Errors
    /// Too many pages in a row without a new entry.
    pub(crate) fn take<T: Identified<Id = I>>(&mut self, batch: Batch<T>) -> Result<Vec<T>, Error> {
        let position = self.next.take();
        if batch.items.is_empty() {
            return Ok(batch.items);
        }
        let new = self.new_of(batch.items)?;
        self.next = match position {
            Some(Position::Number(number)) => {
                let is_over = self.is_over(batch.total, new.is_empty());
                let next = number.checked_add(1).filter(|_| !is_over);
                next.map(Position::Number)
            }
            Some(Position::Cursor(_)) => batch.next.map(|next| Position::Cursor(Some(next))),
            None => None,
        };
        Ok(new)
    }

    /// Whether a list with page numbers has no further page.
    fn is_over(&mut self, total: Option<u64>, is_stale: bool) -> bool {
        // Some lists do not say how long they are, and may not be paged at all.
        let Some(total) = total else { return is_stale };
        self.shrank |= total < self.largest_total;
        self.largest_total = self.largest_total.max(total);
        self.seen.len() as u64 >= total
    }

    /// Returns the entries that are new, each once.
    fn new_of<T: Identified<Id = I>>(&mut self, mut items: Vec<T>) -> Result<Vec<T>, Error> {
        items.retain(|item| self.seen.insert(item.id()));
        self.stale_pages = if items.is_empty() {
            self.stale_pages + 1
        } else {
            0
        };
        if self.stale_pages >= MAX_STALE_PAGES {
            return Err(Error::Paging { route: self.route });
        }
        Ok(items)
    }
}
