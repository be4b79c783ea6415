//! How texts and numbers become markup: escaped, cut, grouped and scaled. Numbers stay whole; no
//! float is used, so that 64-bit counts are written exactly.

use std::fmt::{self, Write};

/// A text that is safe between tags and in a quoted attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(' ')?,
                control if control.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Thousandths, written as a decimal without zeros at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Milli(pub(crate) u64);

impl Milli {
    /// The part of `whole` units that `value` takes of `max`: nothing where `max` is zero.
    pub(crate) fn part(whole: u64, value: u64, max: u64) -> Self {
        let part = u128::from(whole) * 1000 * u128::from(value);
        let part = part.checked_div(u128::from(max)).unwrap_or_default();
        Self(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let rest = format!("{rest:03}");
        write!(f, "{whole}.{}", rest.trim_end_matches('0'))
    }
}

/// A count in full, in groups of three: `1,204,331`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A count in few letters, for an axis: `1.2 M`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Short(pub(crate) u64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1_000_000_000_000_000_000, "E"),
            (1_000_000_000_000_000, "P"),
            (1_000_000_000_000, "T"),
            (1_000_000_000, "G"),
            (1_000_000, "M"),
            (1_000, "k"),
        ];
        let Some((unit, name)) = units.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{}", self.0);
        };
        // Two decimals at most, cut off and not rounded up to the next unit.
        let hundredths = Milli::part(1, self.0, unit).0 / 10;
        write!(f, "{} {name}", Milli(hundredths * 10))
    }
}

/// The share that a value has of a whole, as a percentage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percent(pub(crate) u64, pub(crate) u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, whole) = *self;
        if whole == 0 {
            return f.write_str("–");
        }
        let tenths = Milli::part(100, value, whole).0 / 100;
        match (tenths, value) {
            (0, 1..) => f.write_str("under 0.1 %"),
            _ => write!(f, "{} %", Milli(tenths * 100)),
        }
    }
}

/// The first `most` characters of a text, with a sign that there are more.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The opening of a table of numbers, up to its head. It can be scrolled by keyboard.
pub(crate) fn open_table(label: &str, heads: &[(&str, bool)]) -> String {
    let label = Escaped(label);
    let mut table = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{label}\">\
         <table class=\"list\"><caption class=\"visually-hidden\">{label}</caption><thead><tr>"
    );
    for (head, is_number) in heads {
        table.push_str(if *is_number {
            "<th scope=\"col\" class=\"num\">"
        } else {
            "<th scope=\"col\">"
        });
        push(&mut table, format_args!("{}</th>", Escaped(head)));
    }
    table.push_str("</tr></thead><tbody>");
    table
}

/// What closes [`open_table`].
pub(crate) const CLOSE_TABLE: &str = "</tbody></table></div>";

/// Adds a mark below an axis of time at `y`, so far along it. Every second one gives way on a
/// narrow page.
pub(crate) fn push_mark(svg: &mut String, (x, y): (Milli, u64), place: usize, label: &str) {
    let minor = if place % 2 == 1 {
        " class=\"minor\""
    } else {
        ""
    };
    push(
        svg,
        format_args!(
            "<g{minor}><line class=\"mark\" x1=\"{x}%\" x2=\"{x}%\" y1=\"{y}\" y2=\"{}\"/>\
             <text x=\"{x}%\" y=\"{}\" text-anchor=\"middle\">{}</text></g>",
            y + 4,
            y + 18,
            Escaped(label)
        ),
    );
}

/// Appends formatted text.
pub(crate) fn push(to: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    to.write_fmt(what).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::{Escaped, Grouped, Milli, Percent, Short, cut};

    #[test]
    fn escapes_what_could_leave_a_text_or_an_attribute() {
        let text = "<script>alert('1')</script> & \"x\"\u{0}\n\u{1b}";
        assert_eq!(
            Escaped(text).to_string(),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;\u{fffd} \u{fffd}"
        );
    }

    #[test]
    fn writes_parts_without_zeros_at_the_end() {
        for (whole, value, max, text) in [
            (100, 1, 8, "12.5"),
            (100, 1, 3, "33.333"),
            (100, 8, 8, "100"),
            (160, 1, 0, "0"),
            (100, u64::MAX, u64::MAX, "100"),
        ] {
            assert_eq!(Milli::part(whole, value, max).to_string(), text);
        }
    }

    #[test]
    fn groups_and_shortens_counts() {
        for (value, grouped, short) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1,000", "1 k"),
            (1_204_331, "1,204,331", "1.2 M"),
            (2_500, "2,500", "2.5 k"),
            (999_999, "999,999", "999.99 k"),
            (u64::MAX, "18,446,744,073,709,551,615", "18.44 E"),
        ] {
            assert_eq!(Grouped(value).to_string(), grouped);
            assert_eq!(Short(value).to_string(), short);
        }
    }

    #[test]
    fn never_calls_a_share_nothing_or_all_that_is_not() {
        for (value, whole, text) in [
            (0, 0, "–"),
            (0, 5, "0 %"),
            (1, 1_000_000, "under 0.1 %"),
            (999_999, 1_000_000, "99.9 %"),
            (1, 3, "33.3 %"),
            (3, 3, "100 %"),
        ] {
            assert_eq!(Percent(value, whole).to_string(), text);
        }
    }

    #[test]
    fn cuts_by_characters() {
        assert_eq!(cut("approved", 8), "approved");
        assert_eq!(cut("ääääää", 4), "äää…");
        assert_eq!(cut("a bc", 3), "a…");
    }
}
