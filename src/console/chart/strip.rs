//! What is known of a span of time: a band across, in which each stretch shows its state by height,
//! pattern and colour.

use chrono::{DateTime, TimeDelta, Utc};

use crate::console::chart::axis;
use crate::console::chart::markup::{CLOSE_TABLE, Escaped, Milli, open_table, push, push_mark};
use crate::console::chart::{Chart, Tone};

/// Pixels of the band, and below it for the labels.
const HEIGHT: u64 = 32;
const LABELS: u64 = 24;
/// Places across. The gravest state of a place is what it shows, so that no short stretch is
/// hidden, and the drawing stays small however many stretches there are.
const PLACES: u16 = 500;
/// Before the first and beyond the second, the label of a mark would leave the chart.
const FIRST_MARK: Milli = Milli(3_000);
const LAST_MARK: Milli = Milli(95_000);
/// Marks are no nearer to each other.
const LEAST: TimeDelta = TimeDelta::minutes(1);
/// Rows of the table at most.
const MOST_ROWS: usize = 200;

/// How a state is drawn, so that states differ without colour too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// A low band.
    Low,
    /// A low band of dots.
    Dots,
    /// Half as high as the chart.
    Half,
    /// Half as high, in long dashes.
    Dashes,
    /// Higher, in narrow stripes.
    Stripes,
    /// As high as the chart.
    Full,
}

impl Fill {
    const fn class(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Dots => "dots",
            Self::Half => "half",
            Self::Dashes => "dashes",
            Self::Stripes => "stripes",
            Self::Full => "full",
        }
    }

    /// Pixels, as the style sheet has them.
    const fn height(self) -> u64 {
        match self {
            Self::Low | Self::Dots => 8,
            Self::Half | Self::Dashes => 16,
            Self::Stripes => 24,
            Self::Full => HEIGHT,
        }
    }

    /// Where the middle of its band is.
    const fn middle(self) -> u64 {
        HEIGHT - self.height() / 2
    }
}

/// A state that stretches may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StripState {
    /// Its name.
    pub(crate) name: String,
    /// How long it lasts in all, in words.
    pub(crate) length: String,
    /// Its colour.
    pub(crate) tone: Tone,
    /// Its shape.
    pub(crate) fill: Fill,
}

/// A stretch of time with one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StripPiece {
    /// Where it begins.
    pub(crate) from: DateTime<Utc>,
    /// Where it ends, exclusive.
    pub(crate) to: DateTime<Utc>,
    /// The place of its state among the states.
    pub(crate) state: usize,
    /// How long it lasts, in words.
    pub(crate) length: String,
}

/// A span of time, made of stretches. Where there is none, nothing is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Strip {
    /// Of what it is.
    pub(crate) label: String,
    /// Its beginning.
    pub(crate) from: DateTime<Utc>,
    /// Its end.
    pub(crate) to: DateTime<Utc>,
    /// The states, the gravest last.
    pub(crate) states: Vec<StripState>,
    /// The stretches, the earliest first.
    pub(crate) pieces: Vec<StripPiece>,
}

impl Strip {
    /// The chart, with its legend and its axis; `nothing` is what it says where nothing is known.
    pub(crate) fn draw(&self, nothing: &str) -> Chart {
        if self.is_empty() {
            return Chart::empty(nothing);
        }
        let mut svg = self.legend();
        self.push_svg(&mut svg, true);
        Chart {
            svg,
            table: self.table(),
        }
    }

    /// The band alone, for beside words that say the same; `nothing` as for [`draw`](Self::draw).
    pub(crate) fn draw_bare(&self, nothing: &str) -> String {
        if self.is_empty() {
            return Chart::empty(nothing).svg;
        }
        let mut svg = String::new();
        self.push_svg(&mut svg, false);
        svg
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty() || self.from >= self.to
    }

    /// The states that occur, each with its place.
    fn occurring(&self) -> impl Iterator<Item = (usize, &StripState)> {
        let occurs = |place: usize| self.pieces.iter().any(|piece| piece.state == place);
        let states = self.states.iter().enumerate();
        states.filter(move |(place, _)| occurs(*place))
    }

