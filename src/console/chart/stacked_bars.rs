//! Counts over time: a bar for each stretch of time, made of its series one upon the other.

use chrono::{DateTime, TimeDelta, Utc};

use crate::console::chart::axis;
use crate::console::chart::markup::{
    CLOSE_TABLE, Escaped, Grouped, Milli, Short, open_table, push, push_mark,
};
use crate::console::chart::{Chart, Tone};

/// Bars at most: more would be thinner than a hair on a small screen, and a heavy page. Steps are
/// joined instead.
const MOST_BARS: i64 = 120;
/// Pixels down to the highest mark, from there to the base line, and below it for the labels.
const TOP: u64 = 8;
const HEIGHT: u64 = 160;
const LABELS: u64 = 24;
/// The units across that the drawing has for each bar.
const SLOT: u64 = 50;
/// Bars at most that have a gap beside them.
const GAPS: u64 = 90;
/// Per cent of the width: the most that a bar takes.
const WIDEST: u64 = 8;
/// Beyond it, the label of a mark would leave the chart.
const LAST_MARK: Milli = Milli(95_000);
/// Thousandths of a pixel: the least that a count above zero takes, so that it is seen.
const LEAST: u64 = 2_000;

/// What is stacked in each bar: the first lies at the bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    /// Its name in the legend and the table.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) tone: Tone,
}

/// Bars over a span of time in equal steps. Steps without a count stand as nothing.
#[derive(Debug, Clone)]
pub(crate) struct StackedBars {
    label: String,
    series: Vec<Series>,
    from: DateTime<Utc>,
    step: TimeDelta,
    bars: Vec<Bar>,
}

/// One step of the span.
#[derive(Debug, Clone)]
struct Bar {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    values: Vec<u64>,
    href: Option<String>,
}

impl StackedBars {
    /// Bars without counts from `from` to `to`, one for each `step`. Where that makes too many,
    /// several steps are joined. `label` says what is counted.
    pub(crate) fn new(
        label: &str,
        series: Vec<Series>,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        step: TimeDelta,
    ) -> Self {
        let span = (to - from).num_milliseconds().max(0);
        let millis = joined(span, step.num_milliseconds().max(1));
        let step = TimeDelta::milliseconds(millis);
        let count = pieces(span, millis);
        let bar = |at: i64| {
            let from = from + TimeDelta::milliseconds(at * millis);
            Bar {
                from,
                to: from
                    .checked_add_signed(step)
                    .unwrap_or(DateTime::<Utc>::MAX_UTC),
                values: vec![0; series.len()],
                href: None,
            }
        };
        let bars = (0..count).map(bar).collect();
        Self {
            label: label.to_owned(),
            series,
            from,
            step,
            bars,
        }
    }

    /// Adds a count to the bar of a time. What lies outside of the span is not drawn.
    pub(crate) fn add(&mut self, at: DateTime<Utc>, series: usize, count: u64) {
        if at < self.from {
            return;
        }
        let place = (at - self.from).num_milliseconds() / self.step.num_milliseconds();
        let bar = usize::try_from(place).ok();
        let bar = bar.and_then(|place| self.bars.get_mut(place));
        if let Some(value) = bar.and_then(|bar| bar.values.get_mut(series)) {
            *value = value.saturating_add(count);
        }
    }

    /// Makes each bar a link to what is told for its start and end.
    pub(crate) fn linked(mut self, href: impl Fn(DateTime<Utc>, DateTime<Utc>) -> String) -> Self {
        for bar in &mut self.bars {
            bar.href = Some(href(bar.from, bar.to));
        }
        self
    }

    /// The chart; `nothing` is what it says where nothing was counted.
    pub(crate) fn draw(&self, nothing: &str) -> Chart {
        if self.bars.iter().all(|bar| bar.total() == 0) {
            return Chart::empty(nothing);
        }
        Chart {
            svg: self.svg(),
            table: self.table(),
        }
    }

