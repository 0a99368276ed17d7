//! A machine's history as half-open intervals that do not overlap, from lines of which the later written holds.

use crate::store::{Transition, TransitionRow};
use mimamori_shared::word::Word;

/// One state from a moment on, included, until another one, not included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from_ms: i64,
    /// `None`: until now.
    pub(super) to_ms: Option<i64>,
    pub(super) state: Word,
    pub(super) because: Word,
}

impl Span {
    /// Whether it is still there when moments are shown in whole seconds.
    pub(super) fn is_seen(&self) -> bool {
        self.from_ms.div_euclid(1000) != self.end_ms().div_euclid(1000)
    }

    fn end_ms(&self) -> i64 {
        self.to_ms.unwrap_or(i64::MAX)
    }
}

/// The newest first, as `written` is.
pub(super) fn spans(written: &[TransitionRow]) -> Vec<Span> {
    let mut spans = Vec::new();
    for row in written.iter().rev() {
        spans = laid_over(spans, &row.line);
    }
    spans.reverse();
    spans
}

/// The intervals so far, oldest first, with a later line over them.
fn laid_over(spans: Vec<Span>, line: &Transition) -> Vec<Span> {
    let over = Span { from_ms: line.from_ms, to_ms: line.to_ms, state: line.state.clone(), because: line.because.clone() };
    if over.end_ms() <= over.from_ms {
        return spans;
    }
    let mut laid: Vec<Span> = Vec::with_capacity(spans.len() + 2);
    for span in spans {
        if span.from_ms < over.from_ms {
            let cut = if span.end_ms() > over.from_ms { Some(over.from_ms) } else { span.to_ms };
            laid.push(Span { to_ms: cut, ..span.clone() });
        }
        if span.end_ms() > over.end_ms() {
            laid.push(Span { from_ms: span.from_ms.max(over.end_ms()), ..span });
        }
    }
    laid.push(over);
    laid.sort_by_key(|span| span.from_ms);
    laid.dedup_by(|later, earlier| {
        let same = later.state == earlier.state && later.because == earlier.because && earlier.to_ms == Some(later.from_ms);
        if same {
            earlier.to_ms = later.to_ms;
        }
        same
    });
    laid
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::id::AgentId;

    fn row(state: &str, from_ms: i64, to_ms: Option<i64>) -> TransitionRow {
        let line = Transition { state: state.parse().unwrap(), from_ms, to_ms, because: "silent".parse().unwrap(), evidence: String::new() };
        TransitionRow { agent_id: AgentId::ZERO, line, recorded_at_ms: 0 }
    }

    /// `lines` in the order in which they were written.
    #[track_caller]
    fn check(lines: &[(&str, i64, Option<i64>)], expected: &[(&str, i64, Option<i64>)]) {
        let rows: Vec<TransitionRow> = lines.iter().rev().map(|(state, from_ms, to_ms)| row(state, *from_ms, *to_ms)).collect();
        let spans = spans(&rows);
        let found: Vec<(&str, i64, Option<i64>)> = spans.iter().map(|span| (span.state.as_str(), span.from_ms, span.to_ms)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_moment_has_one_state_and_the_later_line_holds() {
        check(&[], &[]);
        check(&[("not_known", 0, None), ("up", 10, None)], &[("up", 10, None), ("not_known", 0, Some(10))]);
        check(&[("not_known", 5, None), ("up", 5, None)], &[("up", 5, None)]);
        let corrected = [("up", 0, None), ("not_known", 10, None), ("up", 30, None), ("down", 12, Some(20))];
        check(&corrected, &[("up", 30, None), ("not_known", 20, Some(30)), ("down", 12, Some(20)), ("not_known", 10, Some(12)), ("up", 0, Some(10))]);
        check(&[("up", 0, None), ("not_known", 10, None), ("up", 10, Some(20)), ("up", 20, None)], &[("up", 0, None)]);
        check(&[("up", 5, None), ("not_known", 7, Some(7))], &[("up", 5, None)]);
    }
}
