//! Performance data: `'label'=value[unit];[warning];[critical];[least];[most]`, parted by spaces.

use super::{Fault, Serialize, State, text, trouble, verdict};

/// A range, and on which side of it is what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// Its lower end; `None` is without end.
    pub from: Option<f64>,
    /// Its upper end; `None` is without end.
    pub to: Option<f64>,
    /// Whether a value within it is wrong (`@`), ends included; otherwise one outside of it.
    pub within: bool,
}

/// One value.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Performance {
    /// What, in the plugin's words.
    pub label: String,
    /// As it is written, in `unit`; `None` when the plugin could not measure it (`U`).
    pub value: Option<f64>,
    /// As it is written: `s`, `ms`, `us`, `%`, `B`, `KB`, `MB`, `GB`, `TB`, `c`, …
    pub unit: Option<String>,
    /// When the plugin warns.
    pub warning: Option<Range>,
    /// When the plugin calls it critical.
    pub critical: Option<Range>,
    /// Least that it can be.
    pub least: Option<f64>,
    /// Most that it can be.
    pub most: Option<f64>,
}

/// Units, what they are in the words of readings, and how many of those one is. Powers of 1024, as the plugins that made the
/// format count.
const UNITS: &[(&str, &str, f64)] = &[
    ("", "value", 1.0),
    ("s", "seconds", 1.0),
    ("ms", "seconds", 1e-3),
    ("us", "seconds", 1e-6),
    ("ns", "seconds", 1e-9),
    ("%", "percent", 1.0),
    ("c", "count", 1.0),
    ("B", "bytes", 1.0),
    ("KB", "bytes", 1024.0),
    ("kB", "bytes", 1024.0),
    ("KiB", "bytes", 1024.0),
    ("MB", "bytes", 1_048_576.0),
    ("MiB", "bytes", 1_048_576.0),
    ("GB", "bytes", 1_073_741_824.0),
    ("GiB", "bytes", 1_073_741_824.0),
    ("TB", "bytes", 1_099_511_627_776.0),
    ("TiB", "bytes", 1_099_511_627_776.0),
];

/// Longest word that is looked at, in bytes.
const WORD_MAX: usize = 1024;

pub(super) fn read(data: &str, list: &mut Vec<Performance>, faults: &mut Vec<Fault>) {
    let mut rest = data.trim_start();
    let mut place = 0;
    while !rest.is_empty() {
        let (label, behind) = label(rest);
        let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let (word, next) = behind.split_at_checked(end).unwrap_or((behind, ""));
        place += 1;
        match label.and_then(|label| one(&label, word)) {
            Some(one) => verdict::push(list, one, faults),
            None => verdict::fault(faults, trouble::fault("malformed", &format!("value {place} is no performance data"))),
        }
        rest = next.trim_start();
    }
}

/// The label with its quotes undone, and what stands behind its `=`.
fn label(rest: &str) -> (Option<String>, &str) {
    if let Some(quoted) = rest.strip_prefix('\'') {
        let mut label = String::new();
        let mut letters = quoted.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter != '\'' {
                label.push(letter);
            } else if letters.next_if(|(_, next)| *next == '\'').is_some() {
                label.push('\'');
            } else {
                let behind = quoted.get(at + 1..).unwrap_or_default();
                return behind.strip_prefix('=').map_or((None, behind), |behind| (Some(label), behind));
            }
        }
        return (None, "");
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    match rest.find('=').filter(|at| *at < end) {
        Some(at) => (rest.get(..at).map(str::to_owned), rest.get(at + 1..).unwrap_or_default()),
        None => (None, rest),
    }
}

fn one(label: &str, word: &str) -> Option<Performance> {
    if word.len() > WORD_MAX || label.trim().is_empty() {
        return None;
    }
    let mut parts = word.trim_end_matches(';').split(';');
    let (value, unit) = measured(parts.next()?)?;
    let mut range = || parts.next().filter(|text| !text.is_empty()).map(range);
    let (warning, critical) = (range(), range());
    let mut end = || parts.next().filter(|text| !text.is_empty()).map(number);
    let (least, most) = (end(), end());
    Some(Performance {
        label: text::plain(label),
        value,
        unit,
        // What stands there and cannot be read makes the whole no performance data.
        warning: warning.map_or(Some(None), |range| range.map(Some))?,
        critical: critical.map_or(Some(None), |range| range.map(Some))?,
        least: least.map_or(Some(None), |least| least.map(Some))?,
        most: most.map_or(Some(None), |most| most.map(Some))?,
    })
}

/// `12.5MB`, `U`.
fn measured(word: &str) -> Option<(Option<f64>, Option<String>)> {
    if word == "U" {
        return Some((None, None));
    }
    let end = word.find(|c: char| !c.is_ascii_digit() && !['.', ',', '-', '+', 'e', 'E'].contains(&c)).unwrap_or(word.len());
    let (number_word, unit) = word.split_at_checked(end)?;
    let unit = text::plain(unit);
    let fits = unit.chars().count() <= 16 && !unit.contains(['\'', '"', ';', '=']);
    Some((Some(number(number_word)?), (!unit.is_empty()).then_some(unit))).filter(|_| fits)
}

/// A number; with a comma in it where the plugin's language writes one.
fn number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b".,-+eE".contains(&byte));
    text.replace(',', ".").parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// `10`, `10:`, `~:10`, `10:20`, `@10:20`.
fn range(text: &str) -> Option<Range> {
    let (within, text) = text.strip_prefix('@').map_or((false, text), |text| (true, text));
    let (from, to) = text.split_once(':').unwrap_or(("", text));
    let from = match from {
        "" => Some(0.0),
        "~" => None,
        number_word => Some(number(number_word)?),
    };
    let to = if to.is_empty() { None } else { Some(number(to)?) };
    let ordered = from.zip(to).is_none_or(|(from, to)| from <= to);
    // A whole line is no range: everything would be right, or everything wrong.
    (ordered && (text.contains(':') || to.is_some())).then_some(Range { from, to, within })
}

impl Range {
    /// Whether a value is wrong by it.
    #[must_use]
    pub fn wrong(&self, value: f64) -> bool {
        let inside = self.from.is_none_or(|from| value >= from) && self.to.is_none_or(|to| value <= to);
        inside == self.within
    }
}

impl Performance {
    /// What its ranges say of it; `None` when there is no value, or no range.
    #[must_use]
    pub fn level(&self) -> Option<State> {
        let value = self.value?;
        let wrong = |range: Option<Range>| range.map(|range| range.wrong(value));
        match (wrong(self.critical), wrong(self.warning)) {
            (None, None) => None,
            (Some(true), _) => Some(State::Critical),
            (_, Some(true)) => Some(State::Warning),
            _ => Some(State::Ok),
        }
    }

    /// The value in a unit of readings, and that unit.
    pub(super) fn base(&self) -> (Option<f64>, &'static str) {
        let unit = self.unit.as_deref().unwrap_or_default();
        let known = UNITS.iter().find(|(name, ..)| *name == unit).or_else(|| UNITS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(unit)));
        known.map_or((self.value, "value"), |(_, name, parts)| (self.value.map(|value| value * parts), name))
    }
}