    fn svg(&self) -> String {
        let most = self.bars.iter().map(Bar::total).max().unwrap_or_default();
        let marks = axis::counts(most);
        let top = marks.last().copied().unwrap_or_default();
        let is_linked = self.bars.iter().any(|bar| bar.href.is_some());
        // What has the role of an image must not have links in it.
        let role = if is_linked { "group" } else { "img" };
        let total = self
            .bars
            .iter()
            .fold(0, |sum: u64, bar| sum.saturating_add(bar.total()));
        let mut svg = self.legend();
        push(
            &mut svg,
            format_args!(
                "<svg class=\"bars\" role=\"{role}\" height=\"{}\" aria-label=\"{}: {} in all, at most {} in one bar\">",
                TOP + HEIGHT + LABELS,
                Escaped(&self.label),
                Grouped(total),
                Grouped(most),
            ),
        );
        for mark in &marks {
            let y = Milli((TOP + HEIGHT) * 1000 - Milli::part(HEIGHT, *mark, top).0);
            let class = if *mark == 0 { "base" } else { "grid" };
            push(
                &mut svg,
                format_args!(
                    "<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
                     <text x=\"-7\" y=\"{y}\" dy=\"0.33em\" text-anchor=\"end\">{}</text>",
                    Short(*mark)
                ),
            );
        }
        self.push_times(&mut svg);
        self.push_bars(&mut svg, top);
        svg.push_str("</svg>");
        svg
    }

    fn legend(&self) -> String {
        let mut legend = "<ul class=\"legend\">".to_owned();
        for series in &self.series {
            let (tone, name) = (series.tone.class(), Escaped(&series.name));
            push(
                &mut legend,
                format_args!("<li class=\"{tone}\">{name}</li>"),
            );
        }
        legend.push_str("</ul>");
        legend
    }

    fn push_times(&self, svg: &mut String) {
        let to = self.bars.last().map_or(self.from, |bar| bar.to);
        let millis = |time: TimeDelta| u64::try_from(time.num_milliseconds()).unwrap_or_default();
        let (base, span) = (TOP + HEIGHT, millis(to - self.from));
        for (place, mark) in axis::times(self.from, to, self.step)
            .into_iter()
            .enumerate()
        {
            let x = Milli::part(100, millis(mark.at - self.from), span);
            if x > LAST_MARK {
                break;
            }
            push_mark(svg, (x, base), place, &mark.label);
        }
    }

    /// Every bar, in a drawing of its own that is stretched across: one shape a series, which keeps
    /// the page small, and over them an area for each bar, which tells its counts.
    fn push_bars(&self, svg: &mut String, top: u64) {
        let count = u64::try_from(self.bars.len()).unwrap_or(u64::MAX);
        push(
            svg,
            format_args!(
                "<svg y=\"{TOP}\" width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 {} {HEIGHT}\" \
                 preserveAspectRatio=\"none\">",
                count.saturating_mul(SLOT)
            ),
        );
        for (series, shape) in self.series.iter().zip(self.shapes(count, top)) {
            if !shape.is_empty() {
                let tone = series.tone.class();
                push(svg, format_args!("<path class=\"{tone}\" d=\"{shape}\"/>"));
            }
        }
        for (slot, bar) in (0..).zip(&self.bars) {
            push_area(svg, slot * SLOT, bar, &self.title(bar));
        }
        svg.push_str("</svg>");
    }

    /// For each series the outline of its part of every bar.
    fn shapes(&self, count: u64, top: u64) -> Vec<String> {
        // Where bars are thin, a gap beside each would only make them pale.
        let filled = if count > GAPS { SLOT } else { SLOT * 4 / 5 };
        let width = filled.min(count.saturating_mul(SLOT) * WIDEST / 100);
        let mut shapes = vec![String::new(); self.series.len()];
        for (slot, bar) in (0..).zip(&self.bars) {
            let x = slot * SLOT + (SLOT - width) / 2;
            let mut y = HEIGHT * 1000;
            for (shape, value) in shapes.iter_mut().zip(&bar.values) {
                if *value == 0 {
                    continue;
                }
                let height = Milli::part(HEIGHT, *value, top).0 / 100 * 100;
                let height = height.max(LEAST);
                y = y.saturating_sub(height);
                let (y, height) = (Milli(y), Milli(height));
                push(shape, format_args!("M{x} {y}h{width}v{height}h-{width}z"));
            }
        }
        shapes
    }

    /// A bar in words.
    fn title(&self, bar: &Bar) -> String {
        let mut title = format!("{} to {} UTC: ", minute(bar.from), minute(bar.to));
        let parts = self.series.iter().zip(&bar.values);
        let parts = parts.map(|(series, value)| format!("{} {}", Grouped(*value), series.name));
        title.push_str(&parts.collect::<Vec<_>>().join(", "));
        title
    }

