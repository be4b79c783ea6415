//! How a command that needs Konnect and perhaps nothing else calls it, and how it reports that it
//! cannot.
//!
//! The token is taken from the environment or a file, never from the command line.

use std::fs;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use konnect::{Client, ListPortals, Portal};
use url::Url;

use crate::cli::CliError;
use crate::config::{ConfigError, KonnectConfig, Secret, parse_base_url};

/// Flags that stand in for a configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct KonnectArgs {
    /// Host of your region, without a version path [default: `konnect.base_url`]
    #[arg(long, value_name = "URL", value_parser = parse_base_url)]
    base_url: Option<Url>,
    /// File with the token [default: `USHER_KONNECT__TOKEN`]
    #[arg(long, value_name = "PATH")]
    pub(super) token_file: Option<PathBuf>,
}

impl KonnectArgs {
    /// Puts the flags over what configuration and environment say.
    ///
    /// # Errors
    /// If there is no token to call with.
    pub(super) fn over(&self, konnect: KonnectConfig) -> Result<KonnectConfig, CliError> {
        let mut konnect = konnect;
        if let Some(base_url) = &self.base_url {
            konnect.base_url = base_url.clone();
        }
        if let Some(file) = &self.token_file {
            let text = fs::read_to_string(file).map_err(|error| {
                CliError::Usage(format!("could not read {}: {error}", file.display()))
            })?;
            konnect.token = Some(Secret::new(text.trim_end().to_owned()));
        }
        let has_token = konnect
            .token
            .as_ref()
            .is_some_and(|token| !token.expose().is_empty());
        if !has_token {
            return Err(CliError::from(ConfigError::Missing {
                key: "konnect.token",
                reason: "set USHER_KONNECT__TOKEN, or name a file with --token-file",
            }));
        }
        Ok(konnect)
    }
}

/// The portals that the token sees; at least one.
pub(super) async fn list_portals(client: &Client, base_url: &Url) -> Result<Vec<Portal>, CliError> {
    let portals = match client.portals().list(&ListPortals::default()).await {
        Ok(portals) => portals,
        Err(error) => {
            let summary = match error.status() {
                Some(401) => refused(base_url),
                Some(403) => format!("the token may not list the portals of {base_url}"),
                Some(404) => format!("{base_url} does not look like Konnect's management api"),
                _ => format!("could not list the portals of {base_url}"),
            };
            return Err(CliError::Failed(anyhow!(error).context(summary)));
        }
    };
    if portals.is_empty() {
        return Err(CliError::Failed(anyhow!(
            "the token sees no portal at {base_url}; is it the right region?"
        )));
    }
    Ok(portals)
}

/// What a 401 means.
pub(super) fn refused(base_url: &Url) -> String {
    format!("{base_url} does not accept the token: it is wrong, expired or of another region")
}
