//! `usher deliveries`: the requests that delivered entries, newest first.

use std::process::ExitCode;

use anyhow::Context;
use chrono::SecondsFormat;

use crate::api::render;
use crate::cli::listing::{Listing, Page, ReceivedArgs};
use crate::cli::record::{Record, or_stopped};
use crate::cli::{CliError, Output};
use crate::config::Environment;
use crate::journal::{Delivery, DeliveryFilter};

const HEADING: [&str; 9] = [
    "RECEIVED", "STATUS", "ENTRIES", "STORED", "KNOWN", "ASIDE", "BYTES", "FROM", "ID",
];

pub(super) async fn run(
    args: ReceivedArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let (from, to) = args.window()?;
    let record = Record::open(&args.common, environment).await?;
    let journal = record.journal().clone();
    let page = async |last: Option<&Delivery>, limit| {
        let after = last.map(|last| (last.batch_received_at, last.batch, last.place));
        let filter = DeliveryFilter {
            from,
            to,
            status_class: None,
            after,
        };
        let rows = journal.deliveries(&filter, limit).await;
        Ok(Page::of(rows.context("could not read deliveries")?, limit))
    };
    let listing = Listing::new(HEADING, Output::new(args.common.json));
    let listed = listing.show_newest(args.limit, page, |list, row| {
        list.put(|| render::delivery(row), || cells(row))
    });
    or_stopped(record.finish(listed).await?)?;
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &Delivery) -> [String; 9] {
    let request = &row.request;
    [
        request
            .received_at
            .to_rfc3339_opts(SecondsFormat::Millis, true),
        request.status.to_string(),
        request.received.to_string(),
        request.stored.to_string(),
        request.duplicates.to_string(),
        request.quarantined.to_string(),
        request.body_bytes.to_string(),
        request.peer.clone(),
        request.id.to_string(),
    ]
}
