//! The parsers against files of real machines. They lie outside of the project and are read where they are; without
//! them a test says so by name and proves nothing.

mod storage;

use std::path::PathBuf;

/// The corpus's folder; `None`, said aloud, when it is not there.
#[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the corpus lies")]
pub(crate) fn root(test: &str) -> Option<PathBuf> {
    let given = std::env::var("MIMAMORI_CORPUS").map(PathBuf::from);
    let root = given.unwrap_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/open"));
    if root.is_dir() {
        Some(root)
    } else {
        eprintln!("skipped {test}: no corpus");
        None
    }
}
