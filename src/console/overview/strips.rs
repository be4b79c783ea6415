//! What is known of the time of each log, as the first page shows it: a line and a band.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::backfill::{REACH, SourceCoverage};
use crate::console::Console;
use crate::console::coverage::rows::Head;
use crate::console::coverage::{band, logs};
use crate::console::scope::Portals;
use crate::directory::Portal;

/// Logs that are shown, the worst first.
const MOST: usize = 8;

/// One log.
pub(super) struct LogStrip {
    pub(super) head: Head,
    /// The band of the last days, as markup.
    pub(super) svg: String,
}

/// The logs, and how many more there are.
pub(super) struct Strips {
    pub(super) logs: Vec<LogStrip>,
    pub(super) more: usize,
}

impl Strips {
    /// The logs that were read, with the names of these portals.
    pub(super) fn new(console: &Console, known: &[SourceCoverage], portals: &[Portal]) -> Self {
        let names: BTreeMap<Uuid, String> = portals
            .iter()
            .map(|portal| (portal.id.into(), portal.name.clone()))
            .collect();
        let portals = Portals::of(names);
        let strip = |known: &SourceCoverage| {
            let name = logs::name(&portals, known.status.source);
            let window = (known.now - REACH, known.now);
            let band = band::of(&known.within(window), &name, window);
            LogStrip {
                head: Head::new(console, known, name),
                svg: band.draw_bare(band::NOTHING),
            }
        };
        Self {
            logs: known.iter().take(MOST).map(strip).collect(),
            more: known.len().saturating_sub(MOST),
        }
    }
}
