//! Packages in apt's output.

/// A line of `apt list`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) architecture: String,
    /// Whether an older version is installed.
    pub(super) upgradable: bool,
    /// Whether a repository of security has it.
    pub(super) security: bool,
    /// Whether it is of a Debian whose repository of security cannot be told by its name.
    pub(super) nameless: bool,
}

/// `name/suite,suite version architecture [upgradable from: version]`; the words in brackets are in any language.
pub(super) fn row(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace();
    let (name, suites) = words.next()?.split_once('/')?;
    let (version, architecture) = (words.next()?, words.next()?);
    if !is_package(name) || !version.bytes().any(|b| b.is_ascii_digit()) || !is_architecture(architecture) {
        return None;
    }
    let rest: String = words.collect::<Vec<_>>().join(" ");
    if !(rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']'))) {
        return None;
    }
    // An installed package is told by words alone, and one that can be upgraded by the other version.
    let upgradable = rest.bytes().any(|b| b.is_ascii_digit());
    // Debian up to 10 calls its repository of security `buster/updates` where it does not call it as the other.
    let security = suites.split(',').any(|suite| suite == "security" || suite.ends_with("-security") || suite.ends_with("/updates"));
    let nameless = (1..=10).any(|release| version.contains(&format!("+deb{release}u")) || version.contains(&format!("~deb{release}u")));
    Some(Row { name: name.to_owned(), architecture: architecture.to_owned(), upgradable, security, nameless: nameless && !security })
}

/// What stands behind `Inst`: `name [old] (new Origin:release/suite, … [architecture]) …`. Whether it is for security.
pub(super) fn installs(rest: &str) -> Option<bool> {
    let name = rest.split_whitespace().next()?;
    let (_, origins) = rest.split_once('(')?;
    let (origins, _) = origins.rsplit_once(')')?;
    is_package(name).then(|| origins.split_whitespace().skip(1).any(|origin| origin.to_ascii_lowercase().contains("security")))
}

/// A name by Debian's policy, with or without an architecture behind it.
pub(crate) fn is_package(name: &str) -> bool {
    let (name, architecture) = name.split_once(':').unwrap_or((name, "all"));
    let letters = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (2..=128).contains(&name.len()) && begins && letters(name) && is_architecture(architecture)
}

fn is_architecture(word: &str) -> bool {
    (2..=24).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
