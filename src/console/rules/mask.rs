//! The text of a rules file without what nobody must see: of the address of a receiver the host is
//! left, of a secret nothing. Pure, and works line by line, also on a text that is not YAML.

use std::iter::zip;

use crate::console::rules::scalars::{HIDDEN_KEYS, suspicious};

/// What stands where something is left out.
const LEFT_OUT: &str = "…";
/// A value that says in which file the secret is.
const FILE: &str = "file:";
/// Letters of a part of an address from which on it is recognised elsewhere.
const TELLING: usize = 6;
/// Parts of addresses that tell nothing, and that a rules file is full of.
const ORDINARY: [&str; 16] = [
    "application",
    "approve",
    "approved",
    "developer",
    "developers",
    "events",
    "format",
    "notify",
    "portal",
    "portals",
    "registration",
    "secret",
    "services",
    "signals",
    "webhook",
    "webhooks",
];

/// Every line of `text`, masked. `known` are addresses and secrets that it is known to contain.
pub(super) fn lines(text: &str, known: &[String]) -> Vec<String> {
    let hidden = Hidden::new(text);
    let mut masked = line_by_line(text);
    for ((line, shown), kept) in zip(zip(text.lines(), &mut masked), hidden.kept) {
        match kept {
            Kept::All => {}
            Kept::Start(length) => {
                let start = line.get(..length).unwrap_or_default();
                let mut start = one_line(start);
                if !start.ends_with(LEFT_OUT) {
                    start.push_str(LEFT_OUT);
                }
                if *shown != blank(line) {
                    *shown = start;
                }
            }
            Kept::Nothing => *shown = blank(line),
        }
    }
    let mut is_behind_hidden = false;
    for shown in &mut masked {
        if is_behind_hidden && !is_apart(shown) {
            *shown = blank(shown);
        }
        is_behind_hidden =
            shown.contains(LEFT_OUT) || (is_behind_hidden && shown.trim().is_empty());
    }
    let secrets = hidden.secrets.iter().chain(known);
    let parts: Vec<&str> = secrets.flat_map(|secret| telling_parts(secret)).collect();
    for shown in &mut masked {
        if parts.iter().any(|part| shown.contains(part)) {
            *shown = blank(shown);
        }
    }
    masked
}

/// Every line by what is in it and in those just before it.
fn line_by_line(text: &str) -> Vec<String> {
    let mut masked = Vec::new();
    // The column of a key whose value goes on in deeper lines.
    let mut goes_on: Option<usize> = None;
    // Whether the line before is hidden in part, and broken in the middle of a text.
    let mut is_broken = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let is_deeper = goes_on.is_some_and(|key| indent > key && !line.trim().is_empty());
        let shown = if is_deeper || is_broken {
            blank(line)
        } else {
            if !line.trim().is_empty() {
                goes_on = value_goes_on(line);
            }
            one_line(line)
        };
        is_broken = line.trim_end().ends_with('\\') && (is_broken || shown.contains(LEFT_OUT));
        masked.push(shown);
    }
    masked
}

/// A line of which nothing but its place is shown.
fn blank(line: &str) -> String {
    if line.trim().is_empty() {
        return String::new();
    }
    let indent = line.len() - line.trim_start().len();
    format!("{}{LEFT_OUT}", &line[..indent])
}

/// What is hidden because of what is in other lines, or of how it is written.
struct Hidden {
    /// Of each line what may be shown.
    kept: Vec<Kept>,
    /// What is hidden.
    secrets: Vec<String>,
}

/// What of a line may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    All,
    /// So many bytes.
    Start(usize),
    Nothing,
}

