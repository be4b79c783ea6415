//! One page of a list, as it is sent and as callers get it.

use serde::Deserialize;

use crate::paging::cursor::Cursor;
use crate::wire::lenient;

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

/// A list with page numbers as it is sent. No entries may be null, but what has no `data` is no
/// list: read as an empty one it would say that everything is gone.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct NumberedBody<T> {
    #[serde(deserialize_with = "lenient::or_default")]
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
    #[serde(default, deserialize_with = "lenient::count")]
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

/// A list with cursors as it is sent; as for `data`, see [`NumberedBody`].
///
/// `meta` of the destinations is the page object itself, that of the pull API holds it as `page`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct CursorBody<T> {
    #[serde(deserialize_with = "lenient::or_default")]
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn takes_null_for_no_entries_and_nothing_for_no_list() {
        type Read = fn(&str) -> serde_json::Result<Vec<u8>>;
        let numbered: Read =
            |text| serde_json::from_str::<NumberedBody<u8>>(text).map(|body| body.data);
        let cursor: Read =
            |text| serde_json::from_str::<CursorBody<u8>>(text).map(|body| body.data);
        for read in [numbered, cursor] {
            assert!(read(r#"{"data":null}"#).unwrap().is_empty());
            assert!(read(r#"{"message":"maintenance"}"#).is_err());
        }
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
