//! A member of a change, which tells "stays as it is" from "becomes null".

use serde::{Serialize, Serializer};

/// What becomes of a member that may be null: PATCH keeps a member that is left out and clears one
/// that is null. Members that cannot be null are an `Option` in the same place.
///
/// As a member of a body it needs `#[serde(skip_serializing_if = "Patch::is_keep")]`, for only the
/// body around it can leave it out; without that, a `Keep` is refused when it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Patch<T> {
    /// The member is left out and stays as it is.
    #[default]
    Keep,
    /// The member becomes null.
    Null,
    /// The member becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the member is left out.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The value, or null if there is none; never `Keep`.
    pub fn or_null(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Set)
    }

    /// The value, or `Keep` if there is none; never null.
    pub fn or_keep(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

impl<T> From<T> for Patch<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}

impl From<&str> for Patch<String> {
    fn from(value: &str) -> Self {
        Self::Set(value.to_owned())
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep => Err(serde::ser::Error::custom(
                "a member that stays as it is must be left out",
            )),
            Self::Null => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Serialize)]
    struct Body {
        #[serde(skip_serializing_if = "Patch::is_keep")]
        description: Patch<String>,
    }

    #[test]
    fn tells_absent_from_null_from_set() {
        for (description, expected) in [
            (Patch::default(), "{}"),
            (Patch::or_keep(None), "{}"),
            (Patch::Null, r#"{"description":null}"#),
            (Patch::or_null(None), r#"{"description":null}"#),
            ("".into(), r#"{"description":""}"#),
            (Patch::from("x".to_owned()), r#"{"description":"x"}"#),
            (
                Patch::or_keep(Some("x".to_owned())),
                r#"{"description":"x"}"#,
            ),
        ] {
            let body = Body { description };
            assert_eq!(serde_json::to_string(&body).unwrap(), expected);
        }
    }

    #[test]
    fn is_refused_where_nothing_leaves_it_out() {
        #[derive(Serialize)]
        struct Forgetful {
            description: Patch<String>,
        }
        let body = Forgetful {
            description: Patch::Keep,
        };
        assert!(serde_json::to_string(&body).is_err());
    }
}
