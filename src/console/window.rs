//! The window of a list: as fields of a form, as people type it, and as flags of a command. Pure.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::config::parse_span;
use crate::journal::read_time;

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

/// A time as people type it into a form: RFC 3339, or how long ago; `default` where nothing is
/// typed.
pub(super) fn moment(
    field: &str,
    typed: &str,
    default: &str,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, String> {
    let typed = match typed.trim() {
        "" => default,
        typed => typed,
    };
    if let Some(time) = read_time(typed) {
        return Ok(time);
    }
    let ago = parse_span(typed)
        .ok()
        .and_then(|span| TimeDelta::from_std(span).ok());
    let time = ago.and_then(|ago| now.checked_sub_signed(ago));
    time.ok_or_else(|| {
        format!(
            "{field}: expected a time such as 2026-01-31T12:00:00Z, or how long ago, such as 7d"
        )
    })
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
