//! The names that others rely on: routes, keys of the configuration, metrics, commands with their
//! options. Each is in `contract.txt`; one that the code does not have any more fails, and so does
//! one that is not noted yet.

use std::collections::BTreeSet;

use clap::Arg;
use usher::config::{Config, Environment, load};

use crate::reference::page::{HOW, read, settle};
use crate::reference::{commands, http_api, keys, metrics};
use crate::support::environment::updates_pages;
use crate::tidy::tree;

const FILE: &str = "tests/it/reference/contract.txt";

#[test]
fn no_name_that_others_rely_on_is_gone() {
    let text = read(FILE);
    let recorded: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let now = names();
    let gone: Vec<&String> = recorded.difference(&now).collect();
    assert!(
        gone.is_empty(),
        "a contract is gone: {gone:#?}\nwhere that is meant, delete the line in {FILE} and say so in CHANGELOG.md"
    );
    let new: Vec<&String> = now.difference(&recorded).collect();
    assert!(
        new.is_empty() || updates_pages(),
        "names that {FILE} lacks: {new:#?}\n{HOW}"
    );
    let sorted: String = now.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
    settle(FILE, &text, &sorted);
}

/// The webhook's path must be no route of usher's own: the router would end the start.
#[test]
fn the_path_of_the_webhook_is_no_other_route() {
    let default = Config::default().ingest.path;
    let mut refused = 0;
    for route in routes() {
        let path = route.trim_start_matches("route ");
        if !path.starts_with('/') || path == default {
            continue;
        }
        let environment = Environment::of(&[("USHER_INGEST__PATH", path)]);
        let error = load(None, &environment).map(drop).expect_err(path);
        assert!(error.to_string().contains("ingest.path"), "{error}");
        refused += 1;
    }
    assert!(refused > 4, "{refused} routes");
}

/// Every name, with its sort before it.
fn names() -> BTreeSet<String> {
    let mut names = routes();
    for key in keys::keys() {
        names.insert(format!("key {}", key.path));
    }
    for name in metrics::all() {
        names.insert(format!("metric {name}"));
    }
    let root = commands::command();
    for command in commands::all(&root) {
        let name = commands::name(command);
        names.insert(format!("command {name}"));
        for option in commands::arguments(command).filter_map(Arg::get_long) {
            names.insert(format!("command {name} --{option}"));
        }
    }
    names
}

/// The operations of the document by method and path, and what is routed besides them by its path
/// alone.
fn routes() -> BTreeSet<String> {
    const ROUTE: &str = ".route(";
    let mut routes = BTreeSet::from([format!("route {}", Config::default().ingest.path)]);
    for operation in http_api::operations() {
        for path in operation.spelt_out {
            routes.insert(format!("route {} {path}", operation.method));
        }
    }
    for source in tree().iter().filter(|it| it.path.starts_with("src/")) {
        for (at, _) in source.production.match_indices(ROUTE) {
            let from = at + ROUTE.len();
            let path = source.literals.iter().find(|literal| literal.at >= from);
            let path = path.filter(|it| source.production[from..it.at].trim().is_empty());
            if let Some(path) = path.filter(|it| !it.text.starts_with("/api/")) {
                routes.insert(format!("route {}", path.text));
            }
        }
    }
    routes
}
