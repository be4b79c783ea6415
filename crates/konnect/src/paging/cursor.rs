//! Where a page of a list with cursors begins.

use std::fmt;

use url::form_urlencoded;

/// Query parameter that says where a page begins.
const AFTER: &str = "page[after]";

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
        // A value may begin as a path does, for `/` is a digit of base64; `?` is none.
        let may_be_uri = next.starts_with(['/', '?']) || lower.starts_with("http");
        let is_uri = may_be_uri && next.contains('?');
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_cursor_as_uri_and_as_value() {
        let cases = [
            ("abc==", "abc=="),
            ("/abc==", "/abc=="),
            ("http", "http"),
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
}
