//! Every key of the configuration, from the sources of `src/config/`: names, types and meanings
//! from the structs as they are written there, defaults from `Config::default()`. Not a parser of
//! Rust: it knows lines as rustfmt leaves them.

use std::collections::BTreeMap;

use usher::config::Config;

const SOURCES: [&str; 4] = [
    include_str!("../../../src/config/mod.rs"),
    include_str!("../../../src/config/sections.rs"),
    include_str!("../../../src/config/forward.rs"),
    include_str!("../../../src/config/hooks.rs"),
];
const LOAD: &str = include_str!("../../../src/config/load.rs");

/// A key.
pub(crate) struct Key {
    /// As in `usher.toml`; `[]` stands for every entry of a list.
    pub(crate) path: String,
    /// The type of its value in Rust, without `Option`.
    pub(crate) of: String,
    /// The same in words.
    pub(crate) kind: String,
    /// What it is without being set, as Markdown.
    pub(crate) default: String,
    /// What it means.
    pub(crate) about: String,
    /// The words that it may have, with their meanings.
    pub(crate) words: Vec<(String, String)>,
}

impl Key {
    /// What it is a part of: everything before the first dot.
    pub(crate) fn section(&self) -> &str {
        self.path.split(['.', '[']).next().unwrap_or_default()
    }
}

/// Every key, in the order of the code.
pub(crate) fn keys() -> Vec<Key> {
    let types = Types::read();
    let defaults = defaults();
    let mut keys = Vec::new();
    for member in &types.structs["Config"] {
        types.expand(&member.name, member, &defaults, &mut keys);
    }
    assert!(keys.len() > 40, "the sources are not read: {}", keys.len());
    keys
}

/// Keys that are promised, and refused so far.
pub(crate) fn not_yet() -> Vec<&'static str> {
    let (_, list) = LOAD.split_once("const NOT_YET").expect("the list is there");
    let (list, _) = list.split_once("];").expect("the list ends");
    let list: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(!list.is_empty(), "the list is not read");
    list
}

/// A field of a struct, or a word of an enum.
struct Member {
    name: String,
    /// The type of a field.
    of: String,
    about: String,
    /// Whether it is a default, or has one of its own.
    default: bool,
}

/// The structs and enums of the sources, by their names.
#[derive(Default)]
struct Types {
    structs: BTreeMap<String, Vec<Member>>,
    enums: BTreeMap<String, Vec<Member>>,
}

impl Types {
    fn read() -> Self {
        let mut types = Self::default();
        for source in SOURCES {
            types.add(source);
        }
        types
    }

    fn add(&mut self, source: &str) {
        let (mut about, mut attributes) = (Vec::new(), String::new());
        let mut open: Option<&mut Vec<Member>> = None;
        for line in source.lines() {
            let bare = line.trim();
            if let Some(text) = bare.strip_prefix("///") {
                about.push(text.trim());
                continue;
            }
            if bare.starts_with("#[") {
                attributes.push_str(bare);
                continue;
            }
            let named = |keyword: &str| line.strip_prefix(keyword)?.strip_suffix(" {");
            if let Some(name) = named("pub struct ") {
                open = Some(self.structs.entry(name.to_owned()).or_default());
            } else if let Some(name) = named("pub enum ") {
                open = Some(self.enums.entry(name.to_owned()).or_default());
            } else if line == "}" {
                open = None;
            } else if let Some(members) = open.as_mut()
                && let Some(mut member) = member(bare)
            {
                about
                    .join(" ")
                    .trim_end_matches('.')
                    .clone_into(&mut member.about);
                member.default = attributes.contains("default]") || attributes.contains("(default");
                members.push(member);
            }
            about.clear();
            attributes.clear();
        }
    }

    /// Adds the keys of a field.
    fn expand(
        &self,
        path: &str,
        field: &Member,
        defaults: &BTreeMap<String, String>,
        keys: &mut Vec<Key>,
    ) {
        let of = inside("Option", &field.of);
        if let Some(members) = self.structs.get(of) {
            for below in members {
                self.expand(&format!("{path}.{}", below.name), below, defaults, keys);
            }
            return;
        }
        let words = self.enums.get(of).into_iter().flatten();
        keys.push(Key {
            path: path.to_owned(),
            of: of.to_owned(),
            kind: self.kind(of),
            default: self.default_of(path, field, defaults),
            about: field.about.clone(),
            words: words
                .map(|word| (snake(&word.name), word.about.clone()))
                .collect(),
        });
        for below in self.structs.get(inside("Vec", of)).into_iter().flatten() {
            self.expand(&format!("{path}[].{}", below.name), below, defaults, keys);
        }
    }

    /// What a value of a type is, in words.
    fn kind(&self, of: &str) -> String {
        if let Some(words) = self.enums.get(of) {
            let words: Vec<String> = words
                .iter()
                .map(|it| format!("`{}`", snake(&it.name)))
                .collect();
            return words.join(", ");
        }
        let entry = inside("Vec", of);
        if entry != of {
            let entries = match entry {
                "Secret" => "secrets",
                "String" | "TypePattern" => "texts",
                "Uuid" => "ids",
                "IpNet" => "addresses and networks",
                entry if self.structs.contains_key(entry) => "tables",
                _ => panic!("say in {} what entries of {of} are", file!()),
            };
            return format!("list of {entries}");
        }
        let word = match of {
            "BTreeMap<String, Secret>" => "table of secrets",
            "Duration" => "duration",
            "HookSecret" => "secret, `whsec_…`",
            "PathBuf" => "path",
            "Secret" => "secret",
            "SocketAddr" => "address and port",
            "String" => "text",
            "Url" => "URL",
            "Uuid" => "id",
            "bool" => "`true`, `false`",
            "u32" | "u64" | "usize" => "whole number",
            _ => panic!("say in {} what a {of} is", file!()),
        };
        word.to_owned()
    }

