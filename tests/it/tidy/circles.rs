//! No circle of files in a crate: what a file names must not lead back to it, `use` after `use`.
//!
//! A folder's `mod.rs` and the files below it may name each other. A `use` is followed to the file
//! that has the item, so that no re-export hides a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::tidy::Violation;
use crate::tidy::source::{Source, is_word, words};

/// More `use`s than any item passes through: a longer way is a circle itself.
const MAX_USES: usize = 16;

/// Every use of one file by another that is part of a circle.
pub(crate) fn circles(sources: &[Source]) -> Vec<Violation> {
    let roots: BTreeSet<&str> = sources.iter().filter_map(root).collect();
    roots
        .into_iter()
        .flat_map(|root| Crate::read(root, sources).circles())
        .collect()
}

/// The folder of the crate that a file belongs to.
fn root(source: &Source) -> Option<&str> {
    let path = source.path.as_str();
    let is_covered = path.starts_with("src/") || path.starts_with("crates/");
    let at = path.find("src/")?;
    is_covered.then_some(&path[..at + "src/".len()])
}

/// The names that lead from the root of a crate to a module or an item.
type Path<'a> = Vec<&'a str>;

/// For each file the files that it uses, with the offset of the first use.
type Graph = Vec<BTreeMap<usize, usize>>;

/// The files of a crate that a build without tests contains.
pub(crate) struct Crate<'a> {
    pub(crate) files: Vec<File<'a>>,
    /// Where each module is among the files.
    places: BTreeMap<Path<'a>, usize>,
}

/// What one file names.
pub(crate) struct File<'a> {
    module: Path<'a>,
    pub(crate) source: &'a Source,
    /// What its `use`s bring in from this crate.
    names: BTreeMap<&'a str, Path<'a>>,
    /// Every path into this crate, with its offset.
    uses: Vec<(usize, Path<'a>)>,
}

/// One name that a `use` brings in.
struct Import<'a> {
    at: usize,
    name: &'a str,
    path: Path<'a>,
}

impl<'a> Crate<'a> {
    pub(crate) fn read(root: &str, sources: &'a [Source]) -> Self {
        let modules: BTreeMap<Path<'a>, &'a Source> = sources
            .iter()
            .filter_map(|source| Some((module(source.path.strip_prefix(root)?)?, source)))
            .collect();
        let children: BTreeMap<&[&str], BTreeSet<&str>> = modules
            .iter()
            .map(|(module, source)| (module.as_slice(), children(&source.production)))
            .collect();
        // What only tests declare is no part of the crate.
        let is_built = |module: &[&str]| {
            (0..module.len()).all(|end| {
                let declared = children.get(&module[..end]);
                declared.is_some_and(|declared| declared.contains(module[end]))
            })
        };
        let files: Vec<File<'a>> = modules
            .iter()
            .filter(|(module, _)| is_built(module.as_slice()))
            .map(|(module, source)| File::read(module, source, &children[module.as_slice()]))
            .collect();
        let places = files.iter().enumerate();
        let places = places.map(|(place, file)| (file.module.clone(), place));
        Self {
            places: places.collect(),
            files,
        }
    }

    fn circles(&self) -> Vec<Violation> {
        let graph = self.graph();
        let reached: Vec<BTreeSet<usize>> = (0..graph.len())
            .map(|file| reachable(&graph, file))
            .collect();
        let mut found = Vec::new();
        for (from, targets) in graph.iter().enumerate() {
            for (to, at) in targets {
                if !reached[*to].contains(&from) {
                    continue;
                }
                let circle = reached[from].iter();
                let circle: Vec<&str> = circle
                    .filter(|file| reached[**file].contains(&from))
                    .map(|file| self.files[*file].source.path.as_str())
                    .collect();
                let source = self.files[from].source;
                let message = format!(
                    "uses `{}`, which leads back here: a circle of {}; move what both need into a file of its own that uses neither, or pass it in",
                    self.files[*to].source.path,
                    circle.join(", ")
                );
                found.push(Violation::new(&source.path, source.line(*at), message));
            }
        }
        found
    }

    pub(crate) fn graph(&self) -> Graph {
        let targets = |file: &File<'a>| {
            let mut targets = BTreeMap::new();
            for (at, path) in &file.uses {
                let target = self.home(path);
                let target = target.filter(|to| !is_family(&file.module, &self.files[*to].module));
                if let Some(target) = target {
                    targets.entry(target).or_insert(*at);
                }
            }
            targets
        };
        self.files.iter().map(targets).collect()
    }

    /// The file that has the item of a path.
    fn home(&self, path: &[&'a str]) -> Option<usize> {
        let mut path = path.to_vec();
        for _ in 0..MAX_USES {
            let (end, place) = (0..=path.len())
                .rev()
                .find_map(|end| Some((end, *self.places.get(&path[..end])?)))?;
            let name = path.get(end);
            let Some(target) = name.and_then(|name| self.files[place].names.get(name)) else {
                return Some(place);
            };
            path = [target.as_slice(), &path[end + 1..]].concat();
        }
        None
    }
}

