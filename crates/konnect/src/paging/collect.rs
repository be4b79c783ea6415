//! Lists that are read at once.

use crate::error::Error;
use crate::paging::cursor::Cursor;
use crate::paging::listing::{Entry, Identified, Listing};
use crate::paging::page::{CursorPage, Page};
use crate::paging::pass::{Pass, Position};

/// How often a list that shrinks while it is read is begun anew.
pub(crate) const MAX_PASSES: usize = 3;

/// Reads a list with page numbers to its end, and sets aside what cannot be read of it.
pub(crate) async fn collect_lenient<T, F, Fut>(
    route: &'static str,
    fetch: F,
) -> Result<Listing<T>, Error>
where
    T: Identified + Send,
    F: Fn(u32) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Page<Entry<T>>, Error>> + Send,
{
    Ok(Listing::of(collect_numbered(route, fetch).await?))
}

/// Reads a list with page numbers to its end.
pub(crate) async fn collect_numbered<T, F, Fut>(
    route: &'static str,
    fetch: F,
) -> Result<Vec<T>, Error>
where
    T: Identified + Send,
    F: Fn(u32) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Page<T>, Error>> + Send,
{
    let mut passes = 1;
    loop {
        let mut list = Vec::new();
        let mut pass = Pass::new(route, Position::Number(1));
        while let Some(Position::Number(number)) = pass.next {
            list.extend(pass.take(fetch(number).await?.into())?);
        }
        if !pass.shrank || passes == MAX_PASSES {
            return Ok(list);
        }
        tracing::debug!(
            http.route = route,
            passes,
            "a list shrank while it was read; reading it again"
        );
        passes += 1;
    }
}

/// Reads a list with cursors to its end.
pub(crate) async fn collect_cursor<T, F, Fut>(
    route: &'static str,
    fetch: F,
) -> Result<Vec<T>, Error>
where
    T: Identified + Send,
    F: Fn(Option<Cursor>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<CursorPage<T>, Error>> + Send,
{
    let mut list = Vec::new();
    let mut pass = Pass::new(route, Position::Cursor(None));
    while let Some(Position::Cursor(cursor)) = pass.next.clone() {
        list.extend(pass.take(fetch(cursor).await?.into())?);
    }
    Ok(list)
}
