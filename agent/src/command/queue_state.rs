//! How the queue stands, for `status`: how much is kept, and whether something is dropped or no longer made.

use crate::cli::Lang;
use crate::outbox::{Queue, Quota};
use crate::uplink::Words;
use mimamori_shared::config::show_size;
use rustix::fs::statvfs;
use serde_json::{Value, json};
use std::path::Path;

/// The queue, what it may use, and what is free around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) queue: Queue,
    pub(super) quota: Quota,
    /// Bytes; `None` when the filesystem does not say.
    pub(super) free_bytes: Option<u64>,
}

/// Whether what is measured is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything.
    Fine,
    /// It was at its limit: the oldest of the lower classes were dropped.
    Dropping,
    /// Changes and statements alone fill it: nothing else is made.
    Full,
    /// The disk is too full: nothing is made.
    NoSpace,
}

impl Standing {
    pub(super) fn of(queue: Queue, quota: Quota, dir: &Path) -> Standing {
        let free_bytes = statvfs(dir).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        Standing { queue, quota, free_bytes }
    }

    fn state(&self) -> State {
        match () {
            () if self.free_bytes.is_some_and(|free| free < self.quota.free_floor_bytes) => State::NoSpace,
            () if self.queue.bytes > self.quota.bytes => State::Full,
            () if self.queue.dropped.total() > 0 => State::Dropping,
            () => State::Fine,
        }
    }

    /// How full it is, on one line.
    pub(super) fn line(&self, lang: Lang) -> String {
        let (used, quota) = (rough(self.queue.bytes), show_size(self.quota.bytes));
        let oldest = self.queue.oldest_unsent_ms.map(|ms| format!("{} {}", lang.of("; oldest unsent of", "、最も古い未送信分："), lang.when(ms)));
        format!("{}{}", lang.of(format!("{used} of {quota} used"), format!("{quota}中 {used} 使用")), oldest.unwrap_or_default())
    }

    /// What is wrong with it, in words and with the mend; empty when nothing is.
    pub(super) fn alarms(&self, lang: Lang) -> String {
        let mut text = String::new();
        let floor = show_size(self.quota.free_floor_bytes);
        let found = match self.state() {
            State::Fine => return text,
            State::Dropping => None,
            State::Full => Some(Words {
                en: "the queue is FULL of changes and statements: measurements are no longer kept",
                ja: "送信待ちが変化と通知だけで満杯です。計測値は保存されていません",
            }),
            State::NoSpace => {
                Some(Words { en: "the disk is too FULL: nothing is collected", ja: "ディスクの空きが不足しています。収集していません" })
            }
        };
        let mend = match self.state() {
            State::NoSpace => lang.of(
                format!("free at least {floor} on this filesystem (outbox.free_floor)"),
                format!("このファイルシステムに{floor}以上の空きを作ってください（outbox.free_floor）"),
            ),
            _ => lang.of(
                "restore the way to the collector (`check` says where it breaks), or allow more with outbox.size".to_owned(),
                "コレクターへの経路を復旧するか（`check`で確認）、outbox.sizeを増やしてください".to_owned(),
            ),
        };
        if let Some(found) = found {
            text.push_str(&format!("! {}\n", lang.of(found.en, found.ja)));
        }
        text.push_str(&self.dropped(lang));
        format!("{text}  -> {mend}\n")
    }

    fn dropped(&self, lang: Lang) -> String {
        let (counts, Some((from_ms, to_ms))) = (self.queue.dropped, self.queue.dropped_span_ms) else { return String::new() };
        let classes = [
            (counts.sample, lang.of("samples", "計測値")),
            (counts.unchanged, lang.of("unchanged reports", "変化のない報告")),
            (counts.change, lang.of("changes", "変化")),
            (counts.statement, lang.of("statements", "通知")),
        ];
        let named: Vec<String> =
            classes.iter().filter(|(count, _)| *count > 0).map(|(count, name)| lang.of(format!("{count} {name}"), format!("{name}{count}件"))).collect();
        format!(
            "! {} {} ({} – {})\n",
            lang.of("dropped before they were sent, and reported as lost:", "送信前に削除しました（消失として報告します）："),
            named.join(lang.of(", ", "、")),
            lang.when(from_ms),
            lang.when(to_ms)
        )
    }

    pub(super) fn json(&self) -> Value {
        let state = match self.state() {
            State::Fine => "ok",
            State::Dropping => "dropping",
            State::Full => "full",
            State::NoSpace => "no_space",
        };
        json!({
            "state": state, "bytes": self.queue.bytes, "quota_bytes": self.quota.bytes, "free_bytes": self.free_bytes,
            "free_floor_bytes": self.quota.free_floor_bytes, "oldest_unsent_ms": self.queue.oldest_unsent_ms, "dropped": self.queue.dropped,
            "dropped_from_ms": self.queue.dropped_span_ms.map(|(from_ms, _)| from_ms), "dropped_to_ms": self.queue.dropped_span_ms.map(|(_, to_ms)| to_ms),
        })
    }
}

/// A size in whole KiB or MiB.
fn rough(bytes: u64) -> String {
    let bits = if bytes >= 16 << 20 { 20 } else { 10 };
    show_size(bytes.next_multiple_of(1 << bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::payload::Counts;

    fn standing(bytes: u64, sample: u64, free_bytes: u64) -> Standing {
        let dropped = Counts { sample, ..Counts::default() };
        let queue = Queue { bytes, oldest_unsent_ms: Some(0), dropped, dropped_span_ms: (sample > 0).then_some((0, 60_000)) };
        Standing { queue, quota: Quota { bytes: 64 << 20, age_ms: 1, free_floor_bytes: 1 << 30 }, free_bytes: Some(free_bytes) }
    }

    #[test]
    fn a_queue_says_in_words_when_it_drops_and_when_it_is_full() {
        let roomy = 8 << 30;
        for (standing, state, en, ja) in [
            (standing(1, 0, roomy), "ok", "", ""),
            (standing(1, 7, roomy), "dropping", "7 samples (1970-01-01T00:00:00Z – 1970-01-01T00:01:00Z)", "計測値7件"),
            (standing(65 << 20, 7, roomy), "full", "the queue is FULL", "満杯"),
            (standing(1, 0, 1 << 20), "no_space", "free at least 1GiB", "1GiB以上の空き"),
        ] {
            assert_eq!(standing.json()["state"], state);
            let (said_en, said_ja) = (standing.alarms(Lang::En), standing.alarms(Lang::Ja));
            assert!(said_en.contains(en) && said_ja.contains(ja), "{state}: {said_en} {said_ja}");
            assert_eq!(said_en.is_empty() && said_ja.is_empty(), state == "ok", "{said_en}");
            assert_eq!(said_en.contains("\n  -> "), state != "ok", "the mend is said: {said_en}");
        }
        assert_eq!(standing(20 << 20, 0, roomy).line(Lang::En), "20MiB of 64MiB used; oldest unsent of 1970-01-01T00:00:00Z");
        assert_eq!(standing(5000, 0, roomy).json()["bytes"], 5000);
        assert!(standing(5000, 0, roomy).line(Lang::Ja).contains("64MiB中 5KiB 使用"));
    }
}
