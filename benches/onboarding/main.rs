//! The bench of onboarding: how soon ten thousand who wait are decided about, and how soon a hint
//! leads to a deed. It also shows how long people wait during a replay of old entries.

mod scene;

use std::io::Write as _;

use anyhow::Result;
use clap::Parser;
use scene::{Scene, quantile};
use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use usher::clock::{Clock, Ids};

/// Measures onboarding. Run it by `make bench ARGS=onboarding`, which brings the Postgres.
#[derive(Debug, Parser)]
struct Arguments {
    /// Everything small: does it run; its figures mean little
    #[arg(long)]
    quick: bool,
    /// URL of a throw-away server; databases are made on it
    #[arg(long)]
    postgres: String,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments {
        quick, postgres, ..
    } = Arguments::parse();
    let (newcomers, hints, crowd, old) = if quick {
        (1_000, 5, 10_000, 100_000)
    } else {
        (10_000, 100, 100_000, 2_000_000)
    };
    progress(&format!("{newcomers} newcomers"));
    let mut scene = Scene::set(&database(&postgres).await?, newcomers).await?;
    let answered = scene.newcomers(newcomers).await?;
    let memory = scene.peak_memory()?;
    progress(&format!("{answered:?}; {hints} hints"));
    let times = hints;
    let hints = scene.hints(times).await?;
    progress(&format!("{crowd} behind a limit"));
    scene.crowd(crowd).await?;
    let crowded = scene.hints(times.min(20)).await?;
    scene.strike().await?;
    progress(&format!("{old} old entries"));
    let mut scene = Scene::set(&database(&postgres).await?, 0).await?;
    let flooded = scene.flood(old).await?;
    let (flood_memory, owed) = (scene.peak_memory()?, scene.owed().await?);
    scene.strike().await?;
    let object = json!({
        "newcomers": newcomers,
        "decided_ms": answered.decided.as_millis(),
        "done_ms": answered.done.as_millis(),
        "peak_memory_bytes": memory,
        "hints": hints.len(),
        "hint_p50_ms": quantile(&hints, 50).as_millis(),
        "hint_p99_ms": quantile(&hints, 99).as_millis(),
        "crowd": crowd,
        "crowd_hint_p50_ms": quantile(&crowded, 50).as_millis(),
        "crowd_hint_p99_ms": quantile(&crowded, 99).as_millis(),
        "old_entries": old,
        "old_entries_per_second": flooded.rate,
        "people": flooded.waits.len(),
        "people_p50_ms": quantile(&flooded.waits, 50).as_millis(),
        "people_p99_ms": quantile(&flooded.waits, 99).as_millis(),
        "owed_at_the_end": owed,
        "flood_peak_memory_bytes": flood_memory,
    });
    writeln!(std::io::stdout(), "{object}")?;
    Ok(())
}

/// Makes an empty database on the server.
async fn database(server: &str) -> Result<String> {
    let options: PgConnectOptions = server.parse()?;
    let name = format!("bench_{}", Ids::new(Clock::system()).next().simple());
    let mut connection = options.connect().await?;
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(&create).execute(&mut connection).await?;
    let mut url: url::Url = server.parse()?;
    url.set_path(&name);
    Ok(url.into())
}

fn progress(text: &str) {
    writeln!(std::io::stderr(), "bench: {text}").expect("stderr can be written");
}
