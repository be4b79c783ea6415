//! Applications and registrations as rows of a table, for the pages of people and of applications.

use chrono::{DateTime, Utc};

use crate::directory::{Application, MOST_COUNTED, Registration, RegistrationCount};

/// Rows of a table that is a part of a page.
const MOST: usize = 50;

/// The first rows of a table, and how many there are besides.
#[derive(Debug)]
pub(super) struct Rows<T> {
    pub(super) shown: Vec<T>,
    pub(super) more: usize,
}

impl<T> Rows<T> {
    /// The first of `all`, each as `render` makes it.
    pub(super) fn of<R>(all: &[R], render: impl Fn(&R) -> T) -> Self {
        Self {
            shown: all.iter().take(MOST).map(render).collect(),
            more: all.len().saturating_sub(MOST),
        }
    }
}

/// An application.
#[derive(Debug)]
pub(super) struct ApplicationRow {
    pub(super) href: String,
    pub(super) name: String,
    pub(super) count: String,
    pub(super) created_at: DateTime<Utc>,
}

impl ApplicationRow {
    pub(super) fn new(application: &Application, count: RegistrationCount) -> Self {
        Self {
            href: href(application),
            name: name(application),
            count: told(count),
            created_at: created_at(application),
        }
    }
}

/// A registration.
#[derive(Debug)]
pub(super) struct RegistrationRow {
    pub(super) id: String,
    pub(super) api: String,
    pub(super) version: String,
    pub(super) application: String,
    pub(super) href: String,
    pub(super) status: String,
    pub(super) requested_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl RegistrationRow {
    /// A registration; `application` is the name of what it is of, where the page says it.
    pub(super) fn new(registration: &Registration, application: Option<&str>) -> Self {
        let application_id = registration.application_id.to_string();
        let updated_at = registration.updated_at;
        Self {
            id: registration.id.to_string(),
            api: registration.api.name.clone(),
            version: registration.api.version.clone().unwrap_or_default(),
            href: format!(
                "/applications/{application_id}?portal_id={}",
                registration.portal_id
            ),
            application: application.map_or(application_id, str::to_owned),
            status: registration.status.to_string(),
            requested_at: registration.requested_at(),
            updated_at: updated_at.unwrap_or(registration.row_version.last_at),
        }
    }
}

/// Path and query of the page of an application.
pub(super) fn href(application: &Application) -> String {
    let (id, portal) = (application.id, application.portal_id);
    format!("/applications/{id}?portal_id={portal}")
}

/// The name of an application; its id where it has none.
pub(super) fn name(application: &Application) -> String {
    if application.name.trim().is_empty() {
        application.id.to_string()
    } else {
        application.name.clone()
    }
}

/// When an application was made: as the API says, else when a sweep first found it.
pub(super) fn created_at(application: &Application) -> DateTime<Utc> {
    let first_at = application.row_version.first_at;
    application.created_at.unwrap_or(first_at)
}

/// How many registrations there are, in words.
pub(super) fn told(count: RegistrationCount) -> String {
    let all = if count.all < MOST_COUNTED {
        count.all.to_string()
    } else {
        format!("{MOST_COUNTED} or more")
    };
    match count.pending {
        0 => all,
        pending => format!("{all}, {pending} pending"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rows, told};
    use crate::directory::RegistrationCount;

    #[test]
    fn counts_say_where_they_end() {
        for (all, pending, words) in [(0, 0, "0"), (3, 1, "3, 1 pending"), (100, 0, "100 or more")]
        {
            assert_eq!(told(RegistrationCount { all, pending }), words);
        }
    }

    #[test]
    fn a_table_says_how_many_it_leaves_out() {
        let rows = Rows::of(&[0_u8; 53], |row| *row);
        assert_eq!((rows.shown.len(), rows.more), (50, 3));
        assert_eq!(Rows::of(&[1_u8], |row| *row).more, 0);
    }
}
