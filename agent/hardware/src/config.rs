//! What the facility wants counted and looked at: `/etc/mimamori/hardware.toml`, which only root can have written.
//!
//! A file of its own, not the agent's: the agent's fragments and environment are no business of a program with rights,
//! and a small strict file can be read at a glance by whoever has to allow it.

use crate::trust::{self, Untrusted};
use mimamori_parse::hardware::ALIASES_MAX;
use mimamori_shared::word::Word;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256;
/// Longest name of a unit, in bytes: systemd's own bound.
const UNIT_BYTES_MAX: usize = 255;
/// Longest name of a process, in bytes: the kernel's own bound.
const PROCESS_BYTES_MAX: usize = 15;

/// What is wanted. Without a file, nothing of this and every tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) patterns: BTreeMap<Word, Pattern>,
    /// Units by alias.
    pub(crate) services: BTreeMap<Word, String>,
    /// Names of processes by alias.
    pub(crate) processes: BTreeMap<Word, String>,
    /// Tools that are not run.
    pub(crate) off: Vec<String>,
}

/// What is counted in the journal: lines that hold a text, of one unit or of any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Pattern {
    pub(crate) contains: String,
    pub(crate) unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Table(Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    contains: String,
    unit: Option<String>,
}

impl From<Written> for Pattern {
    fn from(written: Written) -> Pattern {
        match written {
            Written::Text(contains) => Pattern { contains, unit: None },
            Written::Table(Table { contains, unit }) => Pattern { contains, unit },
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    journal: Journal,
    services: BTreeMap<String, String>,
    processes: BTreeMap<String, String>,
    tools: Tools,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Journal {
    patterns: BTreeMap<String, Pattern>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tools {
    off: Vec<String>,
}

/// Why the file does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is wrong with it and how to mend it.
    pub(crate) why: String,
    /// Tools that it switches off all the same; `None` where that cannot be told.
    pub(crate) off: Option<Vec<String>>,
}

/// Reads the file.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn load(path: &Path, owner: u32, tools: &[&str]) -> Result<Config, Refused> {
    let text = match trust::text(path, owner, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(Untrusted::Missing) => return Ok(Config::default()),
        Err(Untrusted::Refused(why)) => return Err(Refused { why, off: None }),
    };
    parse(&text, tools).map_err(|fault| Refused { why: format!("{}: {fault}", path.display()), off: switched_off(&text, tools) })
}

/// What a file with a mistake elsewhere switches off. A table that is none of the known ones may be a misspelt `tools`.
fn switched_off(text: &str, tools: &[&str]) -> Option<Vec<String>> {
    let mut table: toml::Table = toml::from_str(text).ok()?;
    if table.keys().any(|key| !["journal", "services", "processes", "tools"].contains(&key.as_str())) {
        return None;
    }
    let Tools { off } = table.remove("tools").map_or_else(|| Some(Tools::default()), |named| named.try_into().ok())?;
    off.iter().all(|name| tools.contains(&name.as_str())).then_some(off)
}

/// The library's words, without the line itself, behind the number of the line.
fn told(text: &str, fault: &toml::de::Error) -> String {
    let before = fault.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count().saturating_add(1), fault.message())
}

pub(crate) fn parse(text: &str, tools: &[&str]) -> Result<Config, String> {
    let file: File = toml::from_str(text).map_err(|fault| told(text, &fault))?;
    for pattern in file.journal.patterns.values() {
        let length = pattern.contains.len();
        if length == 0 || length > PATTERN_BYTES_MAX || pattern.contains.chars().any(char::is_control) {
            return Err(format!("journal.patterns: a pattern is 1 to {PATTERN_BYTES_MAX} bytes of one line, not {:?}", pattern.contains));
        }
        pattern.unit.as_deref().map_or(Ok(()), is_unit)?;
    }
    for unit in file.services.values() {
        is_unit(unit)?;
    }
    for name in file.processes.values() {
        if name.is_empty() || name.len() > PROCESS_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(format!("processes: the kernel keeps 1 to {PROCESS_BYTES_MAX} bytes of a name (see `ps -o comm`), not {name:?}"));
        }
    }
    if let Some(unknown) = file.tools.off.iter().find(|name| !tools.contains(&name.as_str())) {
        return Err(format!("tools.off: {unknown:?} is none of {}", tools.join(", ")));
    }
    Ok(Config {
        patterns: aliased("journal.patterns", file.journal.patterns)?,
        services: aliased("services", file.services)?,
        processes: aliased("processes", file.processes)?,
        off: file.tools.off,
    })
}

fn aliased<T>(table: &str, named: BTreeMap<String, T>) -> Result<BTreeMap<Word, T>, String> {
    if named.len() > ALIASES_MAX {
        return Err(format!("{table}: {ALIASES_MAX} entries are the most"));
    }
    let word = |name: &str| Word::alias(name).map_err(|_| format!("{table}.{name:?}: an alias is 1 to 32 of a-z 0-9 _ -"));
    named.into_iter().map(|(name, value)| Ok((word(&name)?, value))).collect()
}

