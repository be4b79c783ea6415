//! Counts side by side: a bar across for each name. A funnel is one whose shares are of its first.

use crate::console::chart::markup::{
    CLOSE_TABLE, Escaped, Grouped, Milli, Percent, cut, open_table, push,
};
use crate::console::chart::{Chart, Tone};

/// Pixels that one row takes, and those of its bar.
const ROW: usize = 42;
const BAR: usize = 12;
/// Characters of a name that fit beside its count in the narrowest place, and in a wide one.
const SHORT_NAME: usize = 26;
const LONG_NAME: usize = 60;
/// Thousandths of the width: the least that a count above zero takes, so that it is seen.
const LEAST: u64 = 400;

/// Of what each share is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Of the first row, as in a funnel.
    OfFirst,
    /// Of all rows together.
    OfAll,
}

/// One bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rank {
    /// What is counted.
    pub(crate) name: String,
    /// How often.
    pub(crate) value: u64,
    /// What else the table says of it, such as a median.
    pub(crate) note: Option<String>,
    /// Where its name leads.
    pub(crate) href: Option<String>,
}

/// Bars across, one below the other, in the order given.
#[derive(Debug, Clone)]
pub(crate) struct Ranking {
    /// What is counted.
    pub(crate) label: String,
    /// The head of the column of names.
    pub(crate) names: String,
    /// The head of the column of notes.
    pub(crate) notes: String,
    /// The bars.
    pub(crate) rows: Vec<Rank>,
    /// Of what each share is told.
    pub(crate) share: Share,
    /// The colour of the bars.
    pub(crate) tone: Tone,
}

impl Ranking {
    /// The chart; `nothing` is what it says where nothing was counted.
    pub(crate) fn draw(&self, nothing: &str) -> Chart {
        if self.rows.iter().all(|row| row.value == 0) {
            return Chart::empty(nothing);
        }
        Chart {
            svg: self.svg(),
            table: self.table(),
        }
    }

    /// What is the whole of every share.
    fn whole(&self) -> u64 {
        let mut values = self.rows.iter().map(|row| row.value);
        match self.share {
            Share::OfFirst => values.next().unwrap_or_default(),
            Share::OfAll => values.fold(0, u64::saturating_add),
        }
    }

    fn svg(&self) -> String {
        let most = self.rows.iter().map(|row| row.value).max();
        let most = most.unwrap_or_default();
        let is_linked = self.rows.iter().any(|row| row.href.is_some());
        // What has the role of an image must not have links in it.
        let role = if is_linked { "group" } else { "img" };
        let height = self.rows.len() * ROW;
        let label = Escaped(&self.label);
        let mut svg = format!(
            "<svg class=\"ranks\" role=\"{role}\" height=\"{height}\" aria-label=\"{label}\">"
        );
        for (place, row) in self.rows.iter().enumerate() {
            self.push_row(&mut svg, place * ROW, row, most);
        }
        svg.push_str("</svg>");
        svg
    }

    fn push_row(&self, svg: &mut String, y: usize, row: &Rank, most: u64) {
        let (value, share) = (Grouped(row.value), Percent(row.value, self.whole()));
        let mut title = format!("{}: {value} ({share})", row.name);
        if let Some(note) = &row.note {
            push(&mut title, format_args!(", {note}"));
        }
        let title = Escaped(&title);
        let close = if let Some(href) = &row.href {
            let href = Escaped(href);
            push(
                svg,
                format_args!("<a class=\"bar\" href=\"{href}\" aria-label=\"{title}\">"),
            );
            "</a>"
        } else {
            svg.push_str("<g class=\"bar\">");
            "</g>"
        };
        let mut width = Milli::part(100, row.value, most);
        if row.value > 0 {
            width = width.max(Milli(LEAST));
        }
        let (text, bar, tone) = (y + 16, y + 22, self.tone.class());
        push(
            svg,
            format_args!(
                "<title>{title}</title>\
                 <rect class=\"hit\" width=\"100%\" y=\"{y}\" height=\"{ROW}\"/>\
                 <text x=\"100%\" y=\"{text}\" text-anchor=\"end\">{value} · {share}</text>\
                 <rect class=\"track\" width=\"100%\" y=\"{bar}\" height=\"{BAR}\" rx=\"2\"/>\
                 <rect class=\"{tone}\" width=\"{width}%\" y=\"{bar}\" height=\"{BAR}\" rx=\"2\"/>"
            ),
        );
        Self::push_name(svg, text, &row.name);
        svg.push_str(close);
    }

