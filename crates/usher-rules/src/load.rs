//! From the text of a rules file to a checked rule set. Reports every mistake in one run, and
//! returns no rule set while there is one: half a file is not what anybody meant.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cel::{Context, Env};
use sha2::{Digest, Sha256};

use crate::condition::{Condition, language};
use crate::domain::normal_form;
use crate::mistake::Mistake;
use crate::node::{Node, Yaml};
use crate::reader::{Fields, Reader};
use crate::schema;
use crate::{BY_HAND, Deed, Mode, OnLimit, Rule, RuleSet, deed_form, functions, lenient, values};

/// The only version of the file's form that there is.
const VERSION: i128 = 1;
/// A search of a longer list would take too long; see `cost`.
const MAX_LIST_ENTRIES: usize = 10_000;
const DEFAULT_LIMIT_PER_HOUR: u32 = 100;
const DEFAULT_MAX_AGE: Duration = Duration::from_hours(1);

const FILE_KEYS: &[&str] = &["version", "lists", "rules"];
const RULE_KEYS: &[&str] = &[
    "name",
    "on",
    "when",
    "then",
    "mode",
    "limit_per_hour",
    "on_limit",
    "max_age",
    "priority",
    "portals",
    "include_own",
];

type Lists = BTreeMap<String, Vec<String>>;

/// Reads and checks a rules file; `file` is its name in the mistakes.
pub fn load(text: &str, file: &str) -> Result<RuleSet, Vec<Mistake>> {
    let mut reader = Reader::new(text, file);
    let env = language();
    let loaded = match Node::parse(text) {
        Ok(document) => read_file(&mut reader, &document, &env),
        Err((place, message)) => {
            reader.report(place, format!("not YAML: {message}"));
            None
        }
    };
    let (mistakes, warnings) = reader.into_found();
    match loaded {
        Some((lists, rules)) if mistakes.is_empty() => Ok(RuleSet {
            warnings,
            fingerprint: Some(fingerprint(text)),
            ..RuleSet::new(env, lists, rules)
        }),
        _ => Err(mistakes),
    }
}

impl RuleSet {
    /// A rule set that never decides anything.
    pub fn empty() -> Self {
        Self::new(language(), Lists::new(), Vec::new())
    }

    fn new(env: Env, lists: Lists, mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| Reverse(rule.priority));
        let mut context = Context::with_env(Arc::new(env));
        functions::add_to(&mut context);
        context.add_variable_from_value("lists", values::lists(&lists));
        Self {
            rules,
            lists,
            warnings: Vec::new(),
            fingerprint: None,
            context,
        }
    }
}

/// The beginning of the SHA-256 of a file: enough to distinguish files that run beside each other.
fn fingerprint(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let first = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
    format!("{first:032x}")
}

fn read_file(reader: &mut Reader<'_>, document: &Node, env: &Env) -> Option<(Lists, Vec<Rule>)> {
    if matches!(document.value, Yaml::Null) {
        reader.report(
            document.place,
            "the file is empty; expected version: 1 and rules",
        );
        return None;
    }
    let fields = reader.fields(document, "a rules file", FILE_KEYS)?;
    match fields.get("version") {
        Some(node) if matches!(node.value, Yaml::Integer(VERSION)) => {}
        Some(node) => reader.report(node.place, "expected version 1"),
        None => reader.report(document.place, "version is missing; expected version: 1"),
    }
    let lists = fields
        .get("lists")
        .map(|node| read_lists(reader, node))
        .unwrap_or_default();
    let mut rules: Vec<Rule> = Vec::new();
    if let Some(node) = fields.get("rules") {
        for item in reader.list(node, "a list of rules").unwrap_or_default() {
            let rule = read_rule(reader, item, env, &lists, &rules);
            rules.extend(rule);
        }
    }
    Some((lists, rules))
}

