//! Lists that are read entry by entry, as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use crate::error::Error;
use crate::paging::listing::{Entry, Identified};
use crate::paging::pages::{Fetched, Pages};

/// The entries of a list one after the other, each once; a page is asked for when the one before is
/// used up. An entry that cannot be read is an error; [`Pages::next`] sets such entries aside
/// instead. After an error the stream is over.
///
/// A [`Stream`], with a [`next`](Self::next) of its own for whoever has no use for combinators.
pub struct Items<'a, T: Identified> {
    pages: Pages<'a, T>,
    ready: VecDeque<Entry<T>>,
    on_its_way: Option<Fetched<'a, T>>,
    given: u64,
    is_over: bool,
}

impl<'a, T: Identified> Pages<'a, T> {
    /// The entries one after the other, from the page on that [`next`](Self::next) would give.
    pub fn items(self) -> Items<'a, T> {
        Items {
            pages: self,
            ready: VecDeque::new(),
            on_its_way: None,
            given: 0,
            is_over: false,
        }
    }
}

impl<T: Identified> Items<'_, T> {
    /// Reads the next entry; none after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<T, ListError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Ends the stream with an error.
    fn fail(&mut self, page: u64, source: Error) -> Poll<Option<Result<T, ListError>>> {
        self.is_over = true;
        Poll::Ready(Some(Err(ListError {
            page,
            items: self.given,
            source,
        })))
    }
}

/// Nothing is pinned in it: what is on its way has a box of its own.
impl<T: Identified> Unpin for Items<'_, T> {}

impl<T: Identified> Stream for Items<'_, T> {
    type Item = Result<T, ListError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        loop {
            match this.ready.pop_front() {
                Some(Entry::Read(entry)) => {
                    this.given += 1;
                    return Poll::Ready(Some(Ok(entry)));
                }
                Some(Entry::Unreadable(entry)) => {
                    let (route, message) = (this.pages.route(), entry.message);
                    let error = Error::Decode { route, message };
                    return this.fail(this.pages.pages_read(), error);
                }
                None => {}
            }
            let Some(on_its_way) = &mut this.on_its_way else {
                this.on_its_way = this.pages.ask();
                if this.on_its_way.is_none() {
                    this.is_over = true;
                    return Poll::Ready(None);
                }
                continue;
            };
            let page = ready!(on_its_way.as_mut().poll(context));
            this.on_its_way = None;
            let number = this.pages.pages_read() + 1;
            match page.and_then(|page| this.pages.take(page)) {
                Ok(mut entries) => {
                    entries.retain(|entry| !this.pages.had(entry));
                    this.ready.extend(entries);
                }
                Err(error) => return this.fail(number, error),
            }
        }
    }
}

impl<T: Identified> fmt::Debug for Items<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Items")
            .field("pages", &self.pages)
            .field("given", &self.given)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

/// A stream over a list that broke off, with where that was.
#[derive(Debug, thiserror::Error)]
#[error("a list broke off at page {page}, after {items} entries")]
#[non_exhaustive]
pub struct ListError {
    /// Which of the pages that were read it was, from 1.
    pub page: u64,
    /// Entries that the stream had given before.
    pub items: u64,
    /// What went wrong.
    #[source]
    pub source: Error,
}

impl ListError {
    /// As [`Error::is_transient`] says of what went wrong.
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }

    /// As [`Error::retry_after`] says of what went wrong.
    pub fn retry_after(&self) -> Option<Duration> {
        self.source.retry_after()
    }
}

impl From<ListError> for Error {
    /// Forgets where it was.
    fn from(error: ListError) -> Self {
        error.source
    }
}
