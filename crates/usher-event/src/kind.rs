//! The kind of an event, and the format of an entry. Reads names only, never classes or types.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The `event_product` of usher's own events.
pub(crate) const OWN_PRODUCT: &str = "usher";

/// The sort of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Somebody tried to log in.
    Authentication,
    /// A service asked whether somebody may do something.
    Authorization,
    /// A call to the API passed the gateway.
    Access,
    /// usher found a difference at the API.
    Observation,
    /// usher did something, or decided not to; or a person released entries from quarantine, or
    /// changed what Konnect sends here and with which secret.
    Action,
    /// A trusted sender reported something.
    Custom,
    /// Somebody read rows about people, or exported events.
    Read,
    /// Something about usher itself that an operator should know began or ended.
    Operation,
    /// A name that is not described yet; stored like any other.
    Unknown,
}

/// The error that a text is none of the words of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown {what} `{word}`")]
pub struct UnknownWord {
    /// The list.
    pub what: &'static str,
    /// The word that is not in it.
    pub word: String,
}

impl UnknownWord {
    /// The error that `word` is not in the list that `what` names.
    pub fn new(what: &'static str, word: &str) -> Self {
        Self {
            what,
            word: word.into(),
        }
    }
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Authentication,
        Self::Authorization,
        Self::Access,
        Self::Observation,
        Self::Action,
        Self::Custom,
        Self::Read,
        Self::Operation,
        Self::Unknown,
    ];

    /// Returns the kind of one of Konnect's events by its name alone.
    ///
    /// `event_class_id` is no help: for authorizations it is the name of the service that asked.
    pub fn from_name(name: &str) -> Self {
        if name.starts_with("AUTHENTICATION_OUTCOME_") {
            Self::Authentication
        } else if name.starts_with("Authz.") {
            Self::Authorization
        } else if name == "Ingress" {
            Self::Access
        } else {
            Self::Unknown
        }
    }

    /// Returns the kind of an own event by its name.
    pub fn from_own_name(name: &str) -> Self {
        match name.split_once('.') {
            Some(("action" | "quarantine" | "setup", _)) => Self::Action,
            Some(("custom", _)) => Self::Custom,
            Some(("read", _)) => Self::Read,
            Some(("usher", _)) => Self::Operation,
            _ => Self::Observation,
        }
    }

    /// Returns the kind by the `type` of the pull API, whose entries have no `name`.
    pub fn from_pull_type(pull_type: &str) -> Self {
        match pull_type {
            "authentication" => Self::Authentication,
            "authorization" => Self::Authorization,
            "gateway_access" => Self::Access,
            _ => Self::Unknown,
        }
    }

    /// Returns the word that columns, JSON and topics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Access => "access",
            Self::Observation => "observation",
            Self::Action => "action",
            Self::Custom => "custom",
            Self::Read => "read",
            Self::Operation => "operation",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownWord::new("kind", word))
    }
}

/// The format of an entry as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `ArcSight` Common Event Format, one line.
    Cef,
    /// One flat JSON object.
    Json,
    /// The JSON object wrapped as `{"event":{…}}`.
    Cps,
    /// One flat JSON object in the schema of the pull API.
    Pull,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Cef, Self::Json, Self::Cps, Self::Pull];

    /// Returns Konnect's own word for the format (`log_format` of a destination), or `pull`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cef => "cef",
            Self::Json => "json",
            Self::Cps => "cps",
            Self::Pull => "pull",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == word)
            .ok_or_else(|| UnknownWord::new("format", word))
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Kind};

    #[test]
    fn tells_the_kind_by_name_alone() {
        let table = [
            ("AUTHENTICATION_OUTCOME_SUCCESS", Kind::Authentication),
            ("AUTHENTICATION_OUTCOME_SOMETHING_NEW", Kind::Authentication),
            ("Authz.portals", Kind::Authorization),
            ("Authz.control-planes/*", Kind::Authorization),
            ("Ingress", Kind::Access),
            ("ingress", Kind::Unknown),
            ("Ingress2", Kind::Unknown),
            ("developer.signed_up", Kind::Unknown),
            ("", Kind::Unknown),
        ];
        for (name, kind) in table {
            assert_eq!(Kind::from_name(name), kind, "{name}");
        }
    }

    #[test]
    fn tells_the_kind_of_its_own_events_by_their_first_word() {
        let table = [
            ("developer.signed_up", Kind::Observation),
            ("registration.status_changed", Kind::Observation),
            ("action.done", Kind::Action),
            ("quarantine.released", Kind::Action),
            ("setup.secret_given", Kind::Action),
            ("custom.hr.joined", Kind::Custom),
            ("read.events", Kind::Read),
            ("usher.silence", Kind::Operation),
            ("actions", Kind::Observation),
        ];
        for (name, kind) in table {
            assert_eq!(Kind::from_own_name(name), kind, "{name}");
        }
    }

    #[test]
    fn every_word_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("Cef".parse::<Format>().is_err());
        assert!("".parse::<Kind>().is_err());
        assert_eq!(Kind::from_pull_type("gateway_access"), Kind::Access);
        assert_eq!(Kind::from_pull_type("other"), Kind::Unknown);
    }
}
