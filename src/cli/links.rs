//! `--links`: beside each row the page of the console where it is shown. Knows the paths of pages
//! and where the console is.

use clap::Args;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::act::Target;
use crate::cli::table::field;
use crate::config::Config;
use crate::report::ReportName;

/// The flag of commands that show what has a page.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct LinksArgs {
    /// Also show the console's page of what each row or line is about
    #[arg(long)]
    links: bool,
}

impl LinksArgs {
    /// The pages of the console that this configuration names; none unless they are asked for.
    pub(super) fn of(self, config: &Config) -> Links {
        let url = config.console_url().filter(|_| self.links);
        Links {
            base: url.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        }
    }
}

/// The addresses of pages; there are none where nobody asked for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    base: Option<String>,
}

impl Links {
    /// Whether rows say their pages.
    pub(super) fn are_asked_for(&self) -> bool {
        self.base.is_some()
    }

    /// The page of an event.
    pub(super) fn event(&self, id: Uuid) -> Option<String> {
        self.page("events", &id.to_string())
    }

    /// The page of a developer.
    pub(super) fn person(&self, id: Uuid) -> Option<String> {
        self.page("people", &id.to_string())
    }

    /// The page of an application.
    pub(super) fn application(&self, id: Uuid) -> Option<String> {
        self.page("applications", &id.to_string())
    }

    /// The page of an action.
    pub(super) fn action(&self, id: Uuid) -> Option<String> {
        self.page("actions", &id.to_string())
    }

    /// The page of a quarantined entry or body.
    pub(super) fn quarantined(&self, id: Uuid) -> Option<String> {
        self.page("quarantine", &id.to_string())
    }

    /// The page of a report.
    pub(super) fn report(&self, name: ReportName) -> Option<String> {
        self.page("reports", name.as_str())
    }

    /// The page of whom or what a deed is done to; of a registration that of its application.
    pub(super) fn target(&self, target: &Target) -> Option<String> {
        match target {
            Target::Developer { id } => self.person(*id),
            Target::Application { id } => self.application(*id),
            Target::Registration { application_id, .. } => self.application(*application_id),
            Target::Invitee { .. } | Target::Portal { .. } | Target::Usher => None,
        }
    }

    fn page(&self, folder: &str, name: &str) -> Option<String> {
        let base = self.base.as_ref()?;
        Some(format!("{base}/{folder}/{name}"))
    }

    /// The heading of a table, with `column` for the page at its end.
    pub(super) fn heading(
        &self,
        heading: impl Into<Vec<&'static str>>,
        column: &'static str,
    ) -> Vec<&'static str> {
        let mut heading = heading.into();
        heading.extend(self.are_asked_for().then_some(column));
        heading
    }

    /// The cells of a row, with its page at their end.
    pub(super) fn cells(&self, cells: impl Into<Vec<String>>, page: Option<String>) -> Vec<String> {
        let mut cells = cells.into();
        if self.are_asked_for() {
            cells.push(page.unwrap_or_else(|| "-".to_owned()));
        }
        cells
    }
}

/// Data with its page, as the member `page` of its JSON; without one it is the data as it is.
#[derive(Debug)]
pub(super) struct Linked<D> {
    data: D,
    page: Option<String>,
}

impl<D> Linked<D> {
    pub(super) fn new(data: D, page: Option<String>) -> Self {
        Self { data, page }
    }

    /// The one line that tells of the data, with the page.
    pub(super) fn line(&self, text: &str) -> String {
        beside(text, self.page.as_deref())
    }

    /// The fields of the data, one a line, with one for the page.
    pub(super) fn fields(&self, text: String) -> String {
        match &self.page {
            Some(page) => format!("{text}\n{}", field("page", page)),
            None => text,
        }
    }
}

impl<D: Serialize> Serialize for Linked<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(page) = &self.page else {
            return self.data.serialize(serializer);
        };
        let mut data = serde_json::to_value(&self.data).map_err(S::Error::custom)?;
        // What a sender called so gives way, as to usher's other members.
        if let Value::Object(members) = &mut data {
            members.insert("page".to_owned(), Value::from(page.as_str()));
        }
        data.serialize(serializer)
    }
}

/// A line of text with the page at its end.
pub(super) fn beside(text: &str, page: Option<&str>) -> String {
    match page {
        Some(page) => format!("{text}  {page}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::{Linked, Links, LinksArgs};
    use crate::act::Target;
    use crate::config::Config;
    use crate::report::ReportName;

    const ID: Uuid = Uuid::from_u128(7);
    const HEX: &str = "00000000-0000-0000-0000-000000000007";

    fn links(url: Option<&str>) -> Links {
        let mut config = Config::default();
        config.console.url = url.map(|url| url.parse().unwrap());
        LinksArgs { links: true }.of(&config)
    }

    #[test]
    fn pages_are_below_the_url_of_the_console() {
        for url in ["https://usher.example/base/", "https://usher.example/base"] {
            let links = links(Some(url));
            let application = Target::Registration {
                id: Uuid::nil(),
                application_id: ID,
            };
            for (page, path) in [
                (links.event(ID), format!("events/{HEX}")),
                (links.person(ID), format!("people/{HEX}")),
                (links.application(ID), format!("applications/{HEX}")),
                (links.action(ID), format!("actions/{HEX}")),
                (links.quarantined(ID), format!("quarantine/{HEX}")),
                (
                    links.report(ReportName::IdleDevelopers),
                    "reports/idle-developers".to_owned(),
                ),
                (
                    links.target(&Target::Developer { id: ID }),
                    format!("people/{HEX}"),
                ),
                (links.target(&application), format!("applications/{HEX}")),
            ] {
                let expected = format!("https://usher.example/base/{path}");
                assert_eq!(page, Some(expected));
            }
            assert_eq!(links.target(&Target::Portal { id: ID }), None);
        }
        let here = links(None).event(ID);
        assert_eq!(here, Some(format!("http://127.0.0.1:8088/events/{HEX}")));
    }

    #[test]
    fn nothing_changes_where_nobody_asked() {
        let links = LinksArgs { links: false }.of(&Config::default());
        assert_eq!(links.event(ID), None);
        assert_eq!(links.heading(["ID"], "PAGE"), ["ID"]);
        assert_eq!(links.cells(["1".to_owned()], None), ["1"]);
        let linked = Linked::new("{}", links.event(ID));
        assert_eq!(linked.line("one"), "one");
        assert_eq!(linked.fields("one".to_owned()), "one");
        assert_eq!(serde_json::to_string(&linked).unwrap(), "\"{}\"");
    }

    #[test]
    fn a_row_says_its_page_in_each_form() {
        let links = links(Some("https://usher.example"));
        let page = format!("https://usher.example/events/{HEX}");
        assert_eq!(links.heading(["ID"], "PAGE"), ["ID", "PAGE"]);
        let cells = links.cells(["1".to_owned()], links.event(ID));
        assert_eq!(cells, ["1".to_owned(), page.clone()]);
        assert_eq!(links.cells(["1".to_owned()], None), ["1", "-"]);
        let sent = json!({ "id": 1, "page": "of a sender" });
        let linked = Linked::new(&sent, links.event(ID));
        assert_eq!(
            serde_json::to_string(&linked).unwrap(),
            json!({ "id": 1, "page": page }).to_string()
        );
        assert_eq!(linked.line("one"), format!("one  {page}"));
        let expected = format!("one\npage              {page}");
        assert_eq!(linked.fields("one".to_owned()), expected);
    }
}
