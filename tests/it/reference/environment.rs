//! Every key can be set by its variable: whoever adds one to a section must also say how its text
//! is read.

use usher::config::{Environment, load};

use crate::reference::keys::{Key, keys, not_yet};

const ID: &str = "00000000-0000-0000-0000-000000000001";
const SIGNING_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn every_key_can_be_set_by_its_variable() {
    let keys = keys();
    let not_yet = not_yet();
    let mut faults: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| !key.path.contains("[]")) {
        let variable = format!("USHER_{}", key.path.to_uppercase().replace('.', "__"));
        let value = plausible(key);
        let environment = Environment::of(&[(variable.as_str(), value.as_str())]);
        if let Err(error) = load(None, &environment) {
            let told = error.to_string();
            let is_promised = not_yet.contains(&key.path.as_str());
            if !(is_promised && told.ends_with("cannot do that yet")) {
                faults.push(format!("{value}: {told}"));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "keys that their variables cannot set; is `read_variable` in src/config/load.rs to know them?\n{}",
        faults.join("\n")
    );
}

#[test]
fn the_entries_of_lists_are_tried_whole() {
    let keys = keys();
    for key in &keys {
        let Some((list, member)) = key.path.split_once("[].") else {
            continue;
        };
        let list = keys.iter().find(|key| key.path == list);
        let value = plausible(list.expect("the list is a key too"));
        assert!(
            value.contains(&format!("\"{member}\":")),
            "give {} a value in {}",
            key.path,
            file!()
        );
    }
}

/// A value of the type of a key, as a variable has it. A switch is set to what it may be in every
/// version.
fn plausible(key: &Key) -> String {
    let text = match (key.path.as_str(), key.of.as_str()) {
        ("ingest.path", _) => "/hook",
        ("notify.allow_private", _) => r#"["hooks.corp.example"]"#,
        ("kafka.options", _) => r#"{"linger.ms":"5"}"#,
        ("forward", _) => r#"[{"url":"https://siem.example/x","authorization":"s3cret"}]"#,
        ("console.tokens", _) => {
            return format!(
                r#"[{{"name":"ada","role":"operator","portals":["{ID}"],"token":"s3cret"}}]"#
            );
        }
        ("hooks.senders", _) => {
            return format!(
                r#"[{{"name":"hr","secret":"{SIGNING_KEY}","types":["com.example.*"],"portals":["{ID}"]}}]"#
            );
        }
        (_, "bool") => "false",
        (_, "OrgLogs") => "off",
        (_, "Duration") => "10d",
        (_, "HookSecret") => SIGNING_KEY,
        (_, "PathBuf") => "/nowhere",
        (_, "Secret") => "s3cret",
        (_, "SocketAddr") => "127.0.0.1:0",
        (_, "String") => "debug",
        (_, "Url") => "https://eu.api.konghq.com",
        (_, "Uuid") => ID,
        (_, "Vec<Secret>") => r#"["s3cret"]"#,
        (_, "Vec<IpNet>") => r#"["10.0.0.0/8"]"#,
        (_, "Vec<Uuid>") => return format!(r#"["{ID}"]"#),
        (_, "u32" | "u64" | "usize") => "7",
        (path, of) => match key.words.first() {
            Some((word, _)) => word.as_str(),
            None => panic!("give {path} a value, or every {of}, in {}", file!()),
        },
    };
    text.to_owned()
}