impl<'a> File<'a> {
    fn read(module: &[&'a str], source: &'a Source, children: &BTreeSet<&str>) -> Self {
        let code = source.production.as_str();
        let (imports, statements) = imports(code);
        let mut names = BTreeMap::new();
        let mut uses = Vec::new();
        for Import { at, name, path } in imports {
            if let Some(path) = absolute(module, children, &path) {
                names.insert(name, path.clone());
                uses.push((at, path));
            }
        }
        for (at, path) in inline_paths(code, &statements) {
            let imported: Option<&Path<'a>> = names.get(path[0]);
            let path = match imported {
                Some(head) => Some([head.as_slice(), &path[1..]].concat()),
                None => absolute(module, children, &path),
            };
            uses.extend(path.map(|path| (at, path)));
        }
        Self {
            module: module.to_vec(),
            source,
            names,
            uses,
        }
    }
}

/// Whether one of two modules contains the other.
fn is_family(one: &[&str], other: &[&str]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The files to which the uses of `from` lead.
fn reachable(graph: &[BTreeMap<usize, usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for to in graph[file].keys() {
            if reached.insert(*to) {
                next.push(*to);
            }
        }
    }
    reached
}

/// The module of a file, by its path below the crate's folder; none for a program's `main.rs`.
fn module(path: &str) -> Option<Path<'_>> {
    let mut names: Path<'_> = path.strip_suffix(".rs")?.split('/').collect();
    let last = names.last().copied()?;
    if names.len() == 1 && last == "main" {
        return None;
    }
    if last == "mod" || (names.len() == 1 && last == "lib") {
        names.pop();
    }
    Some(names)
}

/// The modules that code declares in files of their own.
fn children(code: &str) -> BTreeSet<&str> {
    words(code, "mod")
        .filter_map(|at| {
            let (name, _) = code[at + "mod".len()..].split_once(';')?;
            let name = name.trim();
            name.bytes().all(is_word).then_some(name)
        })
        .collect()
}

/// A path from the crate's root; none for what begins in another crate. `form` refuses `super::`.
fn absolute<'a>(
    module: &[&'a str],
    children: &BTreeSet<&str>,
    path: &[&'a str],
) -> Option<Path<'a>> {
    let (first, rest) = path.split_first()?;
    match *first {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        name if children.contains(name) => Some([module, path].concat()),
        _ => None,
    }
}

/// What the `use`s of a file bring in, and where these stand.
fn imports(code: &str) -> (Vec<Import<'_>>, Vec<Range<usize>>) {
    let (mut found, mut statements) = (Vec::new(), Vec::new());
    for at in words(code, "use") {
        let start = at + "use".len();
        let Some((tree, _)) = code[start..].split_once(';') else {
            continue;
        };
        // `use<'a>` says what a type captures.
        if !tree.starts_with('<') {
            expand(tree, at, &[], &mut found);
            statements.push(at..start + tree.len());
        }
    }
    (found, statements)
}

/// Adds what a tree of a `use` brings in.
fn expand<'a>(tree: &'a str, at: usize, prefix: &[&'a str], found: &mut Vec<Import<'a>>) {
    let Some((head, group)) = tree.split_once('{') else {
        let (path, alias) = match tree.split_once(" as ") {
            Some((path, alias)) => (path, Some(alias.trim())),
            None => (tree, None),
        };
        let mut path = [prefix, names(path).as_slice()].concat();
        if path.last().is_some_and(|last| *last == "self") {
            path.pop();
        }
        let last = path.last().copied();
        if let Some(name) = alias.or(last) {
            found.push(Import { at, name, path });
        }
        return;
    };
    let prefix = [prefix, names(head).as_slice()].concat();
    let group = group.rsplit_once('}').map_or(group, |(inside, _)| inside);
    for member in members(group) {
        expand(member, at, &prefix, found);
    }
}

/// The members of a group of a `use`, not those of groups inside it.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0_usize, 0);
    let mut members = Vec::new();
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.push(&group[start..]);
    members.retain(|member| !member.trim().is_empty());
    members
}

/// The names of a path as written.
fn names(path: &str) -> Path<'_> {
    let names = path.split("::").map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// Paths of two names or more outside of `use`s, with their offsets.
fn inline_paths<'a>(code: &'a str, statements: &[Range<usize>]) -> Vec<(usize, Path<'a>)> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].bytes().position(is_word) {
        let start = at + start;
        at = path_end(code.as_bytes(), start);
        let path = &code[start..at];
        if path.contains("::")
            && !code[..start].ends_with("::")
            && !statements
                .iter()
                .any(|statement| statement.contains(&start))
        {
            paths.push((start, names(path)));
        }
    }
    paths
}

/// Where the path ends that begins at an offset.
fn path_end(code: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        end += code[end..]
            .iter()
            .take_while(|byte| is_word(**byte))
            .count();
        let goes_on = code[end..].starts_with(b"::")
            && code
                .get(end + "::".len())
                .is_some_and(|byte| is_word(*byte));
        if !goes_on {
            return end;
        }
        end += "::".len();
    }
}