    fn default_of(
        &self,
        path: &str,
        field: &Member,
        defaults: &BTreeMap<String, String>,
    ) -> String {
        let of = inside("Option", &field.of);
        let words = self.enums.get(of);
        if path.contains("[]") {
            let word = words.and_then(|words| words.iter().find(|word| word.default));
            return match word {
                Some(word) if field.default => format!("`{}`", snake(&word.name)),
                _ if of != field.of => "–".to_owned(),
                _ => "– (must be set)".to_owned(),
            };
        }
        let Some(default) = defaults.get(path) else {
            assert_eq!(path, "konnect.base_url", "no default is known of {path}");
            let url = Config::default().konnect.base_url;
            return format!("`{}`", url.as_str().trim_end_matches('/'));
        };
        match default.as_str() {
            "None" | "[]" | "{}" => "–".to_owned(),
            default if words.is_some() => format!("`{}`", snake(default)),
            default if of == "Duration" => format!("`{}`", span(default)),
            default if path.ends_with("_bytes") => bytes(default),
            default => format!("`{}`", default.trim_matches('"')),
        }
    }
}

/// Reads a line of a struct, `pub name: Type,`, or of an enum, `Word,`.
fn member(line: &str) -> Option<Member> {
    let line = line.strip_suffix(',')?;
    let (name, of) = match line.strip_prefix("pub ") {
        Some(field) => field.split_once(": ")?,
        None => (line, ""),
    };
    Some(Member {
        name: name.to_owned(),
        of: of.to_owned(),
        about: String::new(),
        default: false,
    })
}

/// The type within `outer<…>`, or the whole of another one.
fn inside<'a>(outer: &str, of: &'a str) -> &'a str {
    of.strip_prefix(outer)
        .and_then(|rest| rest.strip_prefix('<')?.strip_suffix('>'))
        .unwrap_or(of)
}

/// `TwoWords` as serde has it: `two_words`.
fn snake(word: &str) -> String {
    let mut text = String::new();
    for letter in word.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// What every field of the default configuration holds as `Debug` shows it. It has one line for
/// each, but for fields of URLs, which are not asked for.
fn defaults() -> BTreeMap<String, String> {
    let shown = format!("{:#?}", Config::default());
    let mut defaults = BTreeMap::new();
    let mut sections: Vec<&str> = Vec::new();
    for line in shown.lines().skip(1) {
        let line = line.trim().trim_end_matches(',');
        if line == "}" {
            sections.pop();
        } else if let Some((name, value)) = line.split_once(": ") {
            if value.ends_with(" {") {
                sections.push(name);
            } else {
                let path = [&sections[..], &[name]].concat().join(".");
                defaults.insert(path, value.to_owned());
            }
        }
    }
    defaults
}

/// A time as people write it, in its largest unit; `Debug` has it in seconds.
fn span(shown: &str) -> String {
    let seconds = shown
        .strip_suffix('s')
        .and_then(|it| it.parse::<u64>().ok());
    let Some(seconds) = seconds else {
        return shown.to_owned();
    };
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let fits = units.iter().find(|(_, size)| seconds.is_multiple_of(*size));
    fits.map_or_else(String::new, |(unit, size)| {
        format!("{}{unit}", seconds / size)
    })
}

fn bytes(shown: &str) -> String {
    let bytes: u64 = shown.parse().expect("a number of bytes");
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fits = units.iter().find(|(_, size)| bytes.is_multiple_of(*size));
    fits.map_or_else(
        || format!("`{bytes}`"),
        |(unit, size)| format!("{} {unit} (`{bytes}`)", bytes / size),
    )
}

#[test]
fn keys_have_what_the_code_says_of_them() {
    let keys = keys();
    let find = |path: &str| {
        let found = keys.iter().find(|key| key.path == path);
        found.unwrap_or_else(|| panic!("no {path}"))
    };
    for (path, kind, default) in [
        ("http.listen", "address and port", "`127.0.0.1:8088`"),
        ("http.tls.cert", "path", "–"),
        ("ingest.path", "text", "`/audit-logs`"),
        ("ingest.verify", "`require`, `record`, `off`", "`record`"),
        ("ingest.max_body_bytes", "whole number", "8 MiB (`8388608`)"),
        ("forward", "list of tables", "–"),
        ("forward[].url", "URL", "– (must be set)"),
        ("hooks.senders[].types", "list of texts", "–"),
        ("console.tokens[].role", "`reader`, `operator`", "`reader`"),
        ("konnect.base_url", "URL", "`https://us.api.konghq.com`"),
        ("observe.pending_every", "duration", "`1m`"),
        ("retention.events", "duration", "`400d`"),
        ("database.embedded", "`true`, `false`", "`false`"),
    ] {
        let key = find(path);
        assert_eq!(
            (key.kind.as_str(), key.default.as_str()),
            (kind, default),
            "{path}"
        );
        assert!(!key.about.is_empty(), "{path}");
    }
    assert_eq!(find("forward[].url").section(), "forward");
    assert_eq!(find("ingest.verify").words.len(), 3);
    assert!(not_yet().contains(&"telemetry.otlp_endpoint"));
}
