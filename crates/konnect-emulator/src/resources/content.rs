//! What pages and snippets have in common: the rules of their members, the filters of their lists,
//! and that title and description in the front matter of a content win over those beside it.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    problem::{InvalidParameter, Problem},
    query::Filter,
    read::Read,
    resources::members::{CREATED_WITHIN, UPDATED_WITHIN, member, text_filter, uuid_filter},
    state::{Kind, Row},
};

pub(crate) const CONTENT: Rule = Rule::Text {
    min: 0,
    max: 1_000_000,
};

/// The members that may be left out.
pub(crate) const OPTIONS: [Field; 4] = [
    Field::optional("title", Rule::Text { min: 0, max: 512 }),
    Field::optional("description", Rule::Text { min: 0, max: 160 }),
    Field::optional("visibility", Rule::Choice(&["public", "private"])),
    Field::optional("status", Rule::Choice(&["published", "unpublished"])),
];

/// The filters of a list, after the one by slug or name.
pub(crate) const fn filters(by_name: Filter) -> [Filter; 6] {
    [
        uuid_filter("id", Read::Made(|_, row| json!(row.id))),
        by_name,
        text_filter("title", member!("title")),
        text_filter("visibility", member!("visibility")),
        CREATED_WITHIN,
        UPDATED_WITHIN,
    ]
}

/// Shows the named members, title, visibility and status, and a description only where there is
/// one, for none is no text.
pub(crate) fn outline(row: &Row, members: &[&str]) -> Map<String, Value> {
    let mut shown = row.show(&["title", "visibility", "status"]);
    for member in members {
        shown.insert((*member).to_owned(), row.get(member).clone());
    }
    if let Some(description) = row.value.get("description") {
        shown.insert("description".to_owned(), description.clone());
    }
    shown
}

/// Fills in what a new one has unless it is said: who sees it as the portal says, and that it is
/// not published.
pub(crate) fn fill_defaults(call: &mut Call<'_>) -> Result<(), Problem> {
    let portal = call.row(Kind::Portal, call.last_id())?;
    let visibility = portal.get("default_page_visibility").clone();
    call.fill("visibility", visibility);
    call.fill("status", json!("unpublished"));
    Ok(())
}

/// The members that a front matter may hold, with their greatest length in characters.
const MEMBERS: [(&str, usize); 2] = [("title", 512), ("description", 160)];

/// Takes title and description of the content into the body.
pub(crate) fn read_front_matter(call: &mut Call<'_>) -> Result<(), Problem> {
    let content = call.text("content").unwrap_or_default();
    let found: Vec<(&str, usize, String)> = MEMBERS
        .into_iter()
        .filter_map(|(name, most)| Some((name, most, value_of(content, name)?)))
        .collect();
    for (name, most, value) in found {
        if value.chars().count() > most {
            let reason = format!("value of \"{name}\" must not exceed {most} characters");
            let mistake = InvalidParameter::body(name, "max_length", reason);
            return Err(Problem::invalid(vec![mistake.with("maximum", json!(most))]));
        }
        call.body.insert(name.to_owned(), json!(value));
    }
    Ok(())
}

/// Returns a text at the top level of the YAML between two lines of `---`. It knows plain and
/// quoted texts of one line, which is what titles are.
pub(crate) fn value_of(content: &str, name: &str) -> Option<String> {
    let mut lines = content.lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let mut found = None;
    for line in lines {
        if line.trim_end() == "---" {
            return found;
        }
        let value = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'))
            .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if let Some(value) = value {
            found = scalar(value.trim());
        }
    }
    // A block that does not end is no front matter.
    None
}

/// Reads a YAML text of one line; `None` for what is no text.
fn scalar(text: &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            let (inside, _) = rest.rsplit_once(quote)?;
            return Some(if quote == '"' {
                inside.replace("\\\"", "\"").replace("\\\\", "\\")
            } else {
                inside.replace("''", "'")
            });
        }
    }
    let text = text.split(" #").next().unwrap_or_default().trim_end();
    let is_plain = !text.is_empty() && !text.starts_with(['[', '{', '|', '>', '&', '*', '!', '#']);
    is_plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_title_at_the_top_of_yaml_only() {
        for (content, title) in [
            ("---\ntitle: Home\n---\n# A", Some("Home")),
            ("---\r\ntitle: \"A \\\"B\\\"\"\r\n---\r\n", Some("A \"B\"")),
            ("---\ntitle: 'It''s' # note\n---\n", Some("It's")),
            ("---\ntitle: A # note\n---\n", Some("A")),
            ("---\nimage:\n  title: A\n---\n", None),
            ("---\ntitles: A\ntitle:B\n---\n", None),
            ("---\ntitle: [A]\n---\n", None),
            ("---\ntitle:\n---\n", None),
            ("---\ntitle: A\n", None),
            ("title: A\n---\n", None),
            ("", None),
        ] {
            assert_eq!(value_of(content, "title").as_deref(), title, "{content:?}");
        }
    }
}
