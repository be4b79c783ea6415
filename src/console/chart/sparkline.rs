//! A course of counts in one small line, for beside a number.

use crate::console::chart::Chart;
use crate::console::chart::markup::{CLOSE_TABLE, Escaped, Grouped, Milli, open_table, push};

/// The height of the drawing; its width is 100. Both are stretched to the place that it has.
const HEIGHT: u64 = 24;
/// Room for the width of the line above and below.
const MARGIN: u64 = 2;

/// Counts in the order of time.
#[derive(Debug, Clone)]
pub(crate) struct Sparkline {
    /// What is counted.
    pub(crate) label: String,
    /// Each count with the name of its time.
    pub(crate) points: Vec<(String, u64)>,
}

impl Sparkline {
    /// The line; `nothing` is what it says where there is no point.
    pub(crate) fn draw(&self, nothing: &str) -> Chart {
        let Some((_, last)) = self.points.last() else {
            return Chart::empty(nothing);
        };
        Chart {
            svg: self.svg(*last),
            table: self.table(),
        }
    }

    fn svg(&self, last: u64) -> String {
        let values = || self.points.iter().map(|(_, value)| *value);
        let most = values().max().unwrap_or_default();
        let lowest = values().min().unwrap_or_default();
        let steps = u64::try_from(self.points.len() - 1).unwrap_or(u64::MAX);
        let height = |value| {
            let room = HEIGHT - 2 * MARGIN;
            Milli((HEIGHT - MARGIN) * 1000 - Milli::part(room, value, most).0)
        };
        let mut line = String::new();
        for (place, value) in (0..).zip(values()) {
            let x = Milli::part(100, place, steps);
            let letter = if place == 0 { 'M' } else { 'L' };
            push(&mut line, format_args!("{letter}{x} {}", height(value)));
        }
        if steps == 0 {
            line.push_str("H100");
        }
        let (label, end) = (Escaped(&self.label), height(last));
        let (last, lowest, most) = (Grouped(last), Grouped(lowest), Grouped(most));
        format!(
            "<svg class=\"spark\" role=\"img\" viewBox=\"0 0 100 {HEIGHT}\" preserveAspectRatio=\"none\" \
             aria-label=\"{label}: {last} at last, from {lowest} to {most}\">\
             <path class=\"area\" d=\"{line}V{HEIGHT}H0Z\"/><path class=\"line\" d=\"{line}\"/>\
             <path class=\"end\" d=\"M100 {end}h0\"/></svg>"
        )
    }

    fn table(&self) -> String {
        let mut table = open_table(&self.label, &[("Time (UTC)", false), ("Count", true)]);
        for (name, value) in &self.points {
            let (name, value) = (Escaped(name), Grouped(*value));
            push(
                &mut table,
                format_args!(
                    "<tr><td class=\"time\">{name}</td><td class=\"num\">{value}</td></tr>"
                ),
            );
        }
        table.push_str(CLOSE_TABLE);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::Sparkline;

    fn line(values: &[u64]) -> Sparkline {
        let point = |value: &u64| ("<1 Dec>".to_owned(), *value);
        Sparkline {
            label: "Events & more".to_owned(),
            points: values.iter().map(point).collect(),
        }
    }

    #[test]
    fn says_that_there_is_nothing() {
        let chart = line(&[]).draw("No day yet.");
        assert!(chart.is_empty());
        assert_eq!(chart.svg, "<p class=\"empty\">No day yet.</p>");
    }

    #[test]
    fn scales_from_zero_to_the_most() {
        let chart = line(&[0, 50, 1_200_000]).draw("-");
        assert!(
            chart.svg.contains("d=\"M0 22L50 22L100 2\""),
            "{}",
            chart.svg
        );
        assert!(
            chart
                .svg
                .contains("Events &amp; more: 1,200,000 at last, from 0 to 1,200,000")
        );
        assert!(
            chart
                .table
                .contains("<td class=\"time\">&lt;1 Dec&gt;</td>")
        );
    }

    #[test]
    fn draws_one_point_and_zeros_as_a_flat_line() {
        assert!(line(&[7]).draw("-").svg.contains("d=\"M0 2H100\""));
        assert!(line(&[0, 0]).draw("-").svg.contains("d=\"M0 22L100 22\""));
    }
}