    /// The counts; times without any are left out.
    fn table(&self) -> String {
        let mut heads = vec![("From (UTC)", false)];
        heads.extend(
            self.series
                .iter()
                .map(|series| (series.name.as_str(), true)),
        );
        heads.push(("In all", true));
        let mut table = open_table(&self.label, &heads);
        for bar in self.bars.iter().filter(|bar| bar.total() > 0) {
            let time = minute(bar.from);
            table.push_str("<tr><td class=\"time\">");
            match &bar.href {
                Some(href) => push(
                    &mut table,
                    format_args!("<a href=\"{}\">{time}</a></td>", Escaped(href)),
                ),
                None => push(&mut table, format_args!("{time}</td>")),
            }
            for value in bar.values.iter().copied().chain([bar.total()]) {
                let value = Grouped(value);
                push(&mut table, format_args!("<td class=\"num\">{value}</td>"));
            }
            table.push_str("</tr>");
        }
        table.push_str(CLOSE_TABLE);
        table
    }
}

impl Bar {
    fn total(&self) -> u64 {
        let values = self.values.iter();
        values.fold(0, |sum, value| sum.saturating_add(*value))
    }
}

/// The area of a bar, over its whole height: it tells the counts, and leads where the bar leads.
fn push_area(svg: &mut String, x: u64, bar: &Bar, title: &str) {
    let close = if let Some(href) = &bar.href {
        // The table has the same links for the keyboard: a stop for each bar is too many.
        let (href, time) = (Escaped(href), minute(bar.from));
        push(
            svg,
            format_args!("<a href=\"{href}\" tabindex=\"-1\" aria-label=\"{time}\">"),
        );
        "</a>"
    } else {
        svg.push_str("<g>");
        "</g>"
    };
    let title = Escaped(title);
    push(
        svg,
        format_args!(
            "<title>{title}</title>\
             <rect class=\"hit\" x=\"{x}\" width=\"{SLOT}\" height=\"{HEIGHT}\"/>{close}"
        ),
    );
}

/// The step that makes few enough bars of a span: a round multiple of the one given, so that hours
/// become days and weeks.
fn joined(span: i64, step: i64) -> i64 {
    let round = [1, 2, 3, 4, 6, 12, 24, 48, 168];
    let doubled = std::iter::successors(Some(336), |factor: &i64| factor.checked_mul(2));
    let mut steps = round
        .into_iter()
        .chain(doubled)
        .map(|factor| step.saturating_mul(factor));
    steps
        .find(|step| pieces(span, *step) <= MOST_BARS)
        .unwrap_or(i64::MAX)
}

/// How many steps cover a span.
const fn pieces(span: i64, step: i64) -> i64 {
    span / step + (span % step != 0) as i64
}

