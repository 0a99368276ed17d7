//! Values as people read them.

use crate::store::ForkMark;
use crate::view::{Life, MachineView};
use crate::web::lang::{Key, Lang};
use mimamori_domain::presence::State;
use mimamori_shared::consent::ConsentMode;
use mimamori_shared::fields::Filesystem;
use mimamori_shared::payload::{ConsentState, Report};
use mimamori_shared::time::show;

const JST_MS: i64 = 9 * 3_600_000;

/// A moment in Japanese time with its offset, such as `2026-11-22 14:16:44 +09:00`.
pub(super) fn moment(ms: i64) -> String {
    show(ms.saturating_add(JST_MS)).replace('T', " ").replace('Z', " +09:00")
}

/// How long ago something was, or how far ahead it is.
pub(super) fn ago(ms: i64, at_ms: i64, lang: Lang) -> String {
    let seconds = at_ms.saturating_sub(ms) / 1000;
    let word = if seconds < 0 { Key::Ahead } else { Key::Ago };
    let (number, en, ja) = match seconds.unsigned_abs() {
        seconds @ 0..120 => (seconds, "s", "秒"),
        seconds @ 120..7200 => (seconds / 60, "min", "分"),
        seconds @ 7200..172_800 => (seconds / 3600, "h", "時間"),
        seconds => (seconds / 86_400, "days", "日"),
    };
    lang.of(format!("{number} {en} {}", word.text(Lang::En)), format!("{number}{ja}{}", word.text(Lang::Ja)))
}

/// Lines that are not shown.
pub(super) fn more(left: usize, lang: Lang) -> String {
    lang.of(format!("… {left} {}", Key::More.text(lang)), format!("…{}{left}件", Key::More.text(lang)))
}

/// A sign beside the word, so that colour alone says nothing.
pub(super) fn shape(state: State) -> &'static str {
    match state {
        State::Up => "●",
        State::Down => "▼",
        State::NotKnown => "?",
        State::NotConsented => "◇",
        State::Retired => "×",
    }
}

pub(super) fn state(state: State, lang: Lang) -> &'static str {
    lang.of(state.words_en(), state.words_ja())
}

pub(super) fn because(machine: &MachineView, lang: Lang) -> String {
    lang.of(machine.because.words_en(), machine.because.words_ja())
}

pub(super) fn life(life: Life, lang: Lang) -> &'static str {
    let key = match life {
        Life::Pending => Key::LifePending,
        Life::Active => Key::LifeActive,
        Life::Revoked => Key::LifeRevoked,
        Life::Retired => Key::LifeRetired,
    };
    key.text(lang)
}

pub(super) fn consent(machine: &MachineView, lang: Lang) -> String {
    let key = match machine.consent {
        None => Key::ConsentNone,
        Some(ConsentState::Granted) => Key::ConsentGranted,
        Some(ConsentState::Withdrawn) => Key::ConsentWithdrawn,
        Some(ConsentState::Expired) => Key::ConsentExpired,
    };
    let until = machine.consent_valid_to_ms.map(|ms| format!(" ({} {})", Key::Until.text(lang), moment(ms)));
    let mode = match machine.consent_mode {
        Some(ConsentMode::Periodic) => Some(Key::ConsentPeriodic),
        Some(ConsentMode::OnDemand) => Some(Key::ConsentOnDemand),
        Some(ConsentMode::Continuous) | None => None,
    };
    let mode = mode.map(|mode| format!(": {}", mode.text(lang)));
    format!("{}{}{}", key.text(lang), mode.unwrap_or_default(), until.unwrap_or_default())
}

/// The chain in words, and whether something is wrong with it.
pub(super) fn chain(machine: &MachineView, at_ms: i64, lang: Lang) -> (String, bool) {
    let mut parts = Vec::new();
    if machine.fork == Some(ForkMark::Now) {
        parts.push(Key::Forked.text(lang).to_owned());
    }
    if let Some((seq, since_ms)) = machine.waiting_for {
        parts.push(format!("{} {seq} ({})", Key::Waiting.text(lang), ago(since_ms, at_ms, lang)));
    }
    match parts.is_empty() {
        false => (parts.join(lang.of(". ", "。")), true),
        true if machine.epoch == 0 => (Key::ChainNone.text(lang).to_owned(), false),
        true if let Some(ForkMark::Approved(ms)) = machine.fork => {
            (format!("{} ({}); {} {}", Key::WasForked.text(lang), lang.brief(ms), Key::ChainFine.text(lang), machine.next_seq), false)
        }
        true => (format!("{} {}", Key::ChainFine.text(lang), machine.next_seq), false),
    }
}

