//! The bench of reports: how long questions take, and how fast all is counted again. The journal
//! has twenty million events over ninety days with twenty thousand people.

mod measure;
mod overview;
mod pages;
#[expect(dead_code, reason = "the end-to-end bench needs all of it")]
#[path = "../serving/process.rs"]
mod process;
mod scene;
mod search;
#[path = "../serving/served.rs"]
mod served;

use std::io::Write as _;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};
use serde_json::{Value, json};

use measure::{Extent, Part, measure};
use scene::Scene;

const EXTENT: Extent = Extent {
    times: 10,
    pages: 999,
    exported: 1_000_000,
};

/// Measures reports. Run it by `make bench ARGS=reports`, which brings the Postgres.
#[derive(Debug, Parser)]
struct Arguments {
    /// Everything small: does it run; its figures mean little
    #[arg(long)]
    quick: bool,
    /// Events in the record
    #[arg(long)]
    events: Option<i64>,
    /// URL of a throw-away server; a database is made on it
    #[arg(long)]
    postgres: String,
    /// Database that is made and left there, or, if it is there, taken as an earlier run filled it
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// Only this, and not all of it; may be given again
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (events, people) = if arguments.quick {
        (200_000, 2_000)
    } else {
        (20_000_000, 20_000)
    };
    let events = arguments.events.unwrap_or(events);
    let parts = if arguments.only.is_empty() {
        Part::value_variants().to_vec()
    } else {
        arguments.only
    };
    let scene = Scene::set(&arguments.postgres, arguments.keep, events, people).await?;
    let mut measured = measure(&scene, EXTENT, &parts).await?;
    if parts.contains(&Part::Pages) {
        let pages = pages::measure(&scene, EXTENT).await?;
        measured.insert("pages".to_owned(), pages);
    }
    measured.insert("people".to_owned(), json!(people));
    writeln!(std::io::stdout(), "{}", Value::Object(measured))?;
    scene.strike().await
}
