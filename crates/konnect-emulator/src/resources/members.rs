//! What the declarations of several nouns share: forms of members, filters, sorts, labels.

use serde_json::{Map, Value, json};

use crate::{
    clock::timestamp,
    fields::Rule,
    forms::{is_label_key, is_label_value},
    query::{Filter, Operators},
    read::Read,
    sorting::Sort,
};

/// Declares a filter or a sort by a member of the row itself.
macro_rules! member {
    ($name:literal) => {
        $crate::read::Read::Member($name)
    };
}

pub(crate) use member;

/// The statuses of developers and registrations.
pub(crate) const STATUSES: Rule = Rule::Choice(&["approved", "pending", "revoked", "rejected"]);
pub(crate) const NAME: Rule = Rule::Text { min: 1, max: 255 };
pub(crate) const ANY_TEXT: Rule = Rule::Text { min: 1, max: 4096 };
/// Text of any length.
pub(crate) const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};
/// The name of an API or a document in paths.
pub(crate) const SLUG: Rule = Rule::Pattern {
    min: 1,
    max: usize::MAX,
    is: is_slug,
    words: "must hold letters, digits, _ and - only",
};
/// Labels of what is made, where null stands for nothing.
pub(crate) const NEW_LABELS: Rule = Rule::Map {
    max: 50,
    is_key: is_label_key,
    value: &Rule::Pattern {
        min: 1,
        max: 63,
        is: is_label_value,
        words: "must be a valid label",
    },
};

pub(crate) const CREATED_AT: Sort = by(
    "created_at",
    Read::Made(|_, row| json!(timestamp(row.created_at))),
);
pub(crate) const UPDATED_AT: Sort = by(
    "updated_at",
    Read::Made(|_, row| json!(timestamp(row.updated_at))),
);
pub(crate) const CREATED_WITHIN: Filter = filter(
    "created_at",
    Operators::DateTime,
    Read::Made(|_, row| json!(timestamp(row.created_at))),
);
pub(crate) const UPDATED_WITHIN: Filter = filter(
    "updated_at",
    Operators::DateTime,
    Read::Made(|_, row| json!(timestamp(row.updated_at))),
);

/// Returns whether a text can be a slug.
pub(crate) fn is_slug(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_slug_byte)
}

const fn is_slug_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Makes a slug of a text, or takes the other one if nothing is left of it.
pub(crate) fn slugify(text: &str, otherwise: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|letter: char| !u8::try_from(letter).is_ok_and(is_slug_byte));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return otherwise.to_owned();
    }
    words.join("-")
}

/// Declares a sort.
pub(crate) const fn by(name: &'static str, read: Read) -> Sort {
    Sort { name, read }
}

/// Declares a `StringFieldFilter`.
pub(crate) const fn text_filter(name: &'static str, read: Read) -> Filter {
    filter(name, Operators::Text, read)
}

/// Declares a `UuidFieldFilter`.
pub(crate) const fn uuid_filter(name: &'static str, read: Read) -> Filter {
    filter(name, Operators::Uuid, read)
}

/// Declares a `BooleanFieldFilter`.
pub(crate) const fn boolean_filter(name: &'static str, read: Read) -> Filter {
    filter(name, Operators::Boolean, read)
}

/// Declares a filter.
pub(crate) const fn filter(name: &'static str, operators: Operators, read: Read) -> Filter {
    Filter {
        name,
        operators,
        read,
    }
}

/// Applies a change of labels: a null value removes the label.
pub(crate) fn merge_labels(before: &Value, change: &Value) -> Value {
    let mut labels: Map<String, Value> = before.as_object().cloned().unwrap_or_default();
    for (key, value) in change.as_object().into_iter().flatten() {
        if value.is_null() {
            labels.remove(key);
        } else {
            labels.insert(key.clone(), value.clone());
        }
    }
    Value::Object(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_slugs_that_the_schema_allows() {
        for (text, slug) in [
            ("Fixtures ", "fixtures"),
            ("My API v1.2", "my-api-v1-2"),
            (" Über & Co_ ", "ber-co_"),
            ("日本", "api"),
        ] {
            assert_eq!(slugify(text, "api"), slug, "{text}");
            assert!(is_slug(slug));
        }
    }
}
