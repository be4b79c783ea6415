//! The time of a log as a chart. A loss that is acknowledged is drawn as a state of its own.

use chrono::{DateTime, TimeDelta, Utc};

use crate::backfill::{SourceCoverage, Stretch, StretchState};
use crate::console::chart::{Fill, Strip, StripPiece, StripState, Tone};
use crate::console::show::length;

/// What a chart says where no time of the log is in the window.
pub(in crate::console) const NOTHING: &str =
    "The account of this log begins after this time, or the time is yet to come.";

/// What is drawn, the gravest last.
const STATES: [(&str, Tone, Fill); 6] = [
    ("covered", Tone::Ok, Fill::Low),
    ("settling", Tone::Muted, Fill::Dots),
    ("lost, acknowledged", Tone::Muted, Fill::Half),
    ("replaying", Tone::Info, Fill::Dashes),
    ("missing", Tone::Warn, Fill::Stripes),
    ("lost", Tone::Bad, Fill::Full),
];

/// The place of a stretch among the states.
fn place(stretch: &Stretch) -> usize {
    match stretch.state {
        StretchState::Covered => 0,
        StretchState::Settling => 1,
        StretchState::Lost if !stretch.is_open_loss() => 2,
        StretchState::Replaying => 3,
        StretchState::Missing => 4,
        StretchState::Lost => 5,
    }
}

/// The chart of a log, whose stretches are those of the window.
pub(in crate::console) fn of(
    known: &SourceCoverage,
    name: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Strip {
    let states = STATES.iter().enumerate().map(|(at, (name, tone, fill))| {
        let stretches = known.stretches.iter();
        let of_it = stretches.filter(|stretch| place(stretch) == at);
        StripState {
            name: (*name).to_owned(),
            length: length(of_it.map(Stretch::length).sum::<TimeDelta>()),
            tone: *tone,
            fill: *fill,
        }
    });
    let piece = |stretch: &Stretch| StripPiece {
        from: stretch.from,
        to: stretch.to,
        state: place(stretch),
        length: length(stretch.length()),
    };
    Strip {
        label: format!("Time of {name}"),
        from,
        to,
        states: states.collect(),
        pieces: known.stretches.iter().map(piece).collect(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{STATES, place};
    use crate::backfill::{Stretch, StretchState};
    use crate::journal::Acknowledgement;

    #[test]
    fn a_state_has_its_name_and_an_acknowledged_loss_another() {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let stretch = |state| Stretch {
            from: at,
            to: at + TimeDelta::hours(1),
            state,
            reasons: Vec::new(),
            job: None,
            acknowledged: None,
        };
        for state in [
            StretchState::Covered,
            StretchState::Settling,
            StretchState::Replaying,
            StretchState::Missing,
            StretchState::Lost,
        ] {
            assert_eq!(STATES[place(&stretch(state))].0, state.as_str());
        }
        let acknowledged = Stretch {
            acknowledged: Some(Acknowledgement {
                from: at,
                to: at + TimeDelta::hours(1),
                who: "ada".to_owned(),
                reason: "known".to_owned(),
            }),
            ..stretch(StretchState::Lost)
        };
        assert_eq!(STATES[place(&acknowledged)].0, "lost, acknowledged");
    }
}