impl Hidden {
    fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let line_of = |at: usize| starts.partition_point(|start| *start <= at) - 1;
        let mut kept = vec![Kept::All; starts.len()];
        let mut secrets = Vec::new();
        for scalar in suspicious(text) {
            if scalar.is_value {
                secrets.push(scalar.text);
            } else if let Some(at) = scalar.text.find("://") {
                // A condition may contain an address, and is no secret behind it.
                let address = scalar.text[at..].split([' ', '\n', '"', '\'']).next();
                secrets.extend(address.map(str::to_owned));
            }
            let first = line_of(scalar.span.start);
            let is_simple = is_simple(&text[scalar.span.clone()], scalar.is_value);
            if is_simple && is_closed(&text[scalar.span.end..]) {
                continue;
            }
            let from = if is_simple {
                scalar.span.end
            } else {
                scalar.span.start
            };
            if kept[first] == Kept::All {
                kept[first] = Kept::Start(from - starts[first]);
            }
            let last = line_of(scalar.span.end.saturating_sub(1));
            for kept in &mut kept[first + 1..=last.max(first)] {
                *kept = Kept::Nothing;
            }
        }
        Self { kept, secrets }
    }
}

/// Whether a value as it is written is an address, or the name of a file, of which a single line
/// tells all.
fn is_simple(written: &str, is_value: bool) -> bool {
    let bare = written.trim_matches(['"', '\'']);
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '"' | '\'');
    let scheme = bare.split("://").next().unwrap_or_default();
    let is_address = scheme.len() < bare.len() && scheme.chars().all(|c| c.is_ascii_alphabetic());
    !bare.contains(is_odd) && (is_address || (is_value && bare.starts_with(FILE)))
}

/// Whether a value ends where `rest` begins: else it is broken, and may go on.
fn is_closed(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '\t']);
    let is_end = rest.is_empty() || rest.starts_with("\r\n");
    is_end || rest.starts_with(['\n', ',', '}', ']', ':', '#'])
}

