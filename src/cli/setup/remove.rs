//! `usher setup --remove`: leaves nothing of usher in Konnect, and touches nobody else's.

use std::process::ExitCode;

use anyhow::anyhow;
use secrecy::SecretString;
use serde_json::json;

use crate::cli::setup::args::SetupArgs;
use crate::cli::setup::calls::Calls;
use crate::cli::setup::on_record::OnRecord;
use crate::cli::setup::plan::{Plan, Step, removal};
use crate::cli::setup::show::differences;
use crate::cli::{CliError, DIFFERENCES, Output};
use crate::config::Environment;

/// Turns the webhook off where it is ours, and deletes every destination of ours.
pub(super) async fn run(
    args: &SetupArgs,
    environment: &Environment,
    calls: &Calls,
) -> Result<ExitCode, CliError> {
    let output = Output::new(args.common.json);
    let found = calls.look().await?;
    let plan = removal(&calls.whose, &found);
    let whose = calls.whose.described();
    if let Some(other) = &plan.taken_from {
        let told = format!(
            "the webhook of {whose} has another destination, {}, which is not usher's",
            other.described()
        );
        if !args.yes && !args.dry_run {
            return Err(CliError::Failed(anyhow!(
                "{told}: --yes leaves it as it is and deletes what is usher's"
            )));
        }
        Output::progress(&format!("{told}: it stays as it is"));
    }
    if args.dry_run {
        differences(output, &plan.changes)?;
        return Ok(if plan.changes.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(DIFFERENCES)
        });
    }
    if !plan.steps.is_empty() {
        let on_record = OnRecord::open(&args.common, environment, &calls.whose).await;
        let removed = carry_out(&plan, calls, &on_record).await;
        on_record.close().await;
        removed?;
    }
    let text = if plan.steps.is_empty() {
        format!("nothing to remove of {whose}")
    } else {
        format!("removed what usher had of {whose}")
    };
    let shown = json!({ "portal_id": calls.whose.portal(), "changes": plan.changes });
    output.data(&text, &shown)?;
    Ok(ExitCode::SUCCESS)
}

/// Carries out each step, and notes it.
async fn carry_out(plan: &Plan, calls: &Calls, on_record: &OnRecord) -> Result<(), CliError> {
    let nothing = SecretString::from(String::new());
    for (step, change) in plan.steps.iter().zip(&plan.changes) {
        calls.carry_out(step, &mut None, "", &nothing).await?;
        let what = match step {
            Step::Unbind => "webhook_unbound",
            Step::Delete { .. } => "destination_deleted",
            Step::Create | Step::Update { .. } | Step::Bind { .. } => continue,
        };
        on_record.note(what, &[&change.name]).await;
    }
    Ok(())
}
