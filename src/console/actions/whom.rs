//! Whom or what actions are about, by names that people know and with links.

use std::collections::BTreeMap;
use std::fmt;

use askama::filters::{Html, HtmlSafe, escape};
use uuid::Uuid;

use crate::act::Target;
use crate::console::{Console, show};
use crate::directory::Named;
use crate::http::Problem;

/// Letters of a name that are shown; its title has more.
const MOST_LETTERS: usize = 60;
const MOST_OF_TITLE: usize = 300;

/// The names of all that a page is about, read at once.
#[derive(Debug)]
pub(super) struct Names {
    named: BTreeMap<(Uuid, Uuid), Named>,
    portals: BTreeMap<Uuid, String>,
}

impl Names {
    /// The names of objects, each by its portal and id.
    pub(super) async fn of(
        console: &Console,
        mut objects: Vec<(Uuid, Uuid)>,
    ) -> Result<Self, Problem> {
        objects.sort_unstable();
        objects.dedup();
        let named = console.directory.named(&objects).await?;
        let portals = console.directory.portals().await?;
        Ok(Self {
            named,
            portals: portals
                .into_iter()
                .map(|portal| (portal.id.0, portal.name))
                .collect(),
        })
    }

    /// The name of a portal; the beginning of its id where it has none.
    pub(super) fn portal(&self, id: Uuid) -> String {
        let name = self.portals.get(&id);
        name.map_or_else(|| show::short(id), |name| show::cut(name, MOST_LETTERS))
    }

    /// Whom or what a target is.
    pub(super) fn whom(&self, portal: Uuid, target: Target) -> Whom {
        let named = self.named.get(&(portal, target.id()));
        let named = named.cloned().unwrap_or_default();
        let id = target.id();
        let person = named.subject.email.or(named.subject.full_name);
        let (name, href, owner) = match target {
            Target::Developer { id } => (person, Some(format!("/people/{id}")), None),
            Target::Invitee { .. } => (person, None, None),
            Target::Application { id } => (
                named.application,
                Some(format!("/applications/{id}")),
                named.developer_id.zip(person),
            ),
            Target::Registration { application_id, .. } => (
                named.application,
                Some(format!("/applications/{application_id}")),
                named.developer_id.zip(person),
            ),
            Target::Portal { id } => (self.portals.get(&id).cloned(), None, None),
            Target::Usher => (Some("itself".to_owned()), None, None),
        };
        Whom {
            kind: target.kind(),
            name: name.unwrap_or_else(|| show::short(id)),
            href,
            api: named.api,
            owner,
            status: named.status,
            is_gone: named.is_gone,
        }
    }
}

/// Whom or what an action is about. Prints as markup of its own.
#[derive(Debug, Clone)]
pub(super) struct Whom {
    /// Developer, application, registration, invitee, portal or usher.
    pub(super) kind: &'static str,
    /// What people know it by; the beginning of its id where nothing is known.
    pub(super) name: String,
    href: Option<String>,
    api: Option<String>,
    owner: Option<(Uuid, String)>,
    /// Its status in Konnect, as last read.
    pub(super) status: Option<String>,
    /// Whether it is no longer there.
    pub(super) is_gone: bool,
}

impl Whom {
    /// Its name in a few letters, without a link.
    pub(super) fn brief(&self) -> String {
        let name = show::cut(&self.name, MOST_LETTERS);
        match &self.api {
            Some(api) => format!("{name} for {}", show::cut(api, MOST_LETTERS)),
            None => name,
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(f, self.href.as_deref(), &self.name)?;
        if let Some(api) = &self.api {
            f.write_str(" for ")?;
            name(f, None, api)?;
        }
        if let Some((owner, email)) = &self.owner {
            f.write_str(" of ")?;
            name(f, Some(&format!("/people/{owner}")), email)?;
        }
        Ok(())
    }
}

impl HtmlSafe for Whom {}

/// A name as a link, where there is a page; whole in its title where it is cut.
fn name(f: &mut fmt::Formatter<'_>, href: Option<&str>, name: &str) -> fmt::Result {
    let shown = show::cut(name, MOST_LETTERS);
    let title = if shown == name {
        String::new()
    } else {
        format!(" title=\"{}\"", escaped(&show::cut(name, MOST_OF_TITLE))?)
    };
    let shown = escaped(&shown)?;
    match href {
        Some(href) => write!(f, "<a href=\"{href}\"><bdi{title}>{shown}</bdi></a>"),
        None => write!(f, "<bdi{title}>{shown}</bdi>"),
    }
}

fn escaped(text: &str) -> Result<String, fmt::Error> {
    match escape(text, Html) {
        Ok(text) => Ok(text.to_string()),
        Err(_) => Err(fmt::Error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::Names;
    use crate::act::Target;
    use crate::directory::{Named, Subject};

    #[test]
    fn names_are_escaped_and_linked() {
        let (portal, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (application_id, owner) = (Uuid::from_u128(3), Uuid::from_u128(4));
        let target_names = Named {
            subject: Subject {
                email: Some("ada@example.com".to_owned()),
                full_name: None,
            },
            developer_id: Some(owner),
            application: Some("<b>".to_owned()),
            api: Some("Orders".to_owned()),
            ..Named::default()
        };
        let names = Names {
            named: BTreeMap::from([((portal, id), target_names)]),
            portals: BTreeMap::new(),
        };
        let target = Target::Registration { id, application_id };
        let whom = names.whom(portal, target);
        assert_eq!(
            whom.to_string(),
            format!(
                "<a href=\"/applications/{application_id}\"><bdi>&#60;b&#62;</bdi></a> for \
                 <bdi>Orders</bdi> of <a href=\"/people/{owner}\"><bdi>ada@example.com</bdi></a>"
            )
        );
        let unknown = names.whom(portal, Target::Developer { id: owner });
        assert_eq!(unknown.name, "00000000");
    }
}
