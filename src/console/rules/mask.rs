//! The text of a rules file without what nobody must see: of the address of a receiver the host is
//! left, of a secret nothing. Pure, and works line by line, also on a text that is not YAML.

/// What stands where something is left out.
const LEFT_OUT: &str = "…";
/// Keys whose value is an address or a secret.
const HIDDEN_KEYS: [&str; 3] = ["url", "notify", "secret"];
/// A value that says in which file the secret is.
const FILE: &str = "file:";

/// Every line of `text`, masked.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut masked = Vec::new();
    // The column of a key whose value goes on in deeper lines.
    let mut goes_on: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if goes_on.is_some_and(|key| indent > key && !line.trim().is_empty()) {
            masked.push(format!("{}{LEFT_OUT}", &line[..indent]));
            continue;
        }
        if !line.trim().is_empty() {
            goes_on = value_goes_on(line);
        }
        masked.push(one_line(line));
    }
    masked
}

/// A line, or a message that may quote one, masked.
pub(super) fn one_line(line: &str) -> String {
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
    while let Some(at) = rest.find("://") {
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
    use super::{lines, one_line};

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
        let masked = lines(text);
        assert!(!masked.concat().contains("secret"), "{masked:?}");
        assert_eq!(masked.len(), shown.len());
        assert_eq!(masked[3..6], shown[3..6]);
        assert_eq!(masked[8], shown[8]);
    }

    #[test]
    fn a_map_below_notify_is_shown() {
        let text = "- notify:\n    format: slack\n    url: https://h.example/x\n";
        let masked = lines(text);
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
