//! Printing an error together with what caused it.
//!
//! Our errors print themselves only, never their source, so the handler joins the chain here.

use std::error::Error;

/// The longest chain that is followed.
const PARTS_MAX: usize = 16;

/// Joins an error and its sources with `: `, outermost first.
///
/// A part is left out when an earlier part already says it, because errors of other crates often
/// print their source as well.
pub fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let sources = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    for part in sources.take(PARTS_MAX).map(ToString::to_string) {
        let said = parts.iter().any(|earlier| *earlier == part || ends_with_part(earlier, &part));
        if !part.is_empty() && !said {
            parts.push(part);
        }
    }
    parts.join(": ")
}

/// Whether `text` ends with `: part`.
fn ends_with_part(text: &str, part: &str) -> bool {
    text.strip_suffix(part).is_some_and(|head| head.ends_with(": "))
}

/// Text as it may reach a terminal or a journal: one that a stranger wrote must not draw, hide or begin lines.
#[must_use]
pub fn plain(text: &str) -> String {
    let harmless = |c: char| match c {
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::{chain, plain};
    use std::error::Error;

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Link {
        says: &'static str,
        source: Option<Box<Link>>,
    }

    /// `parts` are the messages from the outermost error inwards.
    #[track_caller]
    fn check(parts: &[&'static str], expected: &str) {
        let mut link = None;
        for says in parts.iter().rev() {
            link = Some(Box::new(Link { says, source: link }));
        }
        let error: Box<dyn Error> = link.unwrap();
        assert_eq!(chain(error.as_ref()), expected);
    }

    #[test]
    fn every_part_appears_once() {
        check(&["disk full"], "disk full");
        check(&["store refused the report", "disk full"], "store refused the report: disk full");
        check(&["send failed", "send failed", "refused"], "send failed: refused");
        check(&["a: b: c", "b: c", "c"], "a: b: c");
        check(&["a: b", "b", "c"], "a: b: c");
        check(&["a", "", "b"], "a: b");
        check(&["not ab", "ab"], "not ab: ab");
    }

    #[test]
    fn a_long_chain_is_cut() {
        let names: Vec<&'static str> = vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"];
        check(&names, "a: b: c: d: e: f: g: h: i: j: k: l: m: n: o: p");
    }

    #[test]
    fn strangers_text_neither_draws_nor_begins_lines() {
        assert_eq!(plain("a\n<0>kernel: b\u{1b}]0;c\u{202e}d"), "a\u{fffd}<0>kernel: b\u{fffd}]0;c\u{fffd}d");
        assert_eq!(plain("見守り: ok"), "見守り: ok");
    }
}
