//! "Did you mean": the nearest known word to a mistyped one.

/// Words longer than this many characters are not compared.
const WORD_CHARS_MAX: usize = 64;

/// The candidate nearest to `word`, if one is near enough to be a typing mistake.
///
/// Near is at most one edit per three characters and never more than two; swapping neighbours is
/// one edit and letter case is ignored. Of equally near candidates the first is taken.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().filter_map(|known| Some((distance(word, known)?, known)));
    near.min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// As [`suggest`] for dotted paths: when no whole path is near, the last segment decides.
pub(super) fn suggest_path<'a>(path: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    suggest(path, known.clone()).or_else(|| {
        let last = last_segment(path);
        let near = known.into_iter().filter_map(|known| {
            let edits = distance(last, last_segment(known))?;
            Some((edits, common_prefix(path, known), known))
        });
        near.min_by_key(|(edits, common, _)| (*edits, std::cmp::Reverse(*common))).map(|found| found.2)
    })
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// The number of edits between two words (optimal string alignment), when it is small enough.
fn distance(word: &str, known: &str) -> Option<usize> {
    let fold = |text: &str| -> Vec<char> { text.chars().take(WORD_CHARS_MAX + 1).flat_map(char::to_lowercase).collect() };
    let (word, known) = (fold(word), fold(known));
    let allowed = (word.len() / 3).clamp(1, 2);
    if word.len() < 2 || word.len() > WORD_CHARS_MAX || known.len() > WORD_CHARS_MAX || word.len().abs_diff(known.len()) > allowed {
        return None;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=known.len()).collect();
    let mut previous = None;
    for (i, &a) in word.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in known.iter().enumerate() {
            let mut edits = (at(&above, j) + usize::from(a != b)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let left = j.checked_sub(1).and_then(|left| known.get(left).map(|&c| (left, c)));
            if let (Some(over), Some((left, c))) = (previous, left)
                && over == b
                && c == a
            {
                edits = edits.min(at(&before, left) + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut above, row);
        previous = Some(a);
    }
    let edits = at(&above, known.len());
    (edits <= allowed).then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::{suggest, suggest_path};
    use proptest::prelude::*;

    const KNOWN: [&str; 5] = ["collector.url", "collector.timeout", "report.every", "log.level", "spool.size"];

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(suggest_path(word, KNOWN), expected, "{word}");
    }

    #[test]
    fn typing_mistakes_are_recognised() {
        check("colector.url", Some("collector.url"));
        check("collector.ulr", Some("collector.url"));
        check("Collector.URL", Some("collector.url"));
        check("log.levle", Some("log.level"));
        check("url", Some("collector.url"));
        check("timeout", Some("collector.timeout"));
        check("agent.report.evry", Some("report.every"));
    }

    #[test]
    fn strangers_get_no_suggestion() {
        check("", None);
        check(".", None);
        check("x", None);
        check("database.host", None);
        check(&"a".repeat(100_000), None);
    }

    #[test]
    fn the_nearest_and_then_the_first_wins() {
        assert_eq!(suggest("cpu.usr", ["cpu.use", "cpu.user", "cpu.usr"]), Some("cpu.usr"));
        assert_eq!(suggest("lod", ["log", "lid"]), Some("log"));
        assert_eq!(suggest("lgo", ["log"]), Some("log"));
    }

    proptest! {
        #[test]
        fn property_any_word_is_answered(word in any::<String>()) {
            if let Some(found) = suggest_path(&word, KNOWN) {
                prop_assert!(KNOWN.contains(&found));
            }
        }
    }
}
