//! The patterns of the facts, each as a function and with texts that match it. There are few of
//! them, and a pattern that is not here fails the tests.

/// A pattern with a way to test for it and a way to make a text of about a length.
struct Pattern {
    words: &'static str,
    fits: fn(&str) -> bool,
    /// What a matching text begins with; letters and digits may follow.
    start: &'static str,
    /// Whether the text must have its full form at once, so that nothing may follow.
    fixed: bool,
}

const PATTERNS: &[Pattern] = &[
    Pattern {
        words: r"^[\w \W]+$",
        fits: |text| !text.is_empty(),
        start: "",
        fixed: false,
    },
    Pattern {
        words: "^[a-z0-9A-Z]{1}([a-z0-9A-Z-._]*[a-z0-9A-Z]+)?$",
        fits: |text| {
            let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let bytes = text.as_bytes();
            edge(bytes.first())
                && edge(bytes.last())
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
        },
        start: "a.b-c_d",
        fixed: false,
    },
    Pattern {
        words: "^#([a-fA-F0-9]{6}|[a-fA-F0-9]{3})$",
        fits: |text| {
            let digits = text.strip_prefix('#').unwrap_or_default();
            matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        },
        start: "#0aF9b8",
        fixed: true,
    },
    Pattern {
        words: "^GTM-[A-Za-z0-9]+$",
        fits: |text| is_code(text, "GTM-", b""),
        start: "GTM-1A",
        fixed: false,
    },
    Pattern {
        words: "^G-[A-Za-z0-9-]+$",
        fits: |text| is_code(text, "G-", b"-"),
        start: "G-1-A",
        fixed: false,
    },
    Pattern {
        words: "^[A-Za-z0-9]+$",
        fits: |text| is_code(text, "", b""),
        start: "",
        fixed: false,
    },
    Pattern {
        words: r"^[\w-]+$",
        fits: |text| is_code(text, "", b"_-"),
        start: "",
        fixed: false,
    },
    Pattern {
        words: "^[^,<>]*$",
        // An empty text would match, but is too short wherever the pattern stands.
        fits: |text| !text.is_empty() && !text.contains([',', '<', '>']),
        start: "",
        fixed: false,
    },
    image("png", "^data:image/png", |text| is_image(text, &["png"])),
    image("jpeg", "^data:image/jpeg", |text| is_image(text, &["jpeg"])),
    image("gif", "^data:image/gif", |text| is_image(text, &["gif"])),
    image(
        "ico",
        "^data:image/(x-icon|ico|icon|vnd.microsoft.icon)",
        |text| is_image(text, &["x-icon", "ico", "icon", "vnd.microsoft.icon"]),
    ),
    image("svg+xml", r"^data:image/svg\+xml", |text| {
        is_image(text, &["svg+xml"])
    }),
];

/// What the pattern of every data URI ends with.
const BASE64: &str = "(;base64)?,(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

const fn image(kind: &'static str, words: &'static str, fits: fn(&str) -> bool) -> Pattern {
    let start = match kind.as_bytes() {
        b"png" => "data:image/png;base64,iVBORw0KGgo=",
        b"jpeg" => "data:image/jpeg;base64,/9j/4A==",
        b"gif" => "data:image/gif;base64,R0lGODlh",
        b"ico" => "data:image/x-icon;base64,AAABAA==",
        _ => "data:image/svg+xml;base64,PHN2Zy8+",
    };
    Pattern {
        words,
        fits,
        start,
        fixed: true,
    }
}

fn is_code(text: &str, start: &str, more: &[u8]) -> bool {
    text.strip_prefix(start).is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    })
}

fn is_image(text: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| {
        let data = text
            .strip_prefix(&format!("data:image/{kind}"))
            .map(|rest| rest.strip_prefix(";base64").unwrap_or(rest))
            .and_then(|rest| rest.strip_prefix(','));
        data.is_some_and(|data| {
            let bare = data.trim_end_matches('=');
            data.len() % 4 == 0
                && data.len() - bare.len() <= 2
                && bare
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        })
    })
}

fn find(pattern: &str) -> &'static Pattern {
    PATTERNS
        .iter()
        .find(|known| known.words == pattern.strip_suffix(BASE64).unwrap_or(pattern))
        .unwrap_or_else(|| panic!("{pattern} is not in the table of patterns"))
}

/// Returns whether a text matches a pattern.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    (find(pattern).fits)(text)
}

/// Makes a text that matches: it ends with the number, and has the length if one is given.
pub(super) fn sample(pattern: &str, number: u32, length: Option<usize>) -> String {
    let known = find(pattern);
    if known.fixed {
        return known.start.to_owned();
    }
    let start = format!("{}{number}", known.start);
    let rest = length.unwrap_or_default().saturating_sub(start.len());
    start + &"x".repeat(rest)
}

#[test]
fn the_samples_match_and_others_do_not() {
    for known in PATTERNS {
        let pattern = known.words;
        assert!(fits(pattern, &sample(pattern, 7, None)), "{pattern}");
        assert!(fits(pattern, &sample(pattern, 7, Some(40))), "{pattern}");
        assert!(!fits(pattern, ""), "{pattern}");
        assert!(known.start.is_empty() || !fits(pattern, "-?-"), "{pattern}");
    }
}