    fn legend(&self) -> String {
        let mut legend = "<ul class=\"legend keys\">".to_owned();
        for (_, state) in self.occurring() {
            let (tone, fill) = (state.tone.class(), state.fill.class());
            let (name, length) = (Escaped(&state.name), Escaped(&state.length));
            push(
                &mut legend,
                format_args!(
                    "<li class=\"{tone}\"><svg class=\"strip key\" width=\"22\" height=\"16\" \
                     viewBox=\"0 0 44 {HEIGHT}\" aria-hidden=\"true\">\
                     <path class=\"{fill}\" d=\"M0 {}h44\"/></svg>{name}, {length}</li>",
                    state.fill.middle()
                ),
            );
        }
        legend.push_str("</ul>");
        legend
    }

    fn push_svg(&self, svg: &mut String, has_axis: bool) {
        let height = HEIGHT + if has_axis { LABELS } else { 0 };
        let told: Vec<String> = self
            .occurring()
            .map(|(_, state)| format!("{} {}", state.name, state.length))
            .collect();
        push(
            svg,
            format_args!(
                "<svg class=\"strip\" role=\"img\" height=\"{height}\" aria-label=\"{}: {}\">\
                 <svg width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 {PLACES} {HEIGHT}\" \
                 preserveAspectRatio=\"none\">",
                Escaped(&self.label),
                Escaped(&told.join(", ")),
            ),
        );
        let shapes = self.shapes();
        for (place, state) in self.occurring() {
            let (tone, fill) = (state.tone.class(), state.fill.class());
            let (name, length) = (Escaped(&state.name), Escaped(&state.length));
            let shape = shapes.get(place).map_or("", String::as_str);
            push(
                svg,
                format_args!(
                    "<path class=\"{tone} {fill}\" d=\"{shape}\">\
                     <title>{name}, {length}</title></path>"
                ),
            );
        }
        push(
            svg,
            format_args!(
                "</svg><line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/>"
            ),
        );
        if has_axis {
            self.push_times(svg);
        }
        svg.push_str("</svg>");
    }

    fn push_times(&self, svg: &mut String) {
        let span = millis(self.to - self.from);
        let marks = axis::times(self.from, self.to, LEAST);
        for (place, mark) in marks.into_iter().enumerate() {
            let x = Milli::part(100, millis(mark.at - self.from), span);
            if !(FIRST_MARK..=LAST_MARK).contains(&x) {
                continue;
            }
            push_mark(svg, (x, HEIGHT), place, &mark.label);
        }
    }

    /// For each state a line through the middle of each of its bands.
    fn shapes(&self) -> Vec<String> {
        let mut shapes = vec![String::new(); self.states.len()];
        let places = self.places();
        let mut begin = 0;
        for group in places.chunk_by(|one, other| one == other) {
            let state = group.first().copied().flatten();
            if let Some(state) = state
                && let (Some(shape), Some(known)) = (shapes.get_mut(state), self.states.get(state))
            {
                let y = known.fill.middle();
                push(shape, format_args!("M{begin} {y}h{}", group.len()));
            }
            begin += group.len();
        }
        shapes
    }

    /// The gravest state of each place.
    fn places(&self) -> Vec<Option<usize>> {
        let span = millis(self.to - self.from).max(1);
        let count = u64::from(PLACES);
        let mut places = vec![None; usize::from(PLACES)];
        for piece in &self.pieces {
            let first = millis(piece.from - self.from).saturating_mul(count) / span;
            let end = millis(piece.to - self.from).saturating_mul(count);
            let end = end.div_ceil(span).max(first + 1);
            let [first, end] = [first, end].map(|at| usize::try_from(at.min(count)).unwrap_or(0));
            for place in places.iter_mut().take(end).skip(first) {
                *place = (*place).max(Some(piece.state));
            }
        }
        places
    }

    fn table(&self) -> String {
        let heads = [
            ("From (UTC)", false),
            ("To (UTC)", false),
            ("Lasts", false),
            ("State", false),
        ];
        let mut table = open_table(&self.label, &heads);
        for piece in self.pieces.iter().take(MOST_ROWS) {
            let name = self.states.get(piece.state).map(|state| &state.name);
            let name = name.map_or("", String::as_str);
            push(
                &mut table,
                format_args!(
                    "<tr><td class=\"time\">{}</td><td class=\"time\">{}</td><td>{}</td><td>{}</td></tr>",
                    second(piece.from),
                    second(piece.to),
                    Escaped(&piece.length),
                    Escaped(name)
                ),
            );
        }
        if let Some(more) = self.pieces.len().checked_sub(MOST_ROWS)
            && more > 0
        {
            push(
                &mut table,
                format_args!(
                    "<tr><td colspan=\"4\">{more} more are not shown: shorten the time.</td></tr>"
                ),
            );
        }
        table.push_str(CLOSE_TABLE);
        table
    }
}

