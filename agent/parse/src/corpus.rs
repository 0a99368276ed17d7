//! Real files that others wrote, read where they lie.

mod antivirus;
mod backup;
mod drives;
mod exposition;
mod patches;
mod proc_sys;
mod storage;

use crate::Tree;
use std::path::{Path, PathBuf};

/// The corpus's folder, or `None` after saying which test is skipped.
#[allow(clippy::disallowed_methods, reason = "tests find the corpus by the environment")]
fn folder(group: &str, test: &str) -> Option<PathBuf> {
    let corpus = std::env::var_os("MIMAMORI_CORPUS").map(PathBuf::from);
    let folder = corpus.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/open")).join(group);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped {test}: no corpus");
    None
}

/// The corpus as a whole.
fn root(test: &str) -> Option<PathBuf> {
    folder("", test)
}

/// Every file below a folder by relative path, sorted; links are not followed.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(folder: &Path, at: &str, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = format!("{at}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), found);
            } else if entry.file_type().unwrap().is_file() {
                found.push((path, std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found);
    found.sort();
    found
}

/// A folder as a tree.
fn tree(folder: &Path) -> Tree {
    let mut tree = Tree::default();
    files(folder).into_iter().for_each(|(path, bytes)| tree.put(path, bytes).unwrap());
    tree
}