fn read_lists(reader: &mut Reader<'_>, node: &Node) -> Lists {
    let mut lists = Lists::new();
    let Yaml::Map(entries) = &node.value else {
        reader.unexpected(node, "a map from names to lists");
        return lists;
    };
    for (key, value) in entries {
        let Some(name) = reader.text(key, "the name of a list") else {
            continue;
        };
        if !is_name(name) {
            let message =
                format!("{name:?} cannot be named in a condition; expected letters, digits and _");
            reader.report(key.place, message);
        }
        if lists.contains_key(name) {
            reader.report(key.place, format!("{name} is given twice"));
        }
        let items = reader.list(value, "a list of texts").unwrap_or_default();
        if items.len() > MAX_LIST_ENTRIES {
            let message = format!(
                "the list has {} entries, at most {MAX_LIST_ENTRIES} are allowed",
                items.len()
            );
            reader.report(value.place, message);
        }
        let items = items.iter().filter_map(|item| reader.text(item, "a text"));
        lists.insert(name.to_owned(), items.map(normal_entry).collect());
    }
    lists
}

/// Brings a domain to the form that `domain()` returns; leaves all else as written.
fn normal_entry(entry: &str) -> String {
    let domain = if entry.contains('.') {
        normal_form(entry)
    } else {
        None
    };
    domain.unwrap_or_else(|| entry.to_owned())
}

/// Whether CEL reads the word as an identifier.
fn is_name(word: &str) -> bool {
    const RESERVED: &[&str] = &["true", "false", "null", "in"];
    !word.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&word)
}

fn read_rule(
    reader: &mut Reader<'_>,
    node: &Node,
    env: &Env,
    lists: &Lists,
    earlier: &[Rule],
) -> Option<Rule> {
    let fields = reader.fields(node, "a rule", RULE_KEYS)?;
    for required in ["name", "on", "then"] {
        if fields.get(required).is_none() {
            reader.report(node.place, format!("{required} is missing in this rule"));
        }
    }
    let name = fields.get("name");
    let name = name.and_then(|node| read_name(reader, node, earlier));
    let on = fields.get("on").and_then(|node| read_signal(reader, node));
    let when = read_condition(reader, &fields, env, on.as_deref(), lists);
    let then = fields
        .get("then")
        .map(|node| deed_form::read(reader, node, on.as_deref()));
    if let (Some(node), Some(when)) = (fields.get("when"), &when)
        && then.iter().flatten().any(Deed::lets_in)
    {
        for (offset, message) in lenient::find(when.program(), when.text()) {
            let place = node.place_of(reader.document, offset);
            reader.warn(place, message);
        }
    }
    let mode = fields.get("mode").and_then(|node| {
        let modes = [Mode::Live, Mode::Shadow, Mode::Off];
        reader.word(node, &modes.map(|mode| (mode.name(), mode)))
    });
    let limit_per_hour = fields
        .get("limit_per_hour")
        .and_then(|node| reader.number(node, "a number of deeds, 0 for no limit"));
    let on_limit = fields.get("on_limit").and_then(|node| {
        let choices = [OnLimit::Delay, OnLimit::Park];
        reader.word(node, &choices.map(|choice| (choice.name(), choice)))
    });
    let max_age = fields.get("max_age").and_then(|node| reader.duration(node));
    let priority = fields
        .get("priority")
        .and_then(|node| reader.number(node, "a whole number"));
    let portals = fields.get("portals").map(|node| {
        let ids = reader
            .list(node, "a list of portal ids")
            .unwrap_or_default();
        if matches!(&node.value, Yaml::List(ids) if ids.is_empty()) {
            reader.report(
                node.place,
                "expected at least one portal id; leave portals out for all",
            );
        }
        ids.iter()
            .filter_map(|id| deed_form::read_id(reader, id))
            .collect()
    });
    let include_own = fields
        .get("include_own")
        .and_then(|node| reader.boolean(node));
    Some(Rule {
        name: name?,
        on: on.unwrap_or_default(),
        when,
        then: then.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
        limit_per_hour: limit_per_hour.unwrap_or(DEFAULT_LIMIT_PER_HOUR),
        on_limit: on_limit.unwrap_or_default(),
        max_age: max_age.unwrap_or(DEFAULT_MAX_AGE),
        priority: priority.unwrap_or_default(),
        portals,
        include_own: include_own.unwrap_or_default(),
    })
}

