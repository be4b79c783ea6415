//! Answers without what differs from one moment or session to the next, so that they can be
//! compared.

use uuid::Uuid;

/// A text without times, forms' tokens and the moment that it is of.
pub(crate) fn steady(text: &str) -> String {
    let text = without(text, "<time", "</time>");
    let text = without(&text, "name=\"csrf\" value=\"", "\"");
    let text = without(&text, "name=\"token\" value=\"", "\"");
    let text = without(&text, "\"as_of\":\"", "\"");
    let text = without(&text, "&amp;cursor=", "\"");
    let mut steady = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(letter) = rest.chars().next() {
        if is_time(rest) {
            let is_more = |letter: char| letter.is_ascii_alphanumeric() || "-:.%+".contains(letter);
            rest = rest.trim_start_matches(is_more);
            steady.push('T');
        } else {
            steady.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    steady
}

/// The text with what stands between each `start` and the `end` after it cut out.
pub(crate) fn without(text: &str, start: &str, end: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        kept.push_str(&rest[..at + start.len()]);
        rest = &rest[at + start.len()..];
        rest = rest.find(end).map_or("", |at| &rest[at..]);
    }
    kept.push_str(rest);
    kept
}

/// Whether a text begins with a time such as `2026-06-23T12:00`.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00";
    text.len() >= form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
}

/// An answer about an id, or about a word, without it.
pub(crate) fn without_word(text: &str, word: &str) -> String {
    let text = steady(text).replace(word, "WORD");
    match word.parse::<Uuid>() {
        Ok(_) => text.replace(&word[..8], "WO"),
        Err(_) => text,
    }
}

#[test]
fn only_what_differs_from_moment_to_moment_is_cut() {
    for (text, expected) in [
        (
            r#"<td><time datetime="x">3 s ago</time> 7</td>"#,
            "<td><time</time> 7</td>",
        ),
        (
            r#"{"as_of":"2026-06-23T12:00:00.1Z","at":"2026-06-23T12:00:00.000Z","n":7}"#,
            r#"{"as_of":"","at":"T","n":7}"#,
        ),
        (
            "/events?from=2026-06-23T12%3A00%3A00Z&to=x ü",
            "/events?from=T&to=x ü",
        ),
    ] {
        assert_eq!(steady(text), expected);
    }
}