/// A full name of a unit: with its ending, of the characters systemd allows, and never an option.
fn is_unit(name: &str) -> Result<(), String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'.' | b'-' | b'@' | b'\\');
    let plain = name.len() <= UNIT_BYTES_MAX && name.bytes().all(inner) && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    let ends = [".service", ".socket", ".mount", ".timer", ".target", ".slice", ".scope", ".path"].iter().any(|end| name.ends_with(end));
    if plain && ends { Ok(()) } else { Err(format!("{name:?} is no full name of a unit, such as postgresql@15-main.service")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    const TOOLS: &[&str] = &["smartctl", "ipmitool"];
    const GOOD: &str = "[journal.patterns]\ndb_error = \"FATAL: \"\npacs = { contains = \"C-STORE failed\", unit = \"pacs.service\" }\n\
        [services]\ndb = \"postgresql@15-main.service\"\n[processes]\nviewer = \"viewer\"\n[tools]\noff = [\"ipmitool\"]\n";

    #[test]
    fn everything_in_it_is_read() {
        let config = parse(GOOD, TOOLS).unwrap();
        let pattern = |name: &str| config.patterns[&Word::alias(name).unwrap()].clone();
        assert_eq!(pattern("db_error"), Pattern { contains: "FATAL: ".to_owned(), unit: None });
        assert_eq!(pattern("pacs").unit.as_deref(), Some("pacs.service"));
        assert_eq!((config.services.len(), config.processes.len(), config.off.len()), (1, 1, 1));
        assert_eq!(parse("", TOOLS).unwrap(), Config::default());
    }

    #[test]
    fn every_mistake_is_named() {
        let many: String = (0..=ALIASES_MAX).map(|n| format!("a{n} = \"x\"\n")).collect();
        for (text, part) in [
            ("[services]\ndb = \"--help.service\"", "--help.service"),
            ("[services]\ndb = \"a b.service\"", "a b.service"),
            ("[services]\ndb = \"postgresql\"", "full name"),
            ("[services]\nDB = \"x.service\"", "DB"),
            ("[services]\ndb = 3", "line 2"),
            ("[journal.patterns]\na = \"\"", "1 to 256"),
            ("[journal.patterns]\na = { contains = \"x\", unit = \"../x\" }", "../x"),
            ("[journal.patterns]\na = { contains = \"x\", regex = true }", "line 2"),
            ("[processes]\na = \"a-name-that-is-too-long\"", "1 to 15"),
            ("[tools]\noff = [\"smartd\"]", "smartd"),
            ("[tool]\noff = []", "tool"),
            (&format!("[processes]\n{many}"), "64 entries"),
        ] {
            let fault = parse(text, TOOLS).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn what_it_switches_off_stays_off_with_a_mistake_elsewhere_and_is_not_guessed() {
        let off = |text: &str| switched_off(text, TOOLS);
        let ipmitool = Some(vec!["ipmitool".to_owned()]);
        assert_eq!(off("[services]\ndb = \"postgresql\"\n[tools]\noff = [\"ipmitool\"]"), ipmitool);
        assert_eq!(off("[services]\ndb = 3\n[tools]\noff = [\"ipmitool\"]"), ipmitool);
        assert_eq!(off("[services]\ndb = 3\n"), Some(Vec::new()));
        for text in [
            "[tools]\noff = [\"ipmitol\"]",
            "[tools]\noff = \"ipmitool\"",
            "[tools]\nof = [\"ipmitool\"]",
            "[tool]\noff = [\"ipmitool\"]",
            "[tools]\noff = [\"ipmitool\"]\nx",
        ] {
            assert_eq!(off(text), None, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_by_its_line_and_what_stands_there_is_not_repeated() {
        let fault = parse("[services]\n# x\ndb = [\"geheim\"]\n", TOOLS).unwrap_err();
        assert!(fault.starts_with("line 3: ") && !fault.contains("geheim") && !fault.contains('\n'), "{fault}");
    }

    #[test]
    fn only_a_file_that_nobody_else_can_write_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, path) = (dir.path().join("etc"), dir.path().join("etc/hardware.toml"));
        let owner = fs::metadata(dir.path()).unwrap().uid();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(load(&path, owner, TOOLS), Ok(Config::default()));
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        fs::write(&path, GOOD).unwrap();
        mode(&path, 0o644);
        assert_eq!(load(&path, owner, TOOLS).unwrap(), parse(GOOD, TOOLS).unwrap());
        for (at, bad, good) in [(&path, 0o664, 0o644), (&path, 0o646, 0o644), (&folder, 0o775, 0o755), (&folder, 0o757, 0o755)] {
            mode(at, bad);
            let fault = load(&path, owner, TOOLS).unwrap_err().why;
            assert!(fault.contains("can be written by others: chmod go-w") && fault.contains(at.to_str().unwrap()), "{fault}");
            mode(at, good);
        }
        // A link to a file that somebody else could write is looked at where it leads.
        let elsewhere = dir.path().join("elsewhere.toml");
        fs::write(&elsewhere, GOOD).unwrap();
        mode(&elsewhere, 0o666);
        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(load(&path, owner, TOOLS).unwrap_err().why.contains("elsewhere.toml"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(load(&path, owner, TOOLS).unwrap_err().why.contains("is no file"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "# x\n".repeat(20_000)).unwrap();
        assert!(load(&path, owner, TOOLS).unwrap_err().why.contains("larger than 64 KiB"));
        if owner == 0 {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(load(&path, owner, TOOLS).unwrap_err().why.contains("belongs to account 65534"));
        } else {
            println!("only root can give a file away: a foreign owner is not tried");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in ".*", value in ".*") {
            if let Ok(config) = parse(&text, TOOLS) {
                prop_assert!(config.patterns.len() <= ALIASES_MAX);
            }
            if is_unit(&value).is_ok() {
                prop_assert!(!value.starts_with('-') && !value.contains(['/', ' ', '\0', '\n']));
            }
        }
    }
}
