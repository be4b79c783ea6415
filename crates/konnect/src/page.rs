//! The two styles of paging that Konnect has, and how a whole list is read in each.
//!
//! Lists change while they are read: an insertion moves entries to a later page, where they show up
//! again, so entries are kept once by id. A total that shrinks moves entries to an earlier page,
//! where they are missed, so the list is then read anew.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::form_urlencoded;
use uuid::Uuid;

use crate::error::{Error, without_values};

/// Entries asked for on one page; Konnect documents no maximum for numbered pages.
pub(crate) const PAGE_SIZE: u32 = 100;
/// Query parameter that says where a page begins.
const AFTER: &str = "page[after]";
/// How often a list that shrinks while it is read is begun anew.
const MAX_PASSES: usize = 3;
/// Pages in a row without a new entry before a list is taken to repeat itself.
const MAX_STALE_PAGES: usize = 3;

/// One page of a list with page numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// Entries in the order of the API.
    pub items: Vec<T>,
    /// Entries of the whole list, as the API counts them; `None` where it does not say.
    pub total: Option<u64>,
}

/// One page of a list with cursors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CursorPage<T> {
    /// Entries in the order of the API.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// Where the next page of a list begins; opaque to callers.
///
/// Konnect types `next` as a URI and describes it as the value of `page[after]`; both are taken.
/// Of a URI only the query is used, so that an answer can never send the token to another host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Vec<(String, String)>);

impl Cursor {
    /// Reads the `next` of an answer, or what `Display` wrote of a cursor.
    pub fn parse(next: &str) -> Self {
        let lower = next.to_ascii_lowercase();
        let is_uri = next.starts_with(['/', '?']) || lower.starts_with("http");
        let has_after = lower.contains("page[after]=") || lower.contains("page%5bafter%5d=");
        if !is_uri && !has_after {
            return Self(vec![(AFTER.to_owned(), next.to_owned())]);
        }
        let query = next.split_once('?').map_or(next, |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        if has_after {
            // The documented sample has a page size beside it that is not encoded as it should be.
            pairs.retain(|(name, _)| name == AFTER);
        }
        Self(pairs)
    }

    /// Lays the cursor over a query: its parameters replace those of the same name.
    pub(crate) fn apply(&self, query: &mut Vec<(String, String)>) {
        query.retain(|(name, _)| !self.0.iter().any(|(own, _)| own == name));
        query.extend(self.0.iter().cloned());
    }
}

impl fmt::Display for Cursor {
    /// Writes the cursor as a query that [`Cursor::parse`] reads, to be kept by the caller.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish();
        write!(formatter, "?{query}")
    }
}

/// An entry that can be told from the others of its list. For the types of this crate.
pub trait Identified {
    /// What tells it from the others.
    type Id: Eq + Hash + Send;
    /// Its id.
    fn id(&self) -> Self::Id;
}

/// A list or a page of one, without the entries that cannot be read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listing<T> {
    /// Entries in the order of the API.
    pub items: Vec<T>,
    /// Entries that are not what the API documents.
    pub unreadable: Vec<Unreadable>,
}

impl<T> Listing<T> {
    pub(crate) fn of(entries: Vec<Entry<T>>) -> Self {
        let mut listing = Self {
            items: Vec::new(),
            unreadable: Vec::new(),
        };
        for entry in entries {
            match entry {
                Entry::Read(entry) => listing.items.push(entry),
                Entry::Unreadable(entry) => listing.unreadable.push(entry),
            }
        }
        listing
    }
}

/// An entry of a list that is not what the API documents. Shows nothing of its values but the id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry cannot be read: {message}")]
#[non_exhaustive]
pub struct Unreadable {
    /// Its id, if that can be read.
    pub id: Option<Uuid>,
    /// What was expected.
    pub message: String,
    /// Tells it from others of its kind that have no id either.
    fingerprint: u64,
}

/// An entry of a list in which each is read by itself.
pub(crate) enum Entry<T> {
    Read(T),
    Unreadable(Unreadable),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(match T::deserialize(&value) {
            Ok(entry) => Self::Read(entry),
            Err(error) => {
                let id = value.get("id").and_then(Value::as_str);
                let mut hasher = DefaultHasher::new();
                value.to_string().hash(&mut hasher);
                Self::Unreadable(Unreadable {
                    id: id.and_then(|id| id.parse().ok()),
                    message: without_values(&error),
                    fingerprint: hasher.finish(),
                })
            }
        })
    }
}

#[derive(PartialEq, Eq, Hash)]
pub(crate) enum EntryId<I> {
    Read(I),
    Unreadable(Option<Uuid>, u64),
}

