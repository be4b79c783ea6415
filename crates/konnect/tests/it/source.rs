//! The crate's own source, for the tests that hold all of it to something.

use std::fs;
use std::path::Path;

/// Path below `src` and text without unit tests of every file, in order of path.
pub(crate) fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
            let path = path.strip_prefix(&root).unwrap().to_string_lossy();
            files.push((path.replace('\\', "/"), text));
        }
    }
    files.sort();
    assert!(files.len() > 20, "the source was not found");
    files
}
