//! What `usher setup` can be told.

use std::time::Duration;

use clap::Args;
use url::Url;
use uuid::Uuid;

use crate::cli::Common;
use crate::cli::ids::id;
use crate::cli::konnect_args::KonnectArgs;
use crate::cli::setup::endpoint::parse_public_url;
use crate::config::parse_span;

/// Arguments of `usher setup`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, Args)]
pub(in crate::cli) struct SetupArgs {
    /// The portal [default: the one of `konnect.portals`, or that the token sees]
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(super) portal: Option<Uuid>,
    /// The organisation's own log of this region, instead of a portal's
    #[arg(long, conflicts_with = "portal")]
    pub(super) org: bool,
    /// Where Konnect reaches usher; without a path it gets `ingest.path`
    #[arg(
        long,
        value_name = "URL",
        value_parser = parse_public_url,
        required_unless_present_any = ["remove", "rotate"]
    )]
    pub(super) public_url: Option<Url>,
    /// Wait so long for the first delivery, or for the first with a new secret
    #[arg(
        long,
        value_name = "TIME",
        value_parser = parse_span,
        num_args = 0..=1,
        default_missing_value = "60s"
    )]
    pub(super) wait: Option<Duration>,
    /// Only say what would be changed; exits 3 when something would
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Change the secret that Konnect sends, without losing a delivery
    #[arg(long)]
    pub(super) rotate: bool,
    /// For how long the former secret must be unused before it is dropped
    #[arg(
        long,
        value_name = "TIME",
        value_parser = parse_span,
        default_value = "45s",
        requires = "rotate"
    )]
    pub(super) drop_after: Duration,
    /// Turn the webhook off and delete the destination
    #[arg(long, conflicts_with_all = ["rotate", "wait", "public_url"])]
    pub(super) remove: bool,
    /// Take the webhook from another destination without asking
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) reach: KonnectArgs,
    #[command(flatten)]
    pub(super) common: Common,
}
