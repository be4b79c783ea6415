//! Which part of the directory a list shows: of one portal or of all, with what is gone or without.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::console::Console;
use crate::console::show;
use crate::directory::{Gone, ListPage};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};

/// Rows of a page.
const ROWS: i64 = 50;
/// Portals that a list offers to choose from.
const MOST_PORTALS: i64 = 200;

/// The words for what is gone, as the API has them, and as the form says them.
const GONE: [(&str, &str, Gone); 3] = [
    ("false", "left out", Gone::Without),
    ("true", "only those", Gone::Only),
    ("any", "shown too", Gone::With),
];

/// Which part of the directory is wanted.
#[derive(Debug)]
pub(super) struct Scope {
    portal_id: Option<Uuid>,
    gone: Gone,
}

impl Scope {
    /// Reads `portal_id` and `gone`.
    pub(super) fn read(parameters: &mut Parameters) -> Result<Self, Problem> {
        let portal_id = parameters.read("portal_id", "a UUID")?;
        let gone = match parameters.text("gone") {
            None => Gone::default(),
            Some(given) => {
                let found = GONE.iter().find(|(word, ..)| *word == given);
                let expected = || bad_request("parameter gone: expected false, true or any");
                found.map(|(.., gone)| *gone).ok_or_else(expected)?
            }
        };
        Ok(Self { portal_id, gone })
    }

    /// The portal that is asked for.
    pub(super) fn portal_id(&self) -> Option<Uuid> {
        self.portal_id
    }

    /// Whether it is more than what a list shows by itself.
    pub(super) fn is_asked(&self) -> bool {
        self.portal_id.is_some() || self.gone != Gone::default()
    }

    /// The words for what is gone, for a form: value, text, and whether it is chosen.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        GONE.iter()
            .map(|&(word, text, gone)| (word, text, gone == self.gone))
    }

    /// The page that begins after `after`, with one row more, which says whether another follows.
    pub(super) fn page<K>(&self, after: Option<K>) -> ListPage<K> {
        ListPage {
            portal_id: self.portal_id,
            gone: self.gone,
            after,
            limit: ROWS + 1,
        }
    }
}

/// Takes the row that is one too many away; the last one that is shown, where there was such a row.
pub(super) fn last_shown<T>(rows: &mut Vec<T>) -> Option<&T> {
    let shown = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_more = rows.len() > shown;
    rows.truncate(shown);
    rows.last().filter(|_| has_more)
}

/// The portals that the directory knows, those that are gone too.
#[derive(Debug)]
pub(super) struct Portals(BTreeMap<Uuid, String>);

impl Portals {
    /// Those with these names.
    pub(super) fn of(names: BTreeMap<Uuid, String>) -> Self {
        Self(names)
    }

    /// Reads them.
    pub(super) async fn load(console: &Console) -> Result<Self, Problem> {
        let page = ListPage {
            portal_id: None,
            gone: Gone::With,
            after: None,
            limit: MOST_PORTALS,
        };
        let found = console.directory.list_portals(&page).await?;
        let names = found
            .into_iter()
            .map(|portal| (portal.id.into(), portal.name));
        Ok(Self(names.collect()))
    }

    /// The name of a portal; the beginning of its id where the name is not known.
    pub(super) fn name(&self, id: impl Into<Uuid>) -> String {
        let id = id.into();
        self.0.get(&id).cloned().unwrap_or_else(|| show::short(id))
    }

    /// The portals for a form, by name: id, name, and whether it is the one that is asked for.
    pub(super) fn choices(&self, asked: Option<Uuid>) -> Vec<(Uuid, String, bool)> {
        let unknown = asked.filter(|id| !self.0.contains_key(id));
        let ids = self.0.keys().copied().chain(unknown);
        let mut choices: Vec<(Uuid, String, bool)> = ids
            .map(|id| (id, self.name(id), Some(id) == asked))
            .collect();
        choices.sort_by(|one, other| (&one.1, one.0).cmp(&(&other.1, other.0)));
        choices
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Portals, last_shown};

    #[test]
    fn a_full_page_says_where_it_ends() {
        let mut rows: Vec<i32> = (0..51).collect();
        assert_eq!(last_shown(&mut rows), Some(&49));
        assert_eq!(rows.len(), 50);
        assert_eq!(last_shown(&mut rows), None);
        assert_eq!(last_shown(&mut Vec::<i32>::new()), None);
    }

    #[test]
    fn portals_are_offered_by_name_and_the_one_asked_for_in_any_case() {
        let (one, other, unknown) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let portals = Portals([(one, "b".to_owned()), (other, "a".to_owned())].into());
        assert_eq!(
            portals.choices(Some(one)),
            [(other, "a".to_owned(), false), (one, "b".to_owned(), true)]
        );
        assert_eq!(
            portals.choices(Some(unknown))[0],
            (unknown, "00000000".to_owned(), true)
        );
    }
}
