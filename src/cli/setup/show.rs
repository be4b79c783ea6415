//! How `usher setup` shows what differs, and what a receiver needs that loses the webhook.

use konnect::LogFormat;
use serde_json::json;

use crate::cli::setup::plan::{Change, Other};
use crate::cli::{CliError, Output};
use crate::event::plain;

/// Shows each change as what is and what would be; in JSON an object a change.
pub(super) fn differences(output: Output, changes: &[Change]) -> Result<(), CliError> {
    if output.is_json() {
        for change in changes {
            output.data("", &json!(change))?;
        }
        return Ok(());
    }
    if changes.is_empty() {
        output.data("nothing differs", &json!(null))?;
    }
    for line in lines(changes) {
        output.data(&line, &json!(null))?;
    }
    Ok(())
}

/// A heading for each object, and below it what is (`-`) and what would be (`+`).
fn lines(changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut heading = None;
    for change in changes {
        let now = (change.object, change.name.as_str());
        if heading != Some(now) {
            heading = Some(now);
            lines.push(match change.object {
                "webhook" => format!("webhook of {}", change.name),
                object => format!("{object} {}", change.name),
            });
        }
        let ends = [("-", &change.is), ("+", &change.will_be)];
        lines.extend(ends.into_iter().filter_map(|(sign, value)| {
            let value = value.as_ref()?;
            Some(format!("  {sign} {:<13} {value}", change.member))
        }));
    }
    lines
}

/// What goes into `usher.toml`, so that a receiver without a webhook still gets every entry.
pub(super) fn forward_to(other: &Other) -> String {
    if other.endpoint.is_empty() {
        return format!("Konnect does not tell where {} leads", plain(&other.name));
    }
    let format = match &other.log_format {
        Some(format) if *format != LogFormat::Json => format!(
            "\n# It was sent {format}; usher sends entries on as it receives them, which is JSON."
        ),
        _ => String::new(),
    };
    let url = toml::Value::String(other.endpoint.clone());
    format!(
        "to keep {} fed, add this to usher.toml and restart `usher serve`:\n\n\
         [[forward]]\n\
         url = {url}{format}\n\
         # Konnect never tells the authorization of a destination: put it into a file of your own.\n\
         authorization = \"file:/etc/usher/forward-authorization\"\n",
        plain(&other.name)
    )
}

#[cfg(test)]
mod tests {
    use konnect::DestinationId;
    use uuid::Uuid;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_lines_for_a_former_receiver_are_a_configuration() {
        let other = Other {
            id: DestinationId(Uuid::nil()),
            name: "siem".to_owned(),
            endpoint: "https://siem.example/x?a=\"b\"".to_owned(),
            log_format: Some(LogFormat::Cef),
        };
        let told = forward_to(&other);
        let (_, lines) = told.split_once("\n\n").unwrap();
        assert!(lines.contains("sent cef"), "{lines}");
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("secret");
        std::fs::write(&secret, "Splunk x").unwrap();
        let secret = secret.display().to_string();
        let lines = lines.replace("/etc/usher/forward-authorization", &secret);
        let config: Config = toml::from_str(&lines).unwrap();
        assert_eq!(config.forward[0].url.host_str(), Some("siem.example"));
    }
}