fn millis(span: TimeDelta) -> u64 {
    u64::try_from(span.num_milliseconds()).unwrap_or_default()
}

fn second(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{Fill, MOST_ROWS, Strip, StripPiece, StripState};
    use crate::console::chart::Tone;

    fn at(minutes: i64) -> DateTime<Utc> {
        "2026-11-24T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    /// A week with these stretches: minutes and state.
    fn week(pieces: &[(i64, i64, usize)]) -> Strip {
        let state = |(name, tone, fill): (&str, Tone, Fill)| StripState {
            name: name.to_owned(),
            length: "1 h".to_owned(),
            tone,
            fill,
        };
        let states = [
            ("covered", Tone::Ok, Fill::Low),
            ("settling", Tone::Muted, Fill::Dots),
            ("<missing>", Tone::Warn, Fill::Stripes),
        ];
        Strip {
            label: "<b>".to_owned(),
            from: at(0),
            to: at(7 * 24 * 60),
            states: states.map(state).into(),
            pieces: pieces
                .iter()
                .map(|(from, to, state)| StripPiece {
                    from: at(*from),
                    to: at(*to),
                    state: *state,
                    length: "1 h".to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn says_that_there_is_nothing() {
        let chart = week(&[]).draw("Nothing <yet>.");
        assert!(chart.is_empty());
        assert_eq!(chart.svg, "<p class=\"empty\">Nothing &lt;yet&gt;.</p>");
        assert_eq!(week(&[]).draw_bare("-"), "<p class=\"empty\">-</p>");
    }

    #[test]
    fn a_short_stretch_is_seen_and_what_is_not_known_is_empty() {
        // Two minutes of a week that begins a day after its window.
        let day = 24 * 60;
        let strip = week(&[
            (day, 3 * day, 0),
            (3 * day, 3 * day + 2, 2),
            (3 * day + 2, 7 * day, 0),
        ]);
        let places = strip.places();
        let of = |wanted| places.iter().filter(|place| **place == wanted).count();
        assert_eq!((of(Some(2)), of(None)), (1, 71));
        assert_eq!(of(Some(0)), 500 - 72);
        let shapes = strip.shapes();
        assert_eq!(shapes[2], "M214 20h1");
        assert_eq!(shapes[0], "M71 28h143M215 28h285");
        assert_eq!(shapes[1], "");
    }

    #[test]
    fn states_differ_in_more_than_colour_and_texts_are_escaped() {
        let chart = week(&[(0, 60, 0), (60, 120, 2)]).draw("-");
        for text in [
            "<path class=\"tone-ok low\"",
            "<path class=\"tone-warn stripes\"",
            "&lt;missing&gt;, 1 h</li>",
            "aria-label=\"&lt;b&gt;: covered 1 h, &lt;missing&gt; 1 h\"",
            ">25 Nov</text>",
        ] {
            assert!(chart.svg.contains(text), "{text}: {}", chart.svg);
        }
        assert!(!chart.svg.contains("settling"), "{}", chart.svg);
        assert!(!chart.svg.contains("<b>"), "{}", chart.svg);
        let row = "<td class=\"time\">2026-11-24 01:00:00</td>\
                   <td class=\"time\">2026-11-24 02:00:00</td><td>1 h</td><td>&lt;missing&gt;</td>";
        assert!(chart.table.contains(row), "{}", chart.table);
        let bare = week(&[(0, 60, 0)]).draw_bare("-");
        assert!(
            !bare.contains("<text") && !bare.contains("legend"),
            "{bare}"
        );
    }

    #[test]
    fn the_drawing_and_the_table_are_bounded() {
        let all: Vec<_> = (0..10_000).map(|one| (one, one + 1, 0)).collect();
        let chart = week(&all).draw("-");
        assert_eq!(
            chart.table.matches("<td class=\"time\">").count(),
            2 * MOST_ROWS
        );
        assert!(chart.table.contains("9800 more are not shown"));
        let apart = (0..504).map(|one| (20 * one, 20 * one + 20, usize::from(one % 2 == 0) * 2));
        let apart: Vec<_> = apart.collect();
        assert!(week(&apart).draw("-").svg.len() < 12_000);
    }
}