/// Tenths of a percent of `part` in `whole`, written as a percentage; sums that make no sense are nothing.
fn percent(part: i64, whole: i64) -> Option<String> {
    let tenths = i128::from(part).checked_mul(1000)?.checked_div(i128::from(whole))?;
    (0..=1000).contains(&tenths).then(|| format!("{}.{} %", tenths / 10, tenths % 10))
}

/// The few readings that say most, in words.
pub(super) fn headlines(report: &Report, lang: Lang) -> Vec<String> {
    let readings = &report.readings;
    let mut lines = Vec::new();
    let mut line = |key: Key, value: Option<String>| lines.extend(value.map(|value| format!("{}: {value}", key.text(lang))));
    let busy = readings.cpu.as_ref().and_then(|cpu| {
        let times = [cpu.user_ms, cpu.nice_ms, cpu.system_ms, cpu.irq_ms, cpu.softirq_ms, cpu.steal_ms];
        let busy = times.into_iter().flatten().fold(0, i64::saturating_add);
        let idle = cpu.idle_ms?.saturating_add(cpu.iowait_ms.unwrap_or(0));
        percent(busy, busy.saturating_add(idle))
    });
    line(Key::Cpu, busy);
    let load = readings.load.as_ref().and_then(|load| load.load1_milli);
    line(Key::Load, load.map(|milli| format!("{}.{:02}", milli / 1000, (milli.unsigned_abs() % 1000) / 10)));
    let memory = readings.memory.as_ref().and_then(|memory| memory.total_bytes.zip(memory.available_bytes));
    line(Key::Memory, memory.and_then(|(total, available)| percent(total.saturating_sub(available), total)));
    let fullest = readings.filesystem.iter().filter_map(used).max_by_key(|(tenths, _)| *tenths);
    line(Key::Fullest, fullest.map(|(tenths, one)| format!("{} {}.{} %", one.name, tenths / 10, tenths % 10)));
    for one in readings.filesystem.iter().filter(|one| one.read_only == Some(1)).take(3) {
        line(Key::ReadOnly, Some(one.name.to_string()));
    }
    lines
}

/// Tenths of a percent that ordinary programs can no longer use.
fn used(one: &Filesystem) -> Option<(i128, &Filesystem)> {
    let (size, available) = (i128::from(one.size_bytes?), i128::from(one.available_bytes?));
    let tenths = (size - available).checked_mul(1000)?.checked_div(size)?;
    (0..=1000).contains(&tenths).then_some((tenths, one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::{AT_MS, machine, report};

    #[test]
    fn moments_are_shown_in_japanese_time() {
        assert_eq!(moment(AT_MS), "2026-11-22 14:16:44 +09:00");
        assert_eq!(ago(AT_MS - 90_000, AT_MS, Lang::En), "90 s ago");
        assert_eq!(ago(AT_MS - 7_200_000, AT_MS, Lang::Ja), "2時間前");
        assert_eq!(ago(AT_MS + 600_000, AT_MS, Lang::En), "10 min ahead");
    }

    #[test]
    fn headlines_name_the_fullest_filesystem() {
        let lines = headlines(&report(), Lang::En);
        assert_eq!(lines, ["CPU busy since boot: 25.0 %", "load, 1 min: 1.25", "memory used: 75.0 %", "fullest filesystem: pacs 96.0 %"]);
        let mut odd = report();
        odd.readings.filesystem[1].size_bytes = Some(0);
        odd.readings.memory.as_mut().unwrap().available_bytes = Some(i64::MIN);
        assert_eq!(headlines(&odd, Lang::En).last().unwrap(), "fullest filesystem: root 10.0 %");
    }

    #[test]
    fn chains_say_in_words_what_is_wrong() {
        let fine = machine("ct");
        assert_eq!(chain(&fine, AT_MS, Lang::En), ("unbroken; next place 42".to_owned(), false));
        let rests = MachineView { fork: Some(ForkMark::Approved(AT_MS)), ..fine.clone() };
        for (lang, said) in [(Lang::En, "was forked, approved"), (Lang::Ja, "分岐の記録あり、承認済み")] {
            let (words, wrong) = chain(&rests, AT_MS, lang);
            assert!(!wrong && words.starts_with(said) && words.contains(&lang.brief(AT_MS)), "{words}");
        }
        let bad = MachineView { fork: Some(ForkMark::Now), waiting_for: Some((7, AT_MS - 60_000)), ..fine };
        let (words, wrong) = chain(&bad, AT_MS, Lang::En);
        assert!(wrong && words.starts_with("FORKED") && words.ends_with("WAITING for the missing place 7 (60 s ago)"), "{words}");
    }
}
