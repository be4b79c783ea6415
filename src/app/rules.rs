//! The rules file, read once at start; a file that does not check ends the start.

use std::fs;

use crate::app::AppError;
use crate::config::{ConfigError, RulesConfig};
use crate::rules::{RuleSet, load as load_rules};

/// Reads the file that `config` names; no rules where it names none.
pub fn load(config: &RulesConfig) -> Result<RuleSet, AppError> {
    let Some(path) = &config.path else {
        return Ok(RuleSet::empty());
    };
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Invalid {
        place: "configuration".to_owned(),
        key: "rules.path".to_owned(),
        reason: format!("could not read {}: {error}", path.display()),
    })?;
    load_rules(&text, &path.display().to_string()).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        AppError::Rules(lines.join("\n"))
    })
}
