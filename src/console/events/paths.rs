//! Where searches are: the filter of one as the query of the page. Pure.

use chrono::{DateTime, Utc};
use url::form_urlencoded;
use uuid::Uuid;

use crate::journal::EventFilter;

/// The search with this filter; `extra` are parameters of the page that no filter has.
pub(super) fn search(filter: &EventFilter, extra: &[(&str, &str)]) -> String {
    with_query("/events", filter, extra)
}

/// The live tail with this filter. What comes in has no end.
pub(super) fn tail(filter: &EventFilter) -> String {
    let endless = EventFilter {
        to: None,
        ..filter.clone()
    };
    with_query("/events/tail", &endless, &[])
}

/// The same search in another window.
pub(super) fn between(
    filter: &EventFilter,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> String {
    let narrowed = EventFilter {
        from,
        to,
        ..filter.clone()
    };
    search(&narrowed, &[])
}

/// The events that were stored together in one batch.
pub(in crate::console) fn of_batch(batch: Uuid) -> String {
    format!("/events?batch={batch}")
}

fn with_query(path: &str, filter: &EventFilter, extra: &[(&str, &str)]) -> String {
    let words = filter.as_words();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(words)
        .extend_pairs(extra)
        .finish();
    if query.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{query}")
}

#[cfg(test)]
mod tests {
    use super::{between, search, tail};
    use crate::journal::EventFilter;

    #[test]
    fn a_filter_is_the_query_of_its_page() {
        let mut filter = EventFilter::default();
        assert_eq!(search(&filter, &[]), "/events");
        for (word, value) in [
            ("name", "a&b"),
            ("from", "2026-06-23T12:00:00+02:00"),
            ("to", "2026-06-24T00:00:00Z"),
        ] {
            filter.set(word, value).unwrap();
        }
        assert_eq!(
            search(&filter, &[("follow", "1")]),
            "/events?name=a%26b&from=2026-06-23T10%3A00%3A00Z&to=2026-06-24T00%3A00%3A00Z&follow=1"
        );
        assert_eq!(
            tail(&filter),
            "/events/tail?name=a%26b&from=2026-06-23T10%3A00%3A00Z"
        );
        assert_eq!(between(&filter, None, None), "/events?name=a%26b");
    }
}
