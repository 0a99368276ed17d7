//! What parses holds no code of a platform: it is to be compiled for Windows too. `make lint` compiles it for Windows
//! where that target is installed; this rule holds where it is not.

use std::fs;
use std::path::Path;

/// Crates without any.
const CRATES: &[&str] = &["agent/parse/src", "shared/src"];
const PLATFORM: &[&str] = &[
    "std::os",
    "cfg(unix",
    "cfg(windows",
    "cfg(not(unix",
    "cfg(not(windows",
    "target_os",
    "target_family",
    "libc::",
    "nix::",
    "rustix",
    "std::fs",
    "std::process",
    "std::env",
    "std::thread",
    "UnixStream",
    "MAIN_SEPARATOR",
];

/// What is not test code. Tests may read the corpus.
fn product(path: &str, text: &str) -> String {
    let is_test =
        path.ends_with("tests.rs") || path.contains("/tests/") || path.contains("tests_") || path.contains("corpus") || path.ends_with("encodings.rs");
    let code = if is_test { "" } else { text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default() };
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn platform(path: &str, text: &str) -> Vec<String> {
    let code = product(path, text);
    PLATFORM.iter().filter(|word| code.contains(**word)).map(|word| format!("{path} names {word}: Windows is to have this file too")).collect()
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn what_parses_is_the_same_on_every_platform() {
    for name in CRATES {
        let mut files = Vec::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name), &mut files);
        assert!(files.len() > 20, "{name}: {} files: was it renamed?", files.len());
        let faults: Vec<String> = files.iter().flat_map(|(path, text)| platform(path, text)).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn code_of_a_platform_is_noticed() {
    for word in PLATFORM {
        assert_eq!(platform("agent/parse/src/x.rs", &format!("fn a() {{ {word} }}")).len(), 1, "{word}");
        assert!(platform("agent/parse/src/x.rs", &format!("    // as {word} does\n#[cfg(test)]\nmod tests {{\n{word}\n}}")).is_empty(), "{word}");
        assert!(platform("agent/parse/src/x/tests.rs", word).is_empty(), "{word}");
    }
}
