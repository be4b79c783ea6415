//! What a snapshot changes, in the words of the journal.
//!
//! Differences contain ids, statuses and names of changed fields; never an e-mail or a name.

use std::fmt;

use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};
use serde_json::{Map, Value, json};

use crate::directory::Snapshot;
use crate::directory::objects::{FIRST_REVISION, RowVersion, object_name};

/// One difference: what becomes an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// Name of the event.
    pub name: &'static str,
    /// What differs; with the revision it is the identity of the event.
    pub object: String,
    /// The object's revision from now on.
    pub revision: i64,
    /// The developer it is about, if any.
    pub developer: Option<DeveloperId>,
    /// Further members of the event.
    pub data: Map<String, Value>,
}

/// One object to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write<T> {
    pub item: T,
    /// Its revision from now on.
    pub revision: i64,
    /// Whether it has a difference.
    pub is_news: bool,
}

/// What a snapshot changes.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    pub portal: Option<Write<&'a konnect::Portal>>,
    pub developers: Vec<Write<&'a konnect::Developer>>,
    pub teams: Vec<Write<&'a konnect::Team>>,
    pub memberships: Vec<Write<(TeamId, DeveloperId)>>,
    pub applications: Vec<Write<&'a konnect::Application>>,
    pub registrations: Vec<Write<&'a konnect::Registration>>,
    pub gone: Gone,
    /// Ordered by dependency: a developer who signed up comes before what they asked for.
    pub differences: Vec<Difference>,
}

/// Objects that are no longer there.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub portal: Option<Write<PortalId>>,
    pub developers: Vec<Write<DeveloperId>>,
    pub teams: Vec<Write<TeamId>>,
    pub memberships: Vec<Write<(TeamId, DeveloperId)>>,
    pub applications: Vec<Write<ApplicationId>>,
    pub registrations: Vec<Write<RegistrationId>>,
}

/// How an object of a snapshot compares with its stored row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeClass {
    /// A later sweep has written it: this one changes nothing.
    Older,
    /// It has no row yet.
    New,
    /// It was gone.
    Back(i64),
    /// Its row is there.
    There(i64),
}

/// The names of the events about one kind of object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// When it is found for the first time; none when that is no difference.
    pub new: Option<&'static str>,
    /// When it comes back.
    pub back: &'static str,
    /// When something about it changed.
    pub changed: &'static str,
}

impl ChangeClass {
    /// How an object that is stored as `row_version` compares with sweep number `sweep`.
    pub(super) fn of(row_version: Option<&RowVersion>, sweep: i64) -> Self {
        match row_version {
            None => Self::New,
            Some(row_version) if row_version.sweep > sweep => Self::Older,
            Some(row_version) if row_version.is_gone() => Self::Back(row_version.revision),
            Some(row_version) => Self::There(row_version.revision),
        }
    }
}

impl Difference {
    /// A difference of one object, to be completed by [`Changes::judge`] or [`Changes::removed`].
    pub(super) fn about<const N: usize>(
        kind: &str,
        id: impl fmt::Display,
        data: [(&str, Value); N],
    ) -> Self {
        Self {
            name: "",
            object: object_name(kind, id),
            revision: 0,
            developer: None,
            data: data
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }

    /// Names the developer it is about.
    pub(super) fn of(self, developer: Option<DeveloperId>) -> Self {
        Self { developer, ..self }
    }

    /// A membership that was `change`d: added or removed.
    pub(super) fn of_membership((team, developer): (TeamId, DeveloperId), change: &str) -> Self {
        Self::about(
            "membership",
            format_args!("{team}:{developer}"),
            [
                ("team_id", json!(team)),
                ("developer_id", json!(developer)),
                ("change", json!(change)),
            ],
        )
        .of(Some(developer))
    }
}

impl Changes<'_> {
    /// The objects to be written that have a difference, or those that have none.
    pub(super) fn part(&self, of: &Snapshot, is_news: bool) -> Snapshot {
        fn items<T: Clone>(writes: &[Write<&T>], is_news: bool) -> Vec<T> {
            let writes = writes.iter().filter(|write| write.is_news == is_news);
            writes.map(|write| write.item.clone()).collect()
        }
        let portal = self.portal.as_ref();
        let portal = portal.filter(|write| write.is_news == is_news);
        let memberships = self.memberships.iter();
        let memberships = memberships.filter(|write| write.is_news == is_news);
        Snapshot {
            portal: portal.map(|write| write.item.clone()),
            developers: items(&self.developers, is_news),
            teams: items(&self.teams, is_news),
            memberships: memberships.map(|write| write.item).collect(),
            applications: items(&self.applications, is_news),
            registrations: items(&self.registrations, is_news),
            ..Snapshot::empty(of.portal_id, of.scope)
        }
    }

    /// Decides what is written of an `item` that the snapshot shows; none when nothing is. Adds the
    /// `difference`, if there is one.
    ///
    /// `is_marked` writes an unchanged item too.
    pub(super) fn judge<T>(
        &mut self,
        item: T,
        class: ChangeClass,
        names: Names,
        changed: &[&str],
        is_marked: bool,
        difference: impl FnOnce() -> Difference,
    ) -> Option<Write<T>> {
        let (revision, name) = match class {
            ChangeClass::New => (FIRST_REVISION, names.new),
            ChangeClass::Back(revision) => (revision + 1, Some(names.back)),
            ChangeClass::There(revision) if !changed.is_empty() => {
                (revision + 1, Some(names.changed))
            }
            ChangeClass::There(revision) if is_marked => (revision, None),
            ChangeClass::Older | ChangeClass::There(_) => return None,
        };
        if let Some(name) = name {
            let mut difference = difference();
            if !changed.is_empty() {
                difference.data.insert("changed".to_owned(), json!(changed));
            }
            self.differences.push(Difference {
                name,
                revision,
                ..difference
            });
        }
        Some(Write {
            item,
            revision,
            is_news: name.is_some(),
        })
    }

    /// Decides what is written of an `item` that is certainly gone. None when its absence is stored
    /// already, when it was never there, or when a later sweep found it. Adds the difference.
    pub(super) fn removed<T>(
        &mut self,
        item: T,
        row_version: Option<&RowVersion>,
        sweep: i64,
        name: &'static str,
        difference: Difference,
    ) -> Option<Write<T>> {
        let ChangeClass::There(revision) = ChangeClass::of(row_version, sweep) else {
            return None;
        };
        let revision = revision + 1;
        self.differences.push(Difference {
            name,
            revision,
            ..difference
        });
        Some(Write {
            item,
            revision,
            is_news: true,
        })
    }
}