impl<T: Identified> Identified for Entry<T> {
    type Id = EntryId<T::Id>;

    fn id(&self) -> Self::Id {
        match self {
            Self::Read(entry) => EntryId::Read(entry.id()),
            Self::Unreadable(entry) => EntryId::Unreadable(entry.id, entry.fingerprint),
        }
    }
}

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
        let (list, shrank) = collect_pass(route, &fetch).await?;
        if !shrank || passes == MAX_PASSES {
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

async fn collect_pass<T, F, Fut>(route: &'static str, fetch: &F) -> Result<(Vec<T>, bool), Error>
where
    T: Identified + Send,
    F: Fn(u32) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Page<T>, Error>> + Send,
{
    let mut list = Vec::new();
    let mut pass = Pass::new(route);
    while let Some(number) = pass.next {
        list.extend(pass.take(fetch(number).await?)?);
    }
    Ok((list, pass.shrank))
}

/// A page of entries that are read each by itself, on its way.
pub(crate) type Fetched<'a, T> =
    Pin<Box<dyn Future<Output = Result<Page<Entry<T>>, Error>> + Send + 'a>>;

/// A list that is read page by page, for whoever need not have all of it at once. What is read
/// while the list shrinks is read again.
pub struct Pages<'a, T: Identified> {
    fetch: Box<dyn Fn(u32) -> Fetched<'a, T> + Send + Sync + 'a>,
    pass: Pass<EntryId<T::Id>>,
    passes: usize,
}

impl<'a, T: Identified> Pages<'a, T> {
    pub(crate) fn new<F, Fut>(route: &'static str, fetch: F) -> Self
    where
        F: Fn(u32) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<Page<Entry<T>>, Error>> + Send + 'a,
    {
        Self {
            fetch: Box::new(move |number| Box::pin(fetch(number))),
            pass: Pass::new(route),
            passes: 1,
        }
    }

    /// Reads the next page, without the entries that cannot be read; none after the last one.
    pub async fn next(&mut self) -> Result<Option<Listing<T>>, Error> {
        if self.pass.next.is_none() && self.pass.shrank && self.passes < MAX_PASSES {
            self.passes += 1;
            self.pass = Pass::new(self.pass.route);
        }
        let Some(number) = self.pass.next else {
            return Ok(None);
        };
        let page = (self.fetch)(number).await?;
        Ok(Some(Listing::of(self.pass.take(page)?)))
    }
}

impl<T: Identified> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pages")
            .field("route", &self.pass.route)
            .field("next", &self.pass.next)
            .finish_non_exhaustive()
    }
}

/// One way through a list with page numbers.
struct Pass<I> {
    entries: Entries<I>,
    route: &'static str,
    /// The page to read next; none after the last one.
    next: Option<u32>,
    largest_total: u64,
    shrank: bool,
}

impl<I: Eq + Hash> Pass<I> {
    fn new(route: &'static str) -> Self {
        Self {
            entries: Entries::new(route),
            route,
            next: Some(1),
            largest_total: 0,
            shrank: false,
        }
    }

    /// Takes the page that was read, and returns the entries of it that are new.
    fn take<T: Identified<Id = I>>(&mut self, page: Page<T>) -> Result<Vec<T>, Error> {
        let Page { items, total } = page;
        let number = self.next.take().unwrap_or(1);
        if items.is_empty() {
            return Ok(items);
        }
        let new = self.entries.new_of(items)?;
        let is_over = match total {
            // Some lists do not say how long they are, and may not be paged at all.
            None => new.is_empty(),
            Some(total) => {
                self.shrank |= total < self.largest_total;
                self.largest_total = self.largest_total.max(total);
                self.entries.seen.len() as u64 >= total
            }
        };
        if !is_over {
            self.next = number.checked_add(1);
        }
        Ok(new)
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
    let mut entries = Entries::new(route);
    let mut list = Vec::new();
    let mut cursor = None;
    loop {
        let CursorPage { items, next } = fetch(cursor.take()).await?;
        if items.is_empty() {
            return Ok(list);
        }
        list.extend(entries.new_of(items)?);
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(list),
        }
    }
}

/// Which entries of a list were read so far.
struct Entries<I> {
    route: &'static str,
    seen: HashSet<I>,
    stale_pages: usize,
}

