//! `commands.md`: every command with what it is for, its usage and its arguments, from clap.

use clap::{Arg, Command};

use crate::reference::page::{Part, cell, hold, table};

/// Arguments that nearly every command has, told once.
const SHARED: [&str; 2] = ["config", "json"];
/// A command that has both in their common meaning.
const MODEL: &str = "migrate";
/// The subcommand that does what its command does without one.
const LIST: &str = "list";

#[test]
fn the_page_on_commands_is_made_of_the_command_line() {
    let root = command();
    let mut parts = vec![shared(&root)];
    let with_a_part = |command: &&Command| !is_same_list(&root, command);
    parts.extend(
        all(&root)
            .into_iter()
            .filter(with_a_part)
            .map(|command| part(&root, command)),
    );
    hold("commands", &parts);
}

/// The command line with all that clap adds to it.
pub(crate) fn command() -> Command {
    let mut command = usher::cli::command();
    command.build();
    command
}

/// Every command below `command`, each followed by those below it.
pub(crate) fn all(command: &Command) -> Vec<&Command> {
    let mut found = Vec::new();
    for below in below(command) {
        found.push(below);
        found.extend(all(below));
    }
    found
}

/// The commands right below one that are told to people.
fn below(command: &Command) -> impl Iterator<Item = &Command> {
    let all = command.get_subcommands();
    all.filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

/// The whole name, as it is typed.
pub(crate) fn name(command: &Command) -> &str {
    let name = command.get_bin_name();
    name.unwrap_or_else(|| command.get_name())
}

/// The arguments of a command that are told to people.
pub(crate) fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let all = command.get_arguments();
    all.filter(|it| !it.is_hide_set() && !["help", "version"].contains(&it.get_id().as_str()))
}

fn rows(command: &Command) -> Vec<[String; 3]> {
    arguments(command).map(row).collect()
}

fn row(argument: &Arg) -> [String; 3] {
    let help = argument.get_long_help();
    let help = help.or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let (meaning, told) = without_default(&help);
    let words = argument.get_possible_values();
    let words = words.iter().filter(|word| !word.is_hide_set());
    let words: Vec<String> = words.map(|word| format!("`{}`", word.get_name())).collect();
    let meaning = if words.is_empty() {
        meaning.to_owned()
    } else {
        format!("{meaning}: {}", words.join(", "))
    };
    let short = argument.get_short().filter(|_| !argument.is_positional());
    let short = short.filter(|_| argument.get_long().is_some());
    let short = short.map_or_else(String::new, |short| format!("-{short}, "));
    [
        format!("`{short}{argument}`"),
        default(argument).unwrap_or_else(|| told.map_or_else(|| "–".to_owned(), cell)),
        cell(&meaning),
    ]
}

/// The default that clap knows.
fn default(argument: &Arg) -> Option<String> {
    let values = argument.get_default_values();
    let is_told = argument.get_action().takes_values() && !argument.is_hide_default_value_set();
    if values.is_empty() || !is_told {
        return None;
    }
    let values = values.iter().map(|value| value.to_string_lossy());
    let values: Vec<String> = values.map(|value| format!("`{value}`")).collect();
    Some(values.join(", "))
}

/// Parts a default that the help tells in words from the rest.
fn without_default(help: &str) -> (&str, Option<&str>) {
    let parts = help
        .strip_suffix(']')
        .and_then(|help| help.rsplit_once("[default: "));
    match parts {
        Some((help, default)) => (help.trim_end(), Some(default)),
        None => (help, None),
    }
}

/// What nearly all commands take, with those that do not.
fn shared(root: &Command) -> Part {
    let model = root.find_subcommand(MODEL).expect("the model is there");
    let rows = arguments(model).filter(|it| SHARED.contains(&it.get_id().as_str()));
    let rows: Vec<[String; 4]> = rows
        .map(|argument| {
            let has_it = |it: &&Command| arguments(it).any(|own| own.get_id() == argument.get_id());
            let lacking = all(root)
                .into_iter()
                // A command that only groups others takes nothing.
                .filter(|it| !it.is_subcommand_required_set() && !has_it(it));
            let lacking: Vec<String> = lacking.map(|it| format!("`{}`", name(it))).collect();
            let [argument, default, meaning] = row(argument);
            [argument, default, meaning, lacking.join(", ")]
        })
        .collect();
    assert_eq!(rows.len(), SHARED.len(), "{MODEL} lacks one of {SHARED:?}");
    Part {
        name: "what commands share".to_owned(),
        heading: String::new(),
        text: table(["argument", "default", "meaning", "not taken by"], &rows),
    }
}

fn part(root: &Command, command: &Command) -> Part {
    let model = root.find_subcommand(MODEL).expect("the model is there");
    let shared = rows(model);
    let is_shared = |row: &[String; 3], argument: &Arg| {
        SHARED.contains(&argument.get_id().as_str()) && shared.contains(row)
    };
    let own: Vec<[String; 3]> = arguments(command)
        .map(|argument| (row(argument), argument))
        .filter(|(row, argument)| !is_shared(row, argument))
        .map(|(row, _)| row)
        .collect();
    let about = command.get_about().map(ToString::to_string);
    let about = about.expect("every command says what it is for");
    let mut text = format!("{about}.\n\n```text\n{}\n```\n", usage(command));
    if !own.is_empty() {
        text.push('\n');
        text.push_str(&table(["argument", "default", "meaning"], &own));
    }
    if let Some(list) = command.find_subcommand(LIST)
        && is_same_list(root, list)
    {
        text.push_str("\n`");
        text.push_str(name(list));
        text.push_str("` is the same.\n");
    }
    Part {
        name: name(command).to_owned(),
        heading: format!("## `{}`", name(command)),
        text,
    }
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let lines = usage.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix("Usage: ").unwrap_or(line))
        .collect();
    lines.join("\n")
}

/// Whether a command is the `list` of the command above it and takes the same.
fn is_same_list(root: &Command, command: &Command) -> bool {
    if command.get_name() != LIST {
        return false;
    }
    let above = all(root)
        .into_iter()
        .find(|above| below(above).any(|below| name(below) == name(command)));
    above.is_some_and(|above| rows(above) == rows(command))
}

#[test]
fn a_default_in_words_is_told_apart() {
    for (help, parts) in [
        ("The portal", ("The portal", None)),
        (
            "The portal [default: all of them]",
            ("The portal", Some("all of them")),
        ),
        ("[default: none]", ("", Some("none"))),
    ] {
        assert_eq!(without_default(help), parts, "{help}");
    }
}
