//! Lists that are read page by page.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;

use crate::error::Error;
use crate::paging::collect::MAX_PASSES;
use crate::paging::cursor::Cursor;
use crate::paging::listing::{Entry, EntryId, Identified, Listing};
use crate::paging::page::{CursorPage, Page};
use crate::paging::pass::{Batch, Pass, Position};

/// A page of entries that are read each by itself, on its way.
pub(crate) type Fetched<'a, T> =
    Pin<Box<dyn Future<Output = Result<Batch<Entry<T>>, Error>> + Send + 'a>>;

/// A list that is read page by page, for whoever need not have all of it at once. What is read
/// while the list shrinks is read again.
///
/// [`next`](Self::next) gives whole pages and can go on after an error: the same page is asked for
/// again. [`items`](Self::items) gives one entry after the other.
pub struct Pages<'a, T: Identified> {
    fetch: Box<dyn Fn(Position) -> Fetched<'a, T> + Send + Sync + 'a>,
    route: &'static str,
    first: Position,
    pass: Pass<EntryId<T::Id>>,
    passes: usize,
    /// Ids of the entries of the passes before.
    earlier: HashSet<EntryId<T::Id>>,
    read: u64,
}

impl<'a, T: Identified> Pages<'a, T> {
    /// A list with page numbers.
    pub(crate) fn new<F, Fut>(route: &'static str, fetch: F) -> Self
    where
        F: Fn(u32) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<Page<Entry<T>>, Error>> + Send + 'a,
    {
        Self::begin(route, Position::Number(1), move |position| {
            let page = match position {
                Position::Number(number) => fetch(number),
                Position::Cursor(_) => fetch(1),
            };
            Box::pin(async move { page.await.map(Batch::from) })
        })
    }

    /// A list with cursors.
    pub(crate) fn by_cursor<F, Fut>(route: &'static str, fetch: F) -> Self
    where
        F: Fn(Option<Cursor>) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<CursorPage<Entry<T>>, Error>> + Send + 'a,
    {
        Self::begin(route, Position::Cursor(None), move |position| {
            let page = match position {
                Position::Cursor(cursor) => fetch(cursor),
                Position::Number(_) => fetch(None),
            };
            Box::pin(async move { page.await.map(Batch::from) })
        })
    }

    fn begin(
        route: &'static str,
        first: Position,
        fetch: impl Fn(Position) -> Fetched<'a, T> + Send + Sync + 'a,
    ) -> Self {
        Self {
            fetch: Box::new(fetch),
            route,
            pass: Pass::new(route, first.clone()),
            first,
            passes: 1,
            earlier: HashSet::new(),
            read: 0,
        }
    }

    /// Reads the next page, without the entries that cannot be read; none after the last one.
    pub async fn next(&mut self) -> Result<Option<Listing<T>>, Error> {
        let Some(page) = self.ask() else {
            return Ok(None);
        };
        let page = page.await?;
        Ok(Some(Listing::of(self.take(page)?)))
    }

    /// Pages that were read so far.
    pub fn pages_read(&self) -> u64 {
        self.read
    }

    /// Asks for the next page; none after the last one.
    pub(crate) fn ask(&mut self) -> Option<Fetched<'a, T>> {
        if self.pass.next.is_none() && self.pass.shrank && self.passes < MAX_PASSES {
            self.passes += 1;
            let pass = Pass::new(self.route, self.first.clone());
            let ended = std::mem::replace(&mut self.pass, pass);
            self.earlier.extend(ended.seen);
        }
        self.pass.next.clone().map(&self.fetch)
    }

    /// Takes the page that was asked for.
    pub(crate) fn take(&mut self, page: Batch<Entry<T>>) -> Result<Vec<Entry<T>>, Error> {
        self.read += 1;
        self.pass.take(page)
    }

    /// Whether an earlier pass had the entry.
    pub(crate) fn had(&self, entry: &Entry<T>) -> bool {
        !self.earlier.is_empty() && self.earlier.contains(&entry.id())
    }

    pub(crate) fn route(&self) -> &'static str {
        self.route
    }
}

impl<T: Identified> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pages")
            .field("route", &self.route)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}