fn read_name(reader: &mut Reader<'_>, node: &Node, earlier: &[Rule]) -> Option<String> {
    let name = reader.text(node, "a name")?;
    if earlier.iter().any(|rule| rule.name == name) {
        reader.report(node.place, format!("there is another rule named {name:?}"));
    }
    if name.trim() == BY_HAND {
        let message = format!("{BY_HAND:?} means what people ask for; expected another name");
        reader.report(node.place, message);
    }
    Some(name.to_owned())
}

fn read_signal(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let kind = reader.text(node, "the kind of a signal")?;
    if schema::is_signal(kind) {
        return Some(kind.to_owned());
    }
    let known = schema::SIGNALS.join(", ");
    reader.report(
        node.place,
        format!("there is no signal {kind:?}; expected {known} or custom.<type>"),
    );
    None
}

fn read_condition(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    env: &Env,
    on: Option<&str>,
    lists: &Lists,
) -> Option<Condition> {
    let node = fields.get_even_empty("when")?;
    if node.follows_exclamation_mark(reader.document) {
        reader.report(
            node.place,
            "YAML takes a leading ! for a tag; put the condition in quotes",
        );
        return None;
    }
    let text = match &node.value {
        Yaml::Bool(true) => "true",
        Yaml::Bool(false) => "false",
        _ => reader.text(node, "a condition")?,
    };
    // Where the signal is unknown, a custom one has all facts.
    let signal = on.unwrap_or("custom.unknown");
    match Condition::compile(env, text, signal, lists) {
        Ok(condition) => Some(condition),
        Err(findings) => {
            for (offset, message) in findings {
                let place = node.place_of(reader.document, offset);
                reader.report(place, message);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::uuid;

    use crate::{Deed, Mode, OnLimit, TeamRef, load};

    /// The mistakes of a file, one a line.
    fn mistakes(text: &str) -> String {
        let mistakes = load(text, "rules.yaml").err().unwrap_or_default();
        mistakes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The mistakes of a file with one rule, given by its lines after the name.
    fn rule_mistakes(lines: &str) -> String {
        let lines = lines.replace('\n', "\n    ");
        mistakes(&format!("version: 1\nrules:\n  - name: r\n    {lines}\n"))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn loads_every_setting_of_a_rule() {
        let rules = load(
            r#"
version: 1
lists:
  partners: [Arsenal.com, bücher.example, "ann@Bücher.example", Gold]
rules:
  - name: everything
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in ["arsenal.com"]
    then:
      - approve_developer
      - {add_to_team: Partners}
      - {add_to_team: {name: New, create: true}}
      - {add_to_team: {id: 7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10}}
      - remove_from_team: Guests
      - {park: look at this}
    mode: shadow
    limit_per_hour: 0
    on_limit: park
    max_age: 2d
    priority: -7
    portals: [7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10]
    include_own: true
  - name: little
    on: custom.com.example.hired
    then: [reject_developer]
"#,
            "rules.yaml",
        )
        .expect("the file is right");
        let id = uuid!("7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10");
        let expected = [
            "arsenal.com",
            "xn--bcher-kva.example",
            "ann@Bücher.example",
            "Gold",
        ];
        assert_eq!(rules.lists()["partners"], expected);
        let [little, everything] = rules.rules() else {
            panic!("two rules, not {rules:?}")
        };

        assert_eq!(everything.name, "everything");
        assert_eq!(everything.on, "developer.signed_up");
        assert!(
            everything
                .when
                .as_ref()
                .is_some_and(|when| when.text().starts_with("developer."))
        );
        let team = |name: &str| TeamRef::Name(name.to_owned());
        assert_eq!(
            everything.then,
            [
                Deed::ApproveDeveloper,
                Deed::AddToTeam {
                    team: team("Partners"),
                    create: false
                },
                Deed::AddToTeam {
                    team: team("New"),
                    create: true
                },
                Deed::AddToTeam {
                    team: TeamRef::Id(id),
                    create: false
                },
                Deed::RemoveFromTeam {
                    team: team("Guests")
                },
                Deed::Park {
                    reason: "look at this".to_owned()
                },
            ]
        );
        assert_eq!(everything.mode, Mode::Shadow);
        assert_eq!(everything.limit_per_hour, 0);
        assert_eq!(everything.on_limit, OnLimit::Park);
        assert_eq!(everything.max_age, Duration::from_hours(48));
        assert_eq!(everything.priority, -7);
        assert_eq!(everything.portals, Some(vec![id]));
        assert!(everything.include_own);

        assert!(little.when.is_none());
        assert_eq!(little.mode, Mode::Live);
        assert_eq!(little.limit_per_hour, 100);
        assert_eq!(little.on_limit, OnLimit::Delay);
        assert_eq!(little.max_age, Duration::from_hours(1));
        assert_eq!(little.priority, 0);
        assert_eq!(little.portals, None);
        assert!(!little.include_own);
    }

    #[test]
    fn tells_all_mistakes_of_a_file_in_one_run_and_in_its_order() {
        insta::assert_snapshot!(mistakes(r#"
version: 2
lists:
  partners: [arsenal.com, 7, ""]
  no-name: [a]
  partners: [b]
rules:
  - name: a
    on: developer.singed_up
    then: [aprove_developer]
    mode: on
    colour: red
  - name: a
    on: developer.signed_up
    when: developer.emial == "x" && domain(developer.email) in lists.partnrs
    then: [approve_registration, {notify: {url: "https://hooks.example"}}]
    max_age: soon
  - on: developer.signed_up
    then: []
extra: 1
"#), @r#"
        rules.yaml:2:10: expected version 1
        rules.yaml:4:27: expected a text in quotes, this is a number
        rules.yaml:4:30: expected a text, this is empty
        rules.yaml:5:3: "no-name" cannot be named in a condition; expected letters, digits and _
        rules.yaml:6:3: partners is given twice
        rules.yaml:9:9: there is no signal "developer.singed_up"; expected developer.signed_up, developer.authenticated, developer.login_failed, application.created, registration.requested, developer.status_changed, registration.status_changed, membership.changed, access.denied, usher.webhook_inactive, usher.gap_found, usher.gap_expires, usher.token_refused, usher.signatures_failing, usher.spool_filling, usher.outbox_old, usher.reader_abandoned, usher.silence or custom.<type>
        rules.yaml:10:12: there is no deed "aprove_developer"; expected approve_developer, reject_developer, revoke_developer, invite_developer, approve_registration, reject_registration, revoke_registration, add_to_team, remove_from_team, notify or park
        rules.yaml:11:11: expected live, shadow or off, this is "on"
        rules.yaml:12:5: a rule has no "colour"; expected name, on, when, then, mode, limit_per_hour, on_limit, max_age, priority, portals or include_own
        rules.yaml:13:11: there is another rule named "a"
        rules.yaml:15:21: a developer has no member "emial"; expected id, email, full_name, status, created_at, teams or applications
        rules.yaml:15:70: there is no list "partnrs"; expected no-name or partners
        rules.yaml:16:12: approve_registration needs a registration, which developer.signed_up does not have; expected registration.requested, registration.status_changed or custom.<type> in on
        rules.yaml:17:14: expected a duration such as 45s, 30m, 1h or 2d, this is "soon"
        rules.yaml:18:5: name is missing in this rule
        rules.yaml:19:11: expected at least one deed
        rules.yaml:20:1: a rules file has no "extra"; expected version, lists or rules
        "#);
    }

    #[test]
    fn no_rule_has_the_name_that_stands_for_people() {
        let rule = |name: &str| {
            let rest = "on: developer.signed_up\n    then: [approve_developer]";
            mistakes(&format!(
                "version: 1\nrules:\n  - name: {name:?}\n    {rest}\n"
            ))
        };
        let expected =
            r#"rules.yaml:3:11: "(by hand)" means what people ask for; expected another name"#;
        assert_eq!(rule("(by hand)"), expected);
        assert_eq!(rule(" (by hand) "), expected);
        assert_eq!(rule("by hand"), "");
    }

    #[test]
    fn what_is_about_usher_itself_can_only_be_notified_of() {
        let notify = r#"{notify: {url: "https://hooks.example/x"}}"#;
        let rule = |deed: &str| rule_mistakes(&format!("on: usher.spool_filling\nthen: [{deed}]"));
        assert_eq!(rule(notify), "");
        for deed in [
            "approve_developer",
            "approve_registration",
            "invite_developer",
            "{park: why}",
        ] {
            let name = deed
                .trim_start_matches('{')
                .split(':')
                .next()
                .unwrap_or_default();
            let both = format!("{notify}, {deed}");
            let expected = format!(
                "rules.yaml:5:56: {name} has nobody to be done to: usher.spool_filling is about usher itself; expected notify"
            );
            assert_eq!(rule(&both), expected);
        }
        let unknown = rule_mistakes(&format!("on: usher.everything\nthen: [{notify}]"));
        assert!(
            unknown.starts_with("rules.yaml:4:9: there is no signal"),
            "{unknown}"
        );
    }

    #[test]
    fn tells_what_is_wrong_with_the_file_as_a_whole() {
        for (text, expected) in [
            (
                "",
                "rules.yaml:1:1: the file is empty; expected version: 1 and rules",
            ),
            (
                "rules: []\n",
                "rules.yaml:1:1: version is missing; expected version: 1",
            ),
            (
                "- 1\n",
                "rules.yaml:1:1: expected a rules file with version, lists or rules, this is a list",
            ),
            (
                "version: 1\nrules: 3\n",
                "rules.yaml:2:8: expected a list of rules, this is a number",
            ),
            (
                "version: 1\nversion: 1\n",
                "rules.yaml:2:1: version is given twice",
            ),
            (
                "version: 1\nlists: [a]\n",
                "rules.yaml:2:8: expected a map from names to lists, this is a list",
            ),
            (
                "version: 1\nrules: [\n",
                "rules.yaml:2:8: not YAML: unclosed bracket '['",
            ),
            (
                "version: 1\n---\nversion: 1\n",
                "rules.yaml:3:1: not YAML: multiple YAML documents detected",
            ),
            ("version: 1\n", ""),
        ] {
            assert_eq!(mistakes(text), expected, "{text:?}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn tells_what_is_wrong_with_a_rule() {
        let base = "on: developer.signed_up\nthen: [approve_developer]\n";
        for (line, expected) in [
            (
                "mode: Live",
                r#"rules.yaml:6:11: expected live, shadow or off, this is "Live""#,
            ),
            (
                "limit_per_hour: -1",
                "rules.yaml:6:21: expected a number of deeds, 0 for no limit, -1 is out of range",
            ),
            (
                "limit_per_hour: many",
                "rules.yaml:6:21: expected a number of deeds, 0 for no limit, this is text",
            ),
            (
                "on_limit: drop",
                r#"rules.yaml:6:15: expected delay or park, this is "drop""#,
            ),
            (
                "max_age: 90",
                "rules.yaml:6:14: expected a duration such as 45s, 30m, 1h or 2d, this is a number",
            ),
            (
                "max_age: 1w",
                r#"rules.yaml:6:14: expected a duration such as 45s, 30m, 1h or 2d, this is "1w""#,
            ),
            (
                "max_age: 0s",
                r#"rules.yaml:6:14: expected a duration such as 45s, 30m, 1h or 2d, this is "0s""#,
            ),
            (
                "max_age: 1h30m",
                r#"rules.yaml:6:14: expected a duration such as 45s, 30m, 1h or 2d, this is "1h30m""#,
            ),
            (
                "max_age: 99999999999999999999d",
                r#"rules.yaml:6:14: expected a duration such as 45s, 30m, 1h or 2d, this is "99999999999999999999d""#,
            ),
            (
                "priority: high",
                "rules.yaml:6:15: expected a whole number, this is text",
            ),
            (
                "portals: []",
                "rules.yaml:6:14: expected at least one portal id; leave portals out for all",
            ),
            (
                "portals: [here]",
                r#"rules.yaml:6:15: expected an id such as 7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10, this is "here""#,
            ),
            (
                "include_own: yes",
                "rules.yaml:6:18: expected true or false, this is text",
            ),
            (
                "when:",
                "rules.yaml:6:9: expected a condition, this is nothing",
            ),
            (
                "when: 3",
                "rules.yaml:6:11: expected a condition in quotes, this is a number",
            ),
            (
                "when: [a]",
                "rules.yaml:6:11: expected a condition, this is a list",
            ),
            ("when: true", ""),
            ("when: \"true\"", ""),
            (
                "when: ! is_freemail(developer.email)",
                "rules.yaml:6:13: YAML takes a leading ! for a tag; put the condition in quotes",
            ),
            (
                "when: !is_freemail(developer.email)",
                "rules.yaml:6:40: not YAML: unsupported tag `!is_freemail(developer.email)`; text that begins with ! stands in quotes",
            ),
            (
                "on: application.created",
                "rules.yaml:6:5: on is given twice",
            ),
        ] {
            assert_eq!(
                rule_mistakes(&format!("{base}{line}")),
                expected,
                "{line:?}"
            );
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn tells_what_is_wrong_with_a_deed() {
        for (then, expected) in [
            (
                "approve_developer",
                "rules.yaml:5:11: expected a list of deeds, this is text",
            ),
            ("[]", "rules.yaml:5:11: expected at least one deed"),
            ("[3]", "rules.yaml:5:12: expected a deed, this is a number"),
            (
                "[{}]",
                "rules.yaml:5:12: expected one deed, this is a map with several keys or none",
            ),
            (
                "[{approve_developer: now}]",
                "rules.yaml:5:32: approve_developer takes no value",
            ),
            ("[{approve_developer: }]", ""),
            (
                "[add_to_team]",
                "rules.yaml:5:12: add_to_team needs a team; expected {add_to_team: the team's name}",
            ),
            (
                "[{add_to_team: 3}]",
                "rules.yaml:5:26: expected the name of a team in quotes, this is a number",
            ),
            (
                "[{add_to_team: {create: true}}]",
                "rules.yaml:5:26: add_to_team needs either a name or an id",
            ),
            (
                "[{add_to_team: {name: A, id: B}}]",
                "rules.yaml:5:26: add_to_team needs either a name or an id",
            ),
            (
                "[{add_to_team: {id: B}}]",
                r#"rules.yaml:5:31: expected an id such as 7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10, this is "B""#,
            ),
            (
                "[{add_to_team: {id: 7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10, create: true}}]",
                "rules.yaml:5:26: a team is made by its name; expected name instead of id",
            ),
            (
                "[{remove_from_team: {name: A, create: true}}]",
                r#"rules.yaml:5:41: remove_from_team has no "create"; expected name or id"#,
            ),
            (
                "[park]",
                "rules.yaml:5:12: park needs a reason; expected {park: the reason}",
            ),
            (
                "[{park: \" \"}]",
                "rules.yaml:5:19: expected a reason, this is empty",
            ),
            (
                "[{add_to_team: A, park: B}]",
                "rules.yaml:5:12: expected one deed, this is a map with several keys or none",
            ),
            (
                "[revoke_registration]",
                "rules.yaml:5:12: revoke_registration needs a registration, which developer.signed_up does not have; expected registration.requested, registration.status_changed or custom.<type> in on",
            ),
            (
                "[invite_developer]",
                "rules.yaml:5:12: invite_developer needs event.data.email, which developer.signed_up does not have; expected custom.<type> in on",
            ),
            (
                "[{notify: {format: slack}}]",
                "rules.yaml:5:21: notify needs a url",
            ),
            (
                "[{notify: {url: \"https://u:p@hooks.example/x\"}}]",
                "rules.yaml:5:27: expected an http or https url of at most 1000 characters without credentials, or file:PATH",
            ),
            (
                "[{notify: {url: \"https://hooks.example/x\", secret: whsec_abc}}]",
                "rules.yaml:5:62: a secret does not belong into a rules file; expected file:PATH",
            ),
            (
                "[{notify: {url: \"https://hooks.example/x\", format: teams}}]",
                "rules.yaml:5:62: expected standard or slack, this is \"teams\"",
            ),
            (
                "[approve_developer, revoke_developer]",
                "rules.yaml:5:31: revoke_developer contradicts approve_developer of the same rule",
            ),
            (
                "[reject_registration]",
                "rules.yaml:5:12: reject_registration needs a registration, which developer.signed_up does not have; expected registration.requested, registration.status_changed or custom.<type> in on",
            ),
            (
                "[approve_developer, reject_developer]",
                "rules.yaml:5:31: reject_developer contradicts approve_developer of the same rule",
            ),
            (
                "[approve_developer, approve_developer]",
                "rules.yaml:5:31: approve_developer is given twice",
            ),
            (
                "[{add_to_team: A}, {remove_from_team: A}]",
                "rules.yaml:5:30: remove_from_team A contradicts add_to_team A of the same rule",
            ),
            ("[{add_to_team: A}, {remove_from_team: B}]", ""),
        ] {
            let rule = format!("on: developer.signed_up\nthen: {then}");
            assert_eq!(rule_mistakes(&rule), expected, "{then:?}");
        }
    }

    #[test]
    fn nothing_is_done_to_whom_the_same_rule_invites() {
        let hint = "has nobody to be done to beside invite_developer: whom that invites is no developer before they accept; expected a rule of its own on developer.signed_up";
        for (then, expected) in [
            ("[invite_developer]", String::new()),
            (
                "[invite_developer, {notify: {url: \"https://hooks.example/x\"}}]",
                String::new(),
            ),
            (
                "[invite_developer, {add_to_team: Partners}]",
                format!("rules.yaml:5:30: add_to_team {hint}"),
            ),
            (
                "[approve_developer, invite_developer]",
                format!("rules.yaml:5:12: approve_developer {hint}"),
            ),
            (
                "[{invite_developer: {status: pending}}, {park: look}]",
                format!("rules.yaml:5:51: park {hint}"),
            ),
        ] {
            let rule = format!("on: custom.hired\nthen: {then}");
            assert_eq!(rule_mistakes(&rule), expected, "{then:?}");
        }
    }

    #[test]
    fn finds_the_place_in_a_condition_however_yaml_writes_it() {
        for (when, expected) in [
            (
                "developer.nope",
                r#"rules.yaml:6:21: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "'developer.nope'",
                r#"rules.yaml:6:22: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "\"developer.nope\"",
                r#"rules.yaml:6:22: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "'\"it''s\" == developer.nope'",
                r#"rules.yaml:6:33: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "\"\\\"é\\\" == developer.nope\"",
                r#"rules.yaml:6:31: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "developer.email == 'é' ||\n  developer.nope == 'x'",
                r#"rules.yaml:7:17: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "|\n  developer.email == 'é' ||\n    developer.nope == 'x'",
                r#"rules.yaml:8:19: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                ">-\n  developer.email == 'a' ||\n\n  developer.nope == 'x'",
                r#"rules.yaml:9:17: a developer has no member "nope"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
        ] {
            let rule = format!("on: developer.signed_up\nthen: [approve_developer]\nwhen: {when}");
            assert_eq!(rule_mistakes(&rule), expected, "{when:?}");
        }
    }
}
