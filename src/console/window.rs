//! The window of a list: as fields of a form, and as flags of a command. Pure.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time as a field of a form has it.
pub(super) fn told(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A command with the flags of a window.
pub(super) fn command(
    command: &str,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> String {
    let flag = |flag: &str, at: Option<DateTime<Utc>>| {
        at.map_or_else(String::new, |at| format!(" {flag} {}", told(at)))
    };
    format!("{command}{}{}", flag("--from", from), flag("--to", to))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::command;

    #[test]
    fn the_command_has_the_window() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(command("usher x", None, None), "usher x");
        assert_eq!(
            command("usher x", Some(at), None),
            "usher x --from 1970-01-01T00:00:00Z"
        );
    }
}
