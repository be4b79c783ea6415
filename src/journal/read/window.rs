//! Windows of time as people ask for them: from a time, included, to a time, excluded. Pure.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

/// Why nothing can be found in a window, whatever was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWindow {
    /// The ends are the wrong way round.
    #[error("the window ends at {}, before it starts at {}", rfc3339(*to), rfc3339(*from))]
    Backwards {
        /// The start asked for.
        from: DateTime<Utc>,
        /// The end asked for.
        to: DateTime<Utc>,
    },
    /// There is no time between the two ends.
    #[error("the window is empty: it starts and ends at {}", rfc3339(*at))]
    Empty {
        /// Both its start and its end.
        at: DateTime<Utc>,
    },
}

impl NoWindow {
    /// Checks the order of the two ends, of which either may be left open. An empty window is in
    /// order: it is what remains for a reader that continues where it stopped a moment ago.
    ///
    /// # Errors
    /// When it ends before it starts.
    pub fn check_order(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<(), Self> {
        match (from, to) {
            (Some(from), Some(to)) if to < from => Err(Self::Backwards { from, to }),
            _ => Ok(()),
        }
    }

    /// Checks that there is time between the two ends, for work that is begun for it.
    ///
    /// # Errors
    /// When it ends before it starts, or where it starts.
    pub fn check_time_between(from: DateTime<Utc>, to: DateTime<Utc>) -> Result<(), Self> {
        Self::check_order(Some(from), Some(to))?;
        if from == to {
            return Err(Self::Empty { at: from });
        }
        Ok(())
    }
}

/// Later than anything that usher receives, and still a time that Postgres and JSON can both write.
#[expect(clippy::missing_panics_doc, reason = "the year 9999 is within range")]
pub fn far_future() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_300_799, 0).expect("the year 9999 is within range")
}

/// Reads a time, RFC 3339, of a year that Postgres and JSON can both write.
pub fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (1..=9_999).contains(&time.year()).then_some(time)
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::NoWindow;

    #[test]
    fn the_ends_are_in_order_and_where_it_matters_apart() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (early, late) = (at("2026-06-23T12:00:00Z"), at("2026-06-23T14:00:00.250Z"));
        for (from, to) in [
            (None, None),
            (Some(late), None),
            (None, Some(early)),
            (Some(early), Some(early)),
            (Some(early), Some(late)),
        ] {
            let checked = NoWindow::check_order(from, to);
            assert_eq!(checked, Ok(()), "{from:?} to {to:?}");
        }
        let backwards = "the window ends at 2026-06-23T12:00:00.000Z, before it starts at \
                         2026-06-23T14:00:00.250Z";
        let empty = "the window is empty: it starts and ends at 2026-06-23T12:00:00.000Z";
        let told = |checked: Result<(), NoWindow>| checked.unwrap_err().to_string();
        assert_eq!(
            told(NoWindow::check_order(Some(late), Some(early))),
            backwards
        );
        assert_eq!(told(NoWindow::check_time_between(late, early)), backwards);
        assert_eq!(told(NoWindow::check_time_between(early, early)), empty);
        assert_eq!(NoWindow::check_time_between(early, late), Ok(()));
    }
}
