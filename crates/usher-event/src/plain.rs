//! Text that strangers chose, made fit to be shown to people.

use std::fmt::Write as _;

/// Escapes the characters of a text that would move the cursor, colour the text, reverse the line
/// or hide in it. Those that end a line or a comment are escaped too. Each becomes `\u{202e}`, of
/// its own number.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if steers(letter) {
            write!(shown, "\\u{{{:x}}}", u32::from(letter)).expect("writes to memory");
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn shows_what_would_steer_hide_or_end_a_line() {
        for (text, shown) in [
            ("Zoë 李 O'Neill \\u{1}", "Zoë 李 O'Neill \\u{1}"),
            ("a\u{1b}[2Jb\nc", "a\\u{1b}[2Jb\\u{a}c"),
            ("a\u{0}b\u{9b}", "a\\u{0}b\\u{9b}"),
            (
                "\u{202e}moc\u{202c}\u{2066}\u{61c}",
                "\\u{202e}moc\\u{202c}\\u{2066}\\u{61c}",
            ),
            (
                "a\u{200b}\u{ad}\u{feff}\u{2060}b",
                "a\\u{200b}\\u{ad}\\u{feff}\\u{2060}b",
            ),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
