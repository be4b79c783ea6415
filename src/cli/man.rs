//! `usher man`: the manual, made of the arguments as clap has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::{CliError, Output, command, counted};

/// Stands at the foot of every page.
const SOURCE: &str = concat!("usher ", env!("CARGO_PKG_VERSION"));

/// Arguments of `usher man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder to write the page of every command to [default: the page of `usher` alone, to
    /// standard output]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> Result<ExitCode, CliError> {
    // A page of `help` would only name the commands again.
    let mut command = command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        Output::bytes(&render(&manual(command))?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    let written = write_all(&command, dir)?;
    let said = format!("{} in {}", counted(written, "page"), dir.display());
    Output::lines(&[said])?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a command and of all below it, and counts them.
fn write_all(command: &Command, dir: &Path) -> anyhow::Result<usize> {
    let man = manual(command.clone());
    let file = dir.join(man.get_filename());
    let written = fs::write(&file, render(&man)?);
    written.with_context(|| format!("could not write {}", file.display()))?;
    let mut pages = 1;
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        pages += write_all(below, dir)?;
    }
    Ok(pages)
}

fn manual(command: Command) -> Man {
    Man::new(command).source(SOURCE).manual("usher")
}

fn render(man: &Man) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render(&mut page).context("could not make a page")?;
    Ok(page)
}
