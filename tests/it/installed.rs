//! What is installed beside the binary: completions of shells, and man pages. Both name every
//! command.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use tokio::process::Command;

use crate::cli::{run, scratch, text};
use crate::reference::commands;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// The whole name of every command below `usher`, as it is typed.
fn commands() -> Vec<String> {
    let root = commands::command();
    let all = commands::all(&root).into_iter();
    all.map(|command| commands::name(command).to_owned())
        .collect()
}

#[tokio::test]
async fn each_shell_has_completions_that_name_every_command() {
    let home = scratch();
    for shell in SHELLS {
        let ended = run(home.path(), &["completions", shell]).await;
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        let script = text(&ended.stdout);
        for command in commands() {
            let last = command.split(' ').next_back().unwrap();
            assert!(script.contains(last), "{shell} knows no {command}");
        }
        assert!(script.contains("token-file"), "{shell}");
    }
    let ended = run(home.path(), &["completions", "csh"]).await;
    assert_eq!(ended.status.code(), Some(2));
    let said = text(&ended.stderr);
    assert!(
        said.contains("bash, elvish, fish, powershell, zsh"),
        "{said}"
    );
}

#[tokio::test]
async fn bash_can_read_its_completions() {
    let home = scratch();
    let ended = run(home.path(), &["completions", "bash"]).await;
    let script = home.path().join("usher");
    fs::write(&script, &ended.stdout).unwrap();
    let read = Command::new("bash").arg("-n").arg(&script).output().await;
    let read = match read {
        // Not every machine has this shell.
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        read => read.unwrap(),
    };
    assert!(read.status.success(), "{}", text(&read.stderr));
}

#[tokio::test]
async fn the_man_page_names_the_commands_and_a_folder_has_a_page_of_each() {
    let home = scratch();
    let ended = run(home.path(), &["man"]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    let page = text(&ended.stdout).replace("\\-", "-");
    assert!(
        page.starts_with(".ie ") || page.starts_with(".TH "),
        "{page}"
    );
    for command in commands() {
        let parts: Vec<&str> = command.split(' ').collect();
        if let ["usher", name] = parts[..] {
            assert!(page.contains(&format!("usher-{name}(1)")), "{command}");
        }
    }

    let ended = run(home.path(), &["man", "--dir", "share/man1"]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    let mut expected: BTreeSet<String> = commands()
        .iter()
        .map(|command| format!("{}.1", command.replace(' ', "-")))
        .collect();
    expected.insert("usher.1".to_owned());
    let folder = fs::read_dir(home.path().join("share/man1")).unwrap();
    let found: BTreeSet<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected);
    let said = text(&ended.stdout);
    assert_eq!(said, format!("{} pages in share/man1\n", found.len()));
    let page = fs::read_to_string(home.path().join("share/man1/usher-init.1")).unwrap();
    assert!(page.contains(".SH SYNOPSIS"), "{page}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let home = scratch();
    fs::write(home.path().join("file"), "").unwrap();
    fs::create_dir_all(home.path().join("taken/usher.1")).unwrap();
    for (dir, expected) in [
        ("file", "usher: could not make file: "),
        ("file/below", "usher: could not make file/below: "),
        ("taken", "usher: could not write taken/usher.1: "),
    ] {
        let ended = run(home.path(), &["man", "--dir", dir]).await;
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.starts_with(expected), "{said}");
    }
}
