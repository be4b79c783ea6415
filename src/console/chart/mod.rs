//! Charts as SVG: pure functions from numbers to markup. It knows no database, no clock and no
//! other room; whoever has the numbers gives them.
//!
//! Every chart comes with the table of the same numbers, for those who cannot see the picture. The
//! markup has classes and no styles, so that the strict policy of the pages holds; the style sheet
//! of the console gives the colours. Lengths across are percentages and lengths down are pixels:
//! bars stretch with the page, and texts keep their size at every width.

mod axis;
mod markup;
mod ranking;
mod sparkline;
mod stacked_bars;
mod strip;

pub(crate) use ranking::{Rank, Ranking, Share};
pub(crate) use sparkline::Sparkline;
pub(crate) use stacked_bars::{Series, StackedBars};
pub(crate) use strip::{Fill, Strip, StripPiece, StripState};

/// A picture and the table behind it, both ready to be put into a page as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chart {
    /// An `<svg>`, with its legend where it has one. Every text in it is escaped.
    pub(crate) svg: String,
    /// A `<div class="scroll">` with the `<table>` of the numbers. Every text in it is escaped.
    pub(crate) table: String,
}

impl Chart {
    /// What stands where nothing was counted: a sentence for the reader, and no table.
    fn empty(sentence: &str) -> Self {
        Self {
            svg: format!("<p class=\"empty\">{}</p>", markup::Escaped(sentence)),
            table: String::new(),
        }
    }

    /// Whether there was nothing to draw, so that a page leaves out the fold with the table.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// What a colour says. A chart never says anything by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Good: success, verified, done.
    Ok,
    /// To be looked at: parked, key unknown.
    Warn,
    /// Bad: failure, refused.
    Bad,
    /// Neither good nor bad.
    Info,
    /// Unknown, or the rest.
    Muted,
}

impl Tone {
    /// The class that gives a shape its colour.
    const fn class(self) -> &'static str {
        match self {
            Self::Ok => "tone-ok",
            Self::Warn => "tone-warn",
            Self::Bad => "tone-bad",
            Self::Info => "tone-info",
            Self::Muted => "tone-muted",
        }
    }
}
