//! The entries of a list, each of which is read by itself.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use crate::error::without_values;

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
