//! What an operator should know about usher itself: the names of alerts, and what to do about each.
//! Decides nothing: whoever can see a condition says that it holds.

use std::fmt;
use std::str::FromStr;

use crate::kind::UnknownWord;

/// A sort of alert. Its name is that of the events and of the signal that say when one begins and
/// when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert {
    /// Konnect switched a webhook off, or somebody did. The subject is the portal, or `org`.
    WebhookInactive,
    /// Time without a known delivery was found. The subject is the portal, or `org`.
    GapFound,
    /// Such time leaves the window of a replay within a day. The subject is the portal, or `org`.
    GapExpires,
    /// Konnect refuses the token. The subject is empty.
    TokenRefused,
    /// No key fits many of the signatures. The subject is empty.
    SignaturesFailing,
    /// The spool is nearly full. The subject is empty.
    SpoolFilling,
    /// A reader of the outbox owes something live for long. The subject is the reader.
    OutboxOld,
    /// No instance is configured with a reader of the outbox. The subject is the reader.
    ReaderAbandoned,
    /// Nothing was logged in a portal for longer than `backfill.silence_after`. The subject is the
    /// portal.
    Silence,
}

impl Alert {
    /// Every sort, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::WebhookInactive,
        Self::GapFound,
        Self::GapExpires,
        Self::TokenRefused,
        Self::SignaturesFailing,
        Self::SpoolFilling,
        Self::OutboxOld,
        Self::ReaderAbandoned,
        Self::Silence,
    ];

    /// Returns the name of its events and of its signal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebhookInactive => "usher.webhook_inactive",
            Self::GapFound => "usher.gap_found",
            Self::GapExpires => "usher.gap_expires",
            Self::TokenRefused => "usher.token_refused",
            Self::SignaturesFailing => "usher.signatures_failing",
            Self::SpoolFilling => "usher.spool_filling",
            Self::OutboxOld => "usher.outbox_old",
            Self::ReaderAbandoned => "usher.reader_abandoned",
            Self::Silence => "usher.silence",
        }
    }

    /// Returns what to do about it, in one sentence for a person.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::WebhookInactive => {
                "Enable the audit-log webhook in Konnect again, once its destination can be reached."
            }
            Self::GapFound => {
                "See usher coverage: with backfill.auto that time is sent again by itself, else by usher replay."
            }
            Self::GapExpires => {
                "See why usher coverage jobs closed nothing, and run usher replay today: Konnect forgets after seven days."
            }
            Self::TokenRefused => {
                "Give usher another token in konnect.token; what waits goes on by itself."
            }
            Self::SignaturesFailing => {
                "See whether the keys of konnect.global_url can be fetched, else who else sends to the ingest endpoint."
            }
            Self::SpoolFilling => {
                "Mend the database, or make room: raise spool.max_bytes, or remove files that end in .bad."
            }
            Self::OutboxOld => {
                "Mend what the reader sends to; the part of its name in /readyz says what is wrong."
            }
            Self::ReaderAbandoned => {
                "Configure the reader on an instance again if it is wanted; else usher retires it by itself."
            }
            Self::Silence => {
                "See whether the webhook of the portal is enabled in Konnect and reaches usher."
            }
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Alert {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|alert| alert.as_str() == word)
            .ok_or_else(|| UnknownWord::new("alert", word))
    }
}

/// The two moments of an alert that an event reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// It is true from now on.
    Began,
    /// It is no longer true.
    Ended,
}

impl AlertState {
    /// Returns the word in the event's `data.state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Ended => "ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Alert;
    use crate::Kind;

    #[test]
    fn every_name_reads_back_and_is_one_of_usher_s_own() {
        for alert in Alert::ALL {
            assert_eq!(alert.as_str().parse(), Ok(alert));
            assert_eq!(Kind::from_own_name(alert.as_str()), Kind::Operation);
            assert!(alert.advice().ends_with('.') && alert.advice().len() < 120);
        }
        assert!("usher.".parse::<Alert>().is_err());
    }
}