/// A time to the minute, or to the second where it has any.
fn minute(at: DateTime<Utc>) -> String {
    let is_whole = at.timestamp() % 60 == 0;
    let form = if is_whole {
        "%Y-%m-%d %H:%M"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    at.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Series, StackedBars};
    use crate::console::chart::Tone;
    use chrono::{DateTime, TimeDelta, Utc};

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    fn bars(hours: i64) -> StackedBars {
        let series = [("success", Tone::Ok), ("<failure>", Tone::Bad)];
        let series = series.map(|(name, tone)| Series {
            name: name.to_owned(),
            tone,
        });
        let from = at("2026-11-30T00:00:00Z");
        let span = (from, from + TimeDelta::hours(hours));
        StackedBars::new("Events & more", series.into(), span, TimeDelta::hours(1))
    }

    #[test]
    fn says_that_there_is_nothing() {
        for chart in [bars(0).draw("No <event>."), bars(24).draw("No <event>.")] {
            assert!(chart.is_empty());
            assert_eq!(chart.svg, "<p class=\"empty\">No &lt;event&gt;.</p>");
        }
    }

    #[test]
    fn escapes_names_labels_and_links() {
        let mut bars = bars(2);
        bars.add(at("2026-11-30T01:30:00Z"), 1, 3);
        let bars = bars.linked(|from, _| format!("/events?a=\"&from={}", from.timestamp()));
        let chart = bars.draw("-");
        for text in [&chart.svg, &chart.table] {
            assert!(text.contains("&lt;failure&gt;"), "{text}");
            assert!(!text.contains("<failure>"), "{text}");
            assert!(text.contains("Events &amp; more"), "{text}");
            assert!(
                text.contains("href=\"/events?a=&quot;&amp;from=1796"),
                "{text}"
            );
            assert!(!text.contains("style="), "{text}");
        }
        assert!(chart.svg.contains("role=\"group\""));
    }

    #[test]
    fn puts_counts_into_their_bars() {
        let mut bars = bars(3);
        for (time, series, count) in [
            ("2026-11-29T23:59:59Z", 0, 1_000),
            ("2026-11-30T00:00:00Z", 0, 1),
            ("2026-11-30T00:59:59Z", 0, 2),
            ("2026-11-30T02:00:00Z", 1, 5),
            ("2026-11-30T02:00:00Z", 2, 1_000),
            ("2026-11-30T03:00:00Z", 0, 1_000),
        ] {
            bars.add(at(time), series, count);
        }
        let counts: Vec<&[u64]> = bars.bars.iter().map(|bar| bar.values.as_slice()).collect();
        assert_eq!(counts, [[3, 0], [0, 0], [0, 5]]);
        let chart = bars.draw("-");
        assert!(chart.svg.contains("role=\"img\" height=\"192\" aria-label=\"Events &amp; more: 8 in all, at most 5 in one bar\""));
        assert!(chart.svg.contains(
            "<title>2026-11-30 02:00 to 2026-11-30 03:00 UTC: 0 success, 5 &lt;failure&gt;</title>"
        ));
        // Five of five: the whole height.
        assert!(
            chart
                .svg
                .contains("<path class=\"tone-bad\" d=\"M119 0h12v160h-12z\"/>"),
            "{}",
            chart.svg
        );
        assert!(chart.table.contains(
            "<td class=\"time\">2026-11-30 02:00</td><td class=\"num\">0</td><td class=\"num\">5</td>\
             <td class=\"num\">5</td>"
        ));
    }

    #[test]
    fn draws_one_bar_narrow_and_small_counts_beside_huge_ones() {
        let mut bars = bars(1);
        bars.add(at("2026-11-30T00:00:00Z"), 0, 1_204_331);
        bars.add(at("2026-11-30T00:00:00Z"), 1, 1);
        let svg = bars.draw("-").svg;
        assert!(svg.contains("d=\"M23 31.6h4v128.4h-4z\""), "{svg}");
        assert!(svg.contains("d=\"M23 29.6h4v2h-4z\""), "{svg}");
        assert!(svg.contains(">1.5 M</text>"), "{svg}");
        assert!(svg.contains("1,204,332 in all"), "{svg}");
    }

    #[test]
    fn adds_the_most_that_there_is() {
        let mut bars = bars(1);
        for series in [0, 0, 1] {
            bars.add(at("2026-11-30T00:00:00Z"), series, u64::MAX);
        }
        assert!(bars.draw("-").svg.contains("18.44 E"));
    }

    #[test]
    fn joins_steps_where_there_are_too_many() {
        for (hours, step, count) in [(120, 1, 120), (168, 2, 84), (400 * 24, 168, 58)] {
            let bars = bars(hours);
            assert_eq!(bars.step, TimeDelta::hours(step));
            assert_eq!(bars.bars.len(), count);
        }
    }

    #[test]
    fn draws_all_of_time() {
        let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        for span in [(first, last), (last, first), (last, last)] {
            let mut bars = StackedBars::new("x", bars(1).series, span, TimeDelta::hours(1));
            bars.add(first, 0, 1);
            bars.add(last, 0, 1);
            assert_eq!(bars.draw("-").is_empty(), span.0 >= span.1);
        }
    }

    #[test]
    fn is_a_light_part_of_a_page() {
        let mut bars = bars(120);
        for hour in 0..120 {
            for series in 0..2 {
                let time = at("2026-11-30T00:00:00Z") + TimeDelta::hours(hour);
                bars.add(time, series, 1_204_331);
            }
        }
        let chart = bars.draw("-");
        assert!(chart.svg.len() < 30_000, "{}", chart.svg.len());
        assert!(chart.table.len() < 20_000, "{}", chart.table.len());
    }
}
