//! Reads a small folder of the kernel's into memory, for parsers that take a folder.

use crate::host::Host;
use mimamori_parse::Tree;
use mimamori_shared::payload::FaultCode;

/// Largest file of such a folder that is looked at, in bytes.
const FILE_BYTES_MAX: u64 = 4096;
const ENTRIES_MAX: usize = 4096;

/// The files below a folder whose names are wanted, `depth` folders deep. What cannot be read is left out: sensors that
/// are not connected say so by refusing.
///
/// # Errors
/// When the folder itself cannot be listed, or holds too much.
pub(crate) fn read(host: &Host, folder: &str, depth: usize, wanted: fn(&str) -> bool) -> Result<Tree, FaultCode> {
    let mut tree = Tree::default();
    below(host, folder, "", depth, wanted, &mut tree)?;
    Ok(tree)
}

fn below(host: &Host, folder: &str, inside: &str, depth: usize, wanted: fn(&str) -> bool, tree: &mut Tree) -> Result<(), FaultCode> {
    for name in host.list(&join(folder, inside), ENTRIES_MAX)? {
        let path = join(inside, &name);
        let whole = join(folder, &path);
        match host.read_bytes(&whole, FILE_BYTES_MAX) {
            Ok(bytes) if wanted(&name) => tree.put(path, bytes).map_err(|_| FaultCode::TooMany)?,
            Ok(_) | Err(FaultCode::NotFound) => {}
            // A folder does not read as a file. Links back up are cut off by the depth.
            Err(_) if depth > 1 => {
                if below(host, folder, &path, depth - 1, wanted, tree) == Err(FaultCode::TooMany) {
                    return Err(FaultCode::TooMany);
                }
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::recorded;

    #[test]
    fn wanted_files_are_read_as_deep_as_asked() {
        let host = recorded(&[("sys/a/one", "1\n"), ("sys/a/other", "2\n"), ("sys/a/b/one", "3\n"), ("sys/a/b/c/one", "4\n")]);
        let tree = read(&host, "sys", 3, |name| name == "one").unwrap();
        assert_eq!(tree.paths().collect::<Vec<_>>(), ["a/b/one", "a/one"]);
        assert_eq!(tree.line("a/b/one"), Some("3"));
        assert_eq!(read(&host, "proc", 3, |_| true).unwrap_err(), FaultCode::NotFound);
    }
}
