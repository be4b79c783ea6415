//! What of the quarantine is asked for, and where the list of it is.

use chrono::{DateTime, TimeDelta, Utc};
use url::form_urlencoded;
use uuid::Uuid;

use crate::console::window::told;
use crate::http::Problem;
use crate::http::parameters::Parameters;

/// A delivery's rows have its time of receipt, which an index has.
const AROUND: TimeDelta = TimeDelta::minutes(1);

/// A part of the quarantine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Narrowed {
    pub(super) reason: Option<String>,
    pub(super) delivery_id: Option<Uuid>,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
}

impl Narrowed {
    /// What a query asks for.
    pub(super) fn read(parameters: &mut Parameters) -> Result<Self, Problem> {
        let (from, to) = parameters.window()?;
        Ok(Self {
            reason: parameters.text("reason"),
            delivery_id: parameters.read("delivery_id", "the id of a delivery")?,
            from,
            to,
        })
    }

    /// The same, word by word.
    pub(super) fn words(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("reason", self.reason.clone()),
            ("delivery_id", self.delivery_id.map(|id| id.to_string())),
            ("from", self.from.map(told)),
            ("to", self.to.map(told)),
        ]
        .into_iter()
        .filter_map(|(word, value)| Some((word, value?)))
    }

    /// A page about this part.
    pub(super) fn path(&self, page: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.words())
            .finish();
        if query.is_empty() {
            page.to_owned()
        } else {
            format!("{page}?{query}")
        }
    }
}

/// What of a delivery is in quarantine.
pub(in crate::console) fn of_delivery(id: Uuid, received_at: DateTime<Utc>) -> String {
    let narrowed = Narrowed {
        delivery_id: Some(id),
        from: received_at.checked_sub_signed(AROUND),
        to: received_at.checked_add_signed(AROUND),
        reason: None,
    };
    narrowed.path("/quarantine")
}

#[cfg(test)]
mod tests {
    use super::Narrowed;

    #[test]
    fn a_part_is_the_query_of_its_page() {
        assert_eq!(Narrowed::default().path("/quarantine"), "/quarantine");
        let narrowed = Narrowed {
            reason: Some("bad_json&x".to_owned()),
            from: "2026-06-23T10:00:00Z".parse().ok(),
            ..Narrowed::default()
        };
        assert_eq!(
            narrowed.path("/quarantine"),
            "/quarantine?reason=bad_json%26x&from=2026-06-23T10%3A00%3A00Z"
        );
    }
}