    /// The name over a bar. A long one has two forms; the style sheet shows the one that fits.
    fn push_name(svg: &mut String, y: usize, name: &str) {
        let forms = [
            ("name short", cut(name, SHORT_NAME)),
            ("name long", cut(name, LONG_NAME)),
        ];
        let forms = match &forms {
            [(_, short), (_, long)] if short == long => vec![("name", short)],
            [short, long] => vec![(short.0, &short.1), (long.0, &long.1)],
        };
        for (class, form) in forms {
            let form = Escaped(form);
            push(
                svg,
                format_args!("<text class=\"{class}\" y=\"{y}\">{form}</text>"),
            );
        }
    }

    fn table(&self) -> String {
        let has_notes = self.rows.iter().any(|row| row.note.is_some());
        let mut heads = vec![
            (self.names.as_str(), false),
            ("Count", true),
            ("Share", true),
        ];
        if has_notes {
            heads.push((&self.notes, false));
        }
        let mut table = open_table(&self.label, &heads);
        for row in &self.rows {
            let name = Escaped(&row.name);
            match &row.href {
                Some(href) => push(
                    &mut table,
                    format_args!(
                        "<tr><td><a href=\"{}\"><bdi>{name}</bdi></a></td>",
                        Escaped(href)
                    ),
                ),
                None => push(&mut table, format_args!("<tr><td><bdi>{name}</bdi></td>")),
            }
            let (value, share) = (Grouped(row.value), Percent(row.value, self.whole()));
            push(
                &mut table,
                format_args!("<td class=\"num\">{value}</td><td class=\"num\">{share}</td>"),
            );
            if has_notes {
                let note = Escaped(row.note.as_deref().unwrap_or_default());
                push(&mut table, format_args!("<td>{note}</td>"));
            }
            table.push_str("</tr>");
        }
        table.push_str(CLOSE_TABLE);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::{Rank, Ranking, Share};
    use crate::console::chart::Tone;

    fn ranking(rows: &[(&str, u64)], share: Share) -> Ranking {
        let rank = |(name, value): &(&str, u64)| Rank {
            name: (*name).to_owned(),
            value: *value,
            note: None,
            href: None,
        };
        Ranking {
            label: "Steps".to_owned(),
            names: "Step".to_owned(),
            notes: "Median".to_owned(),
            rows: rows.iter().map(rank).collect(),
            share,
            tone: Tone::Info,
        }
    }

    #[test]
    fn says_that_there_is_nothing() {
        for rows in [&[][..], &[("signed up", 0)]] {
            let chart = ranking(rows, Share::OfFirst).draw("Nobody signed up.");
            assert!(chart.is_empty());
            assert_eq!(chart.svg, "<p class=\"empty\">Nobody signed up.</p>");
        }
    }

    #[test]
    fn tells_shares_of_the_first_or_of_all() {
        let rows = [("signed up", 200), ("approved", 50), ("active", 0)];
        let svg = ranking(&rows, Share::OfFirst).draw("-").svg;
        for text in [
            "200 · 100 %",
            "50 · 25 %",
            "0 · 0 %",
            "width=\"25%\"",
            "width=\"0%\"",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        let svg = ranking(&rows, Share::OfAll).draw("-").svg;
        assert!(
            svg.contains("200 · 80 %") && svg.contains("50 · 20 %"),
            "{svg}"
        );
    }

    #[test]
    fn cuts_and_escapes_names_and_keeps_them_whole_in_the_table() {
        let name = "<b>\u{202e}".repeat(20);
        let mut ranking = ranking(&[(&name, 1_204_331), ("b", 1)], Share::OfAll);
        ranking.rows[0].href = Some("/rules/\"x".to_owned());
        ranking.rows[0].note = Some("<i>".to_owned());
        let chart = ranking.draw("-");
        for text in [&chart.svg, &chart.table] {
            assert!(!text.contains("<b>") && !text.contains("<i>"), "{text}");
            assert!(text.contains(&"&lt;b&gt;\u{202e}".repeat(20)), "{text}");
            assert!(text.contains("href=\"/rules/&quot;x\""), "{text}");
            assert!(
                text.contains("1,204,331") && text.contains("under 0.1 %"),
                "{text}"
            );
        }
        assert!(chart.svg.contains("role=\"group\""));
        assert!(chart.svg.contains("…</text>"));
        assert!(chart.svg.contains("width=\"0.4%\""), "{}", chart.svg);
        assert!(chart.table.contains("<th scope=\"col\">Median</th>"));
    }
}
