//! Tests against real output of the tools, which lies outside the project and is read where it lies.

mod drives;

use std::path::{Path, PathBuf};

/// A folder of the corpus: below `$MIMAMORI_CORPUS`, else beside the project. `None`, and a word about it, when it is not there.
fn folder(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/open").into_os_string();
    let folder = PathBuf::from(std::env::var_os("MIMAMORI_CORPUS").unwrap_or_else(beside)).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped {name}: no corpus");
    None
}

/// All files below a folder whose path the filter takes, by path, with what they hold.
fn files(folder: &Path, takes: fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if takes(&name) {
                found.push((name, crate::text::decode(&std::fs::read(&path).unwrap()).into_owned()));
            }
        }
    }
    found.sort();
    found
}
