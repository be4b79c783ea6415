//! Lists of which the newest entries are read first.

use std::fmt;
use std::pin::Pin;

use crate::error::Error;
use crate::paging::listing::{Entry, Identified, Listing};
use crate::paging::page::Page;

type Fetched<'a, T> = Pin<Box<dyn Future<Output = Result<Page<Entry<T>>, Error>> + Send + 'a>>;

/// A list whose last pages are read before those in the middle, for whoever knows the earlier ones:
/// lists are sorted by creation, so that what is new is there. The first page comes before them:
/// only it says how long the list is.
pub struct NewestFirst<'a, T: Identified> {
    fetch: Box<dyn Fn(u32) -> Fetched<'a, T> + Send + Sync + 'a>,
    /// The first page, until it is handed out.
    first: Option<Vec<Entry<T>>>,
    /// The page to read next; none is left at 1.
    next: u32,
}

impl<'a, T: Identified + Send> NewestFirst<'a, T> {
    /// Reads the first page; none where it does not say how long the list is.
    pub(crate) async fn begin<F, Fut>(fetch: F) -> Result<Option<Self>, Error>
    where
        F: Fn(u32) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<Page<Entry<T>>, Error>> + Send + 'a,
    {
        let Page { items, total } = fetch(1).await?;
        let Some(total) = total else { return Ok(None) };
        let size = u64::try_from(items.len()).unwrap_or(u64::MAX);
        // An empty first page says that there is no other, whatever it counts.
        let pages = if size == 0 { 1 } else { total.div_ceil(size) };
        Ok(Some(Self {
            fetch: Box::new(move |number| Box::pin(fetch(number))),
            next: u32::try_from(pages).unwrap_or(u32::MAX),
            first: Some(items),
        }))
    }

    /// Reads the first page, and then from the last one down to the second, without the entries
    /// that cannot be read; none when all were read.
    pub async fn next(&mut self) -> Result<Option<Listing<T>>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(Listing::of(first)));
        }
        if self.next <= 1 {
            return Ok(None);
        }
        let page = (self.fetch)(self.next).await?;
        self.next -= 1;
        Ok(Some(Listing::of(page.items)))
    }

    /// Whether all of the list was read.
    pub fn is_whole(&self) -> bool {
        self.first.is_none() && self.next <= 1
    }
}

impl<T: Identified> fmt::Debug for NewestFirst<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NewestFirst")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
