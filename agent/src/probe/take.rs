//! Collects the faults of one section, or of one entry of a list section, while its values are read.

use mimamori_shared::limits::NAMES_PER_SECTION_MAX;
use mimamori_shared::payload::{Fault, FaultCode};
use mimamori_shared::word::Word;
use std::collections::HashSet;

/// Where the faults of a section go.
pub(super) struct Take<'a> {
    section: &'static str,
    entry: Option<Word>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Take<'a> {
    pub(super) fn new(section: &'static str, faults: &'a mut Vec<Fault>) -> Take<'a> {
        Take { section, entry: None, faults }
    }

    /// The same, for one entry.
    pub(super) fn entry(&mut self, name: &Word) -> Take<'_> {
        Take { section: self.section, entry: Some(name.clone()), faults: self.faults }
    }

    /// The whole section, or the whole entry, is missing.
    pub(super) fn fail(&mut self, code: FaultCode) {
        self.push(self.section.to_owned(), code);
    }

    /// One value: the one read, or a fault that names the field.
    pub(super) fn value<T>(&mut self, field: &str, read: Result<T, FaultCode>) -> Option<T> {
        read.map_err(|code| self.push(format!("{}.{field}", self.section), code)).ok()
    }

    /// One value that must be there and must be understood.
    pub(super) fn parsed<T>(&mut self, field: &str, text: Option<&str>, parse: fn(&str) -> Option<T>) -> Option<T> {
        self.value(field, text.ok_or(FaultCode::NotFound).and_then(|text| parse(text).ok_or(FaultCode::Malformed)))
    }

    /// A section out of one text. When not one value could be read, one fault says so instead of one per field.
    pub(super) fn section<T>(mut self, text: Result<String, FaultCode>, parse: fn(&str, &mut Take<'_>) -> T, is_empty: fn(&T) -> bool) -> Option<T> {
        let before = self.faults.len();
        let section = self.whole(text).map(|text| parse(&text, &mut self))?;
        if !is_empty(&section) {
            return Some(section);
        }
        self.faults.truncate(before);
        self.fail(FaultCode::Malformed);
        None
    }

    /// A source: its content, or one fault for the section.
    pub(super) fn whole<T>(&mut self, read: Result<T, FaultCode>) -> Option<T> {
        read.map_err(|code| self.fail(code)).ok()
    }

    fn push(&mut self, probe: String, code: FaultCode) {
        let probe = probe.parse().unwrap_or_default();
        self.faults.push(Fault { probe, code, name: self.entry.clone() });
    }
}

/// Which entries of a list section are still welcome: each name once, and no more than a report holds.
#[derive(Default)]
pub(super) struct Entries {
    seen: HashSet<Word>,
}

impl Entries {
    /// Whether the entry is taken. The second of a name and everything after the last place is a fault instead.
    pub(super) fn admit(&mut self, name: &Word, take: &mut Take<'_>) -> bool {
        if self.seen.contains(name) {
            take.entry(name).fail(FaultCode::TooMany);
            return false;
        }
        if self.seen.len() >= NAMES_PER_SECTION_MAX {
            take.fail(FaultCode::TooMany);
            return false;
        }
        self.seen.insert(name.clone())
    }
}