/// Whether a line begins something of its own, and does not go on with what a broken text has
/// before it.
fn is_apart(line: &str) -> bool {
    let line = line.trim();
    let name = line.trim_start_matches(['-', '?', ' ', '{', '[', ',', '"', '\'']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let after = name[end.unwrap_or(name.len())..].trim_start_matches(['"', '\'']);
    let is_key = end != Some(0) && (after == ":" || after.starts_with(": "));
    let brackets = line.trim_matches(['}', ']', ',', ' ']);
    is_key || line.starts_with("- ") || line.starts_with('#') || brackets.is_empty()
}

/// The parts of an address behind its host, or of a secret, that would tell something.
fn telling_parts(secret: &str) -> impl Iterator<Item = &str> {
    let secret = if secret.starts_with(FILE) { "" } else { secret };
    let path = match secret.split_once("://") {
        Some((_, address)) => {
            let host = address.find(['/', '?', '#', '\\']);
            host.map_or("", |host| &address[host..])
        }
        None => secret,
    };
    let ends = |c: char| c.is_whitespace() || c.is_control() || "/?=&#\\:;,@\"'".contains(c);
    let parts = path.split(ends);
    parts.filter(|part| part.chars().count() >= TELLING && !ORDINARY.contains(part))
}

/// A message, which may quote a text: nothing of it after the host of an address.
pub(super) fn message(message: &str) -> String {
    let masked = one_line(message);
    match masked.find("://") {
        Some(at) => {
            let host = masked[at..].find(LEFT_OUT);
            let end = host.map_or(masked.len(), |host| at + host + LEFT_OUT.len());
            masked[..end].to_owned()
        }
        None => masked,
    }
}

/// A line, masked.
fn one_line(line: &str) -> String {
    let without_addresses = mask_addresses(line);
    mask_keys(&without_addresses)
}

/// The column of the key of a line if its value is hidden and may go on in deeper lines: those of a
/// map are not its value.
fn value_goes_on(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start_matches([' ', '-']).len();
    let (key, value) = line[start..].split_once(':')?;
    let key = key.trim().trim_matches(['"', '\'']);
    if !HIDDEN_KEYS.contains(&key) {
        return None;
    }
    let value = value.trim();
    let is_map =
        value.starts_with('{') || (key == "notify" && (value.is_empty() || value.starts_with('#')));
    (!is_map).then_some(start)
}

/// Leaves of every address its scheme and host.
fn mask_addresses(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://").or_else(|| rest.find(":\\\\")) {
        let (before, address) = rest.split_at(at + "://".len());
        masked.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        let end = address.find(ends).unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        // Of a flow map the brackets are not the address's.
        let bare = address.trim_end_matches([',', '}', ']', ')', ';', '.']);
        let authority = bare.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        masked.push_str(host);
        if host.len() < bare.len() {
            masked.push('/');
            masked.push_str(LEFT_OUT);
        }
        masked.push_str(&address[bare.len()..]);
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// Leaves out what follows a hidden key, but for addresses that are masked already and the names of
/// files; and every key of Standard Webhooks.
fn mask_keys(line: &str) -> String {
    let mut masked = line.to_owned();
    if let Some(at) = masked.find("whsec_") {
        masked.truncate(at);
        masked.push_str(LEFT_OUT);
    }
    for key in HIDDEN_KEYS {
        let mut from = 0;
        while let Some(found) = masked[from..].find(key) {
            let end = from + found + key.len();
            from = end;
            let Some(value) = after_colon(&masked[end..]) else {
                continue;
            };
            let is_known = value.starts_with(['{', '#', '>', '|', '&', '*', '…'])
                || ["http://", "https://", FILE]
                    .iter()
                    .any(|start| value.starts_with(start));
            // An escape could spell another address.
            if !value.is_empty() && (!is_known || value.contains('\\')) {
                let kept = masked.len() - value.len();
                masked.truncate(kept);
                masked.push_str(LEFT_OUT);
                break;
            }
        }
    }
    masked
}

/// What follows a key and its colon, without the quote that opens it.
fn after_colon(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['"', '\'']).trim_start();
    let value = rest.strip_prefix(':')?;
    if !value.is_empty() && !value.starts_with([' ', '\t']) {
        return None;
    }
    Some(value.trim_start().trim_start_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::{lines, message, one_line};

    #[test]
    fn of_an_address_the_host_is_left() {
        for (line, shown) in [
            (
                "  - notify: {url: https://hooks.example/T0/B0/secret, format: slack}",
                "  - notify: {url: https://hooks.example/…, format: slack}",
            ),
            (
                "url: \"https://h.example:8443/x?y=z\"",
                "url: \"https://h.example:8443/…\"",
            ),
            (
                "url: 'https://user:pass@h.example'",
                "url: 'https://h.example/…'",
            ),
            ("url: https://h.example", "url: https://h.example"),
            (
                "# was https://h.example/a?b and http://i/c",
                "# was https://h.example/… and http://i/…",
            ),
            ("url: \"https:\\x2f\\x2fh.example\\x2fsecret\"", "url: \"…"),
            ("url: \"\\x68ttps://h.example/secret\"", "url: \"…"),
            (
                "- notify: {url: &a \"\\x68ttps://h.example/x\"}",
                "- notify: {url: …",
            ),
            ("url: file:/run/secrets/url", "url: file:/run/secrets/url"),
            (
                "secret: file:/run/secrets/key",
                "secret: file:/run/secrets/key",
            ),
            ("secret: abc", "secret: …"),
            ("{url: file:/a, secret: abc}", "{url: file:/a, secret: …"),
            ("secret: whsec_abc", "secret: …"),
            ("\"url\": hunter2", "\"url\": …"),
            (
                "when: developer.email_domain == 'a.example'",
                "when: developer.email_domain == 'a.example'",
            ),
            ("name: notify-partners", "name: notify-partners"),
        ] {
            let masked = one_line(line);
            assert_eq!(masked, shown, "{line}");
        }
    }

    /// Whether nothing of what is hidden is in the masked lines, and the rest is.
    fn holds(text: &str, shown: &[&str]) {
        let masked = lines(text, &[]);
        assert_eq!(masked.len(), text.lines().count(), "{text}");
        let masked = masked.join("\n");
        for hidden in ["SECRET", "T0", "B0", "xyz", "services"] {
            assert!(
                !masked.contains(hidden),
                "{hidden} of:\n{text}\nin:\n{masked}"
            );
        }
        for shown in shown {
            assert!(
                masked.contains(shown),
                "no {shown} of:\n{text}\nin:\n{masked}"
            );
        }
    }

    #[test]
    fn an_address_of_several_lines_is_left_out_whole() {
        for text in [
            "{format: slack, url: \"https://hooks.example.com/services/\\\n      T0SECRET1/B0/xyz\"}",
            "{format: slack, url:\n      \"https://hooks.example.com/services/T0\n      SECRET3\"}",
            "{\n  url: \"https://hooks.example.com/services\\\n/T0SECRET4\",\n  format: slack}",
            "{url: \"https://hooks.example.com/services\\\r\n/T0SECRET4\",\r\n  format: slack}",
            "{url: 'https://hooks.example.com/services\n\n/T0SECRET\n/xyz', format: slack}",
            "{url: https://hooks.example.com/services\n /T0SECRET\n /xyz, format: slack}",
            "{url: https:\n //hooks.example.com/services\n /T0SECRET, format: slack}",
            "{url:\n\n https:\\\\hooks.example.com\\services\n /T0SECRET, format: slack}",
            "{url: # the hook\n https:hooks.example.com/services\n /T0SECRET, format: slack}",
            "{\"u\\x72l\": \"\\x68ttps:\\x2f\\x2fhooks.example.com/services\n/T0SECRET\"}",
            "{\"u\\\n  rl\": \"hooks\n/T0SECRET\"}",
            "{? url\n : hooks.example.com/services\n /T0SECRET}",
            "{url: [hooks.example.com/services,\n /T0SECRET]}",
            "{url: !!str https://hooks.example.com/services\n /T0SECRET}",
            "{url: !!str\n \"https://hooks.example.com/services\n/T0SECRET\"}",
            "{!!binary dXJs: hooks.example.com/services\n /T0SECRET}",
            "{url: &hook \"https://hooks.example.com/services/\n T0SECRET\"}",
            "{<<: {url: \"https://hooks.example.com/services/\n T0SECRET\"}, format: slack}",
            "{url: \"https://hooks.example.com/a b/T0SECRET\"}",
            "{url: \"https://hooks.example.com/a'T0SECRET\"}",
            "{url: \"https://hooks.example.com/a\\\"T0SECRET\"}",
            "{url: https://hooks.example.com/a\"T0SECRET}",
            "{url: https:/hooks.example.com/T0SECRET}",
            "{secret: \"whsec_\\\n  T0SECRET\", url: \"file:/a\"}",
            "{secret: \"wh\\\nsec_T0SECRET\n xyz\"}",
            "{url: \"https://hooks.example.com/\\\n  T0SECRET\\\n  xyz",
        ] {
            let text = format!("  - notify: {text}\n  - park: no\n");
            let is_closed = !text.contains("xyz\n");
            holds(&text, if is_closed { &["  - park: no"] } else { &[] });
        }
    }

    #[test]
    fn a_block_value_is_left_out_whole() {
        for text in [
            "url: >-\n  https://hooks.example.com/services\n\n  T0SECRET",
            "url: |2-\n   https://hooks.example.com/services\n   T0SECRET",
            "url:\n  |\n  https:\n  //hooks.example.com/services\n  T0SECRET",
            "url: !!str |\n  https:\n  //hooks.example.com/services\n  T0SECRET",
            "url: https://hooks.example.com/services\n  T0SECRET: xyz\n  - xyz",
            "url:\n  https://hooks.example.com/services\n  T0SECRET",
            "url:\n  - hooks.example.com/services\n  - T0SECRET",
            "url:\n- hooks.example.com/services\n- T0SECRET",
            "\"url\": 'https://hooks.example.com/services\n  T0SECRET'",
            "? url\n: hooks.example.com/services\n  T0SECRET",
            "? |-\n  url\n: hooks.example.com/services\n  T0SECRET",
            "? \"\\u0075rl\"\n: \"https://hooks.example.com/services\n  T0SECRET\"",
            "name: &u url\n*u : hooks.example.com/services\n  T0SECRET",
            "name: &u hooks.example.com/services\n  T0SECRET\nurl: *u",
            "name: &u https:hooks.example.com/T0SECRET\nurl: *u",
            "name: &u\n  \"https://hooks.example.com/services\n  T0SECRET\"\nurl: *u",
            "name: !!binary T0SECRET",
        ] {
            let lines = text.lines().map(|line| format!("      {line}\n"));
            let text: String = lines.collect();
            holds(
                &format!("  - notify:\n{text}      format: slack\n"),
                &["      format: slack"],
            );
        }
    }

    #[test]
    fn what_is_no_address_is_shown() {
        let text = "version: 1\nlists:\n  partners: [a.example, 'b.example',\n    \"c.example\"]\nrules:\n  - name: \"it's\"\n    on: developer.signed_up\n    when: >-\n      developer.email_domain == 'a.example'\n      && !(\"x\\\"\" in lists.partners) # not\n    # It's \"so\n    then:\n      - add_to_team: {name: Partners,\n          create: true}\n      - notify:\n          format: slack\n          url: file:/run/secrets/url\n      - park: it's\n          late\n    when: a\n      && \"b\" # c\n    mode: shadow\n";
        let masked = lines(text, &[]);
        assert_eq!(masked.join("\n"), text.trim_end());
    }

    #[test]
    fn a_line_with_a_part_of_a_known_address_is_left_out() {
        let known =
            ["https://partners.example/services/developer/B0SECRET?token=abcdef".to_owned()];
        let text = "name: partners\n  # B0SECRET\nabcdef\nwhen: developer.id\n";
        let masked = lines(text, &known);
        assert_eq!(masked, ["name: partners", "  …", "…", "when: developer.id"]);
        let text = "url: https://h.example/hidden/x\n# hidden\n";
        assert_eq!(lines(text, &[]), ["url: https://h.example/…", "…"]);
        let known = ["file:/run/secrets/receiver".to_owned()];
        assert_eq!(lines("# receiver", &known), ["# receiver"]);
    }

    #[test]
    fn of_a_broken_text_too_much_is_left_out() {
        for text in [
            "url: \"https://hooks.example.com/\"? T0SECRET",
            "url: \"https://hooks.example.com/\"\r? T0SECRET",
            "url: {https://hooks.example.com/{\n}T0SECRET",
            "url: >-\n    https://hooks.example.com/\n\n/T0SECRET{}\nT0SECRET",
            "url: \"https://hooks.example.com/\" #\n\nT0SECRET",
        ] {
            holds(&format!("  {text}\nmode: live"), &["mode: live"]);
        }
    }

    #[test]
    fn a_message_ends_with_the_host() {
        assert_eq!(
            message("there is no deed \"https://h.example/a b\"; expected park"),
            "there is no deed \"https://h.example/…"
        );
        assert_eq!(message("expected a name"), "expected a name");
    }

    #[test]
    fn any_text_has_as_many_masked_lines() {
        let pieces = [
            "url: ",
            "\"",
            "'",
            "\\",
            "\n",
            "\r",
            " ",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "- ",
            "? ",
            "&a ",
            "*a",
            "!!b ",
            "|",
            ">",
            "#",
            "https://h/x",
            "é",
            "…",
            "\\x",
            "\u{feff}",
        ];
        let mut seed: usize = 1;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(seed >> 33) % pieces.len()]);
            }
            assert_eq!(lines(&text, &[]).len(), text.lines().count(), "{text:?}");
        }
    }

    #[test]
    fn what_goes_on_in_deeper_lines_is_left_out_too() {
        let text = "then:\n  - notify:\n      url: >-\n        https://h.example/a\n        secret\n      format: slack\n  - notify: https://h.example/\n      secret\n  - park: no\n";
        let shown = [
            "then:",
            "  - notify:",
            "      url: >-",
            "        …",
            "        …",
            "      format: slack",
            "  - notify: https://h.example/",
            "      …",
            "  - park: no",
        ];
        let masked = lines(text, &[]);
        assert!(!masked.concat().contains("secret"), "{masked:?}");
        assert_eq!(masked.len(), shown.len());
        assert_eq!(masked[3..6], shown[3..6]);
        assert_eq!(masked[8], shown[8]);
    }

    #[test]
    fn a_map_below_notify_is_shown() {
        let text = "- notify:\n    format: slack\n    url: https://h.example/x\n";
        let masked = lines(text, &[]);
        assert_eq!(
            masked,
            [
                "- notify:",
                "    format: slack",
                "    url: https://h.example/…"
            ]
        );
    }
}
