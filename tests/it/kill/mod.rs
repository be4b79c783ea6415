//! What survives the end of the process: the real binary is killed at every moment that matters,
//! asked to stop, and started with settings that cannot be. On real Postgres, Apache Kafka and
//! HTTP.

mod deeds;
mod starts_and_stops;
mod under_load;

use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);