#[cfg(test)]
mod tests {
    use super::circles;
    use crate::tidy::source::Source;

    /// The violations of a crate with one room, `act`, of the files `a`, `b` and `c`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![
            ("src/lib.rs", "pub mod act; pub mod journal;"),
            ("src/journal/mod.rs", "pub struct Journal;"),
        ];
        if !files.iter().any(|(path, _)| *path == "src/act/mod.rs") {
            all.push(("src/act/mod.rs", "mod a; mod b; mod c; pub use a::A;"));
        }
        all.extend(files);
        let sources: Vec<Source> = all
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        circles(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finds_a_circle_however_a_file_is_named() {
        for back in [
            "use crate::act::a::A;",
            "use crate::act::A;",
            "use crate::act::A as Other;",
            "use crate::{journal::Journal, act::{a::{self, A}}};",
            "fn b(a: &crate::act::A) {}",
            "fn b() { crate::act::a::run() }",
            "use crate::act::a;\nfn b() { a::run() }",
            "use crate::act;\nfn b() { act::A::new() }",
            "fn b() { use crate::act::a::run; run() }",
        ] {
            let found = found(&[
                ("src/act/a.rs", "use crate::act::b::B;"),
                ("src/act/b.rs", back),
                ("src/act/c.rs", "use crate::act::{a::A, b::B};"),
            ]);
            assert_eq!(found.len(), 2, "{back}: {found:?}");
        }
    }

    #[test]
    fn says_where_each_use_of_the_circle_is_and_what_to_do() {
        let found = found(&[
            ("src/act/a.rs", "//! x\n\nuse crate::act::b::B;"),
            (
                "src/act/b.rs",
                "use crate::journal::Journal;\nuse crate::act::c::C;",
            ),
            ("src/act/c.rs", "fn c() -> crate::act::A {}"),
        ]);
        assert_eq!(found.len(), 3, "{found:?}");
        let expected = "src/act/a.rs:3: uses `src/act/b.rs`, which leads back here: a circle of src/act/a.rs, src/act/b.rs, src/act/c.rs; move ";
        assert!(found[0].starts_with(expected), "{found:?}");
        let expected = "src/act/b.rs:2: uses `src/act/c.rs`";
        assert!(found[1].starts_with(expected), "{found:?}");
    }

    #[test]
    fn follows_a_use_of_the_parent_that_only_its_children_see() {
        let found = found(&[
            (
                "src/act/mod.rs",
                "mod a;\nmod b;\nuse crate::act::a::{A, Long as Short};",
            ),
            ("src/act/a.rs", "use crate::act::b::B;"),
            ("src/act/b.rs", "use crate::act::Short;"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn allows_what_leads_nowhere_back() {
        for (a, b) in [
            // One way only, whatever is mentioned.
            ("use crate::act::b::B;", "use crate::journal::Journal;"),
            (
                "use crate::act::b::B;",
                "//! As [`crate::act::a::A`]\nconst B: &str = \"crate::act::A\";",
            ),
            // Tests see everything.
            (
                "use crate::act::b::B;",
                "#[cfg(test)]\nmod tests { use crate::act::a::A; }",
            ),
            // A parent and its children.
            (
                "use crate::act::Queue;",
                "pub(in crate::act) fn b() { crate::act::run() }",
            ),
            // Names of others.
            (
                "use crate::act::b::B;",
                "use konnect::a::A;\nfn b() { std::a::run(); B::a::<A>() }",
            ),
        ] {
            let found = found(&[("src/act/a.rs", a), ("src/act/b.rs", b)]);
            assert!(found.is_empty(), "{a} {b}: {found:?}");
        }
    }

    #[test]
    fn leaves_out_files_that_only_tests_declare() {
        let found = found(&[
            ("src/act/mod.rs", "mod a;\n#[cfg(test)]\nmod b;"),
            ("src/act/a.rs", "use crate::act::b::B;"),
            ("src/act/b.rs", "use crate::act::a::A;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn finds_a_circle_that_leads_through_folders() {
        let found = found(&[
            ("src/act/mod.rs", "mod a;\nmod deeds;\nmod notify;"),
            ("src/act/a.rs", "use crate::act::deeds::status::read;"),
            (
                "src/act/deeds/mod.rs",
                "pub mod status;\npub use status::read;",
            ),
            ("src/act/deeds/status.rs", "use crate::act::notify::post;"),
            ("src/act/notify/mod.rs", "pub mod post;"),
            ("src/act/notify/post.rs", "use crate::act::deeds::read;"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn covers_every_crate() {
        for folder in ["konnect", "usher-event", "konnect-emulator"] {
            let file = |name: &str, text: &str| {
                Source::new(&format!("crates/{folder}/src/{name}.rs"), text)
            };
            let found = circles(&[
                file("lib", "mod a;\nmod b;"),
                file("a", "use crate::b::B;"),
                file("b", "use crate::a::A;"),
            ]);
            assert_eq!(found.len(), 2, "{folder}: {found:?}");
        }
    }
}