impl<I: Eq + Hash> Entries<I> {
    fn new(route: &'static str) -> Self {
        Self {
            route,
            seen: HashSet::new(),
            stale_pages: 0,
        }
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

/// A list with page numbers as it is sent.
#[derive(Deserialize)]
pub(crate) struct NumberedBody<T> {
    #[serde(default = "Vec::new")]
    data: Vec<T>,
    #[serde(default)]
    meta: Option<NumberedMeta>,
}

#[derive(Deserialize)]
struct NumberedMeta {
    #[serde(default)]
    page: Option<NumberedMetaPage>,
}

#[derive(Deserialize)]
struct NumberedMetaPage {
    #[serde(default, deserialize_with = "count")]
    total: Option<u64>,
}

impl<T> From<NumberedBody<T>> for Page<T> {
    fn from(body: NumberedBody<T>) -> Self {
        let total = body
            .meta
            .and_then(|meta| meta.page)
            .and_then(|page| page.total);
        Self {
            items: body.data,
            total,
        }
    }
}

/// A list with cursors as it is sent.
///
/// `meta` of the destinations is the page object itself, that of the pull API holds it as `page`.
#[derive(Deserialize)]
pub(crate) struct CursorBody<T> {
    #[serde(default = "Vec::new")]
    data: Vec<T>,
    #[serde(default)]
    meta: Option<CursorMeta>,
}

#[derive(Deserialize)]
struct CursorMeta {
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    page: Option<CursorMetaPage>,
}

#[derive(Deserialize)]
struct CursorMetaPage {
    #[serde(default)]
    next: Option<String>,
}

impl<T> From<CursorBody<T>> for CursorPage<T> {
    fn from(body: CursorBody<T>) -> Self {
        let next = body
            .meta
            .and_then(|meta| meta.page.and_then(|page| page.next).or(meta.next));
        let next = next
            .filter(|next| !next.is_empty())
            .map(|next| Cursor::parse(&next));
        Self {
            items: body.data,
            next,
        }
    }
}

/// Reads a count that the API types as `number`, so that `12.0` is as good as `12`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count is far below 2^53, and a negative one is cut to zero by the cast"
)]
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| {
        value
            .as_u64()
            .or_else(|| value.as_f64().map(|number| number as u64))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_cursor_as_uri_and_as_value() {
        let cases = [
            ("abc==", "abc=="),
            (
                "/api/v2/audit-log-destinations?page%5Bafter%5D=a%3D%3D&page%5Bsize%5=1",
                "a==",
            ),
            (
                "https://elsewhere.example/x?page[after]=b&page[size]=1",
                "b",
            ),
            ("page[after]=c", "c"),
        ];
        for (next, expected) in cases {
            let cursor = Cursor::parse(next);
            let mut query = vec![
                ("page[size]".to_owned(), "10".to_owned()),
                (AFTER.to_owned(), "old".to_owned()),
            ];
            cursor.apply(&mut query);
            assert_eq!(query[0].1, "10", "{next}");
            assert_eq!(
                query[1..],
                [(AFTER.to_owned(), expected.to_owned())],
                "{next}"
            );
            assert_eq!(Cursor::parse(&cursor.to_string()), cursor, "{next}");
        }
    }

    #[test]
    fn follows_the_query_of_a_uri_that_has_another_kind_of_cursor() {
        let mut query = vec![("page[size]".to_owned(), "10".to_owned())];
        Cursor::parse("/v3/audit-logs?cursor=x").apply(&mut query);
        assert_eq!(query[1], ("cursor".to_owned(), "x".to_owned()));
    }

    #[test]
    fn reads_counts_as_any_kind_of_number() {
        let total = |text: &str| {
            let body: NumberedBody<u8> = serde_json::from_str(text).unwrap();
            Page::from(body).total
        };
        assert_eq!(
            total(r#"{"data":[],"meta":{"page":{"total":12.0}}}"#),
            Some(12)
        );
        assert_eq!(
            total(r#"{"data":[],"meta":{"page":{"total":12}}}"#),
            Some(12)
        );
        assert_eq!(
            total(r#"{"data":[],"meta":{"page":{"total":-1}}}"#),
            Some(0)
        );
        assert_eq!(total(r#"{"data":[],"meta":{"page":{"total":null}}}"#), None);
        assert_eq!(total(r#"{"data":[]}"#), None);
    }

    #[test]
    fn finds_the_next_cursor_in_both_shapes_of_meta() {
        for text in [
            r#"{"data":[1],"meta":{"next":"n","previous":null,"size":1}}"#,
            r#"{"data":[1],"meta":{"page":{"next":"n","previous":null,"size":1}}}"#,
        ] {
            let body: CursorBody<u8> = serde_json::from_str(text).unwrap();
            assert_eq!(
                CursorPage::from(body).next,
                Some(Cursor::parse("n")),
                "{text}"
            );
        }
        let body: CursorBody<u8> =
            serde_json::from_str(r#"{"data":[1],"meta":{"next":null}}"#).unwrap();
        assert_eq!(CursorPage::from(body).next, None);
    }
}
