//! `machine show`: who and where, how it is and why, since when, and what was found; bounded for people, whole as JSON.

use super::history::{Span, spans};
use super::value;
use crate::cli::{Lang, Output};
use crate::clock;
use crate::command::finding_words;
use crate::command::{Done, print, print_json};
use crate::keys::Keys;
use crate::store::{FindingRow, ForkMark, MachineRow, MachineState, RefusedKey, Scope, SessionRow, StandingRow, Store, TransitionRow};
use crate::view::{Taken, newest_of_each, standing, terms};
use crate::web::lang::Key;
use crate::words;
use crate::work::as_of;
use mimamori_cli::print::padded;
use mimamori_domain::presence::{Because, State};
use mimamori_shared::config::show_duration;
use mimamori_shared::consent::ConsentMode;
use mimamori_shared::fields::{Application, SECTIONS};
use mimamori_shared::payload::{ConsentState, Fault, Report};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Lines of each part that are shown to people; `--json` has them all.
const LINES_MAX: usize = 10;
const DAY_MS: i64 = 86_400_000;

/// Everything that is shown.
struct Shown<'a> {
    row: &'a MachineRow,
    /// The facility's name, and whether it is the example.
    facility: (String, bool),
    root: String,
    transitions: Vec<TransitionRow>,
    sessions: Vec<SessionRow>,
    findings: Vec<FindingRow>,
    refused: Vec<RefusedKey>,
    /// What is not in order, the worst first.
    standing: Vec<StandingRow>,
    /// The newest of each section, and when those were taken that are not of the newest report.
    report: Option<(Report, BTreeMap<&'static str, Taken>)>,
    now_ms: i64,
}

pub(super) async fn show(store: &Store, keys: &Keys, row: &MachineRow, output: Output, lang: Lang) -> Done {
    let terms = terms(row);
    let facility = store.facilities(&Scope::Facility(row.facility.clone())).await?.into_iter().next();
    let shown = Shown {
        row,
        facility: facility.map(|facility| (facility.name, facility.example)).unwrap_or_default(),
        root: keys.root.id().fingerprint(),
        transitions: store.transitions(&Scope::All, row.agent_id).await?,
        sessions: store.sessions(&Scope::All, row.agent_id).await?,
        findings: store.findings_of(&Scope::All, row.agent_id).await?,
        refused: store.refused_keys(&Scope::All, row.agent_id).await?,
        standing: standing(row, terms.as_ref()),
        report: newest_of_each(row, terms.as_ref()),
        now_ms: clock::now_ms(),
    };
    if output.json {
        print_json(&shown.json())
    } else {
        print(&shown.text(lang))
    }
    Ok(())
}

impl Shown<'_> {
    fn json(&self) -> Value {
        let history = self.transitions.iter().map(|row| {
            json!({"state": row.line.state, "from_ms": row.line.from_ms, "to_ms": row.line.to_ms, "because": row.line.because,
                   "evidence": row.line.evidence, "recorded_at_ms": row.recorded_at_ms})
        });
        let intervals = spans(&self.transitions);
        let intervals = intervals.iter().map(|span| json!({"state": span.state, "from_ms": span.from_ms, "to_ms": span.to_ms, "because": span.because}));
        let sessions = self.sessions.iter().map(|row| {
            json!({"boot_id": row.boot_id, "chain_id": row.chain_id, "from_seq": row.from_seq, "to_seq": row.to_seq, "entries": row.entries,
                   "received_from_ms": row.received_from_ms, "received_to_ms": row.received_to_ms, "largest_gap_ms": row.largest_gap_ms})
        });
        let findings = self.findings.iter().map(|row| {
            json!({"kind": row.kind.name(), "words": finding_words::words(row, Lang::En), "words_ja": finding_words::words(row, Lang::Ja), "day": row.day, "count": row.count,
                   "last_at_ms": row.last_at_ms, "seq": row.seq, "detail": row.detail})
        });
        let refused = self
            .refused
            .iter()
            .map(|key| json!({"fingerprint": key.key_id.fingerprint(), "why": key.why, "at_ms": key.at_ms, "chain_id": key.chain_id, "seq": key.seq}));
        json!({
            "schema": "mimamori.machine/1", "machine": value(self.row), "facility_name": self.facility.0, "root_fingerprint": self.root,
            "terms": terms(self.row), "standing": self.standing.iter().map(found_json).collect::<Vec<_>>(), "measured": self.measured_json(),
            "readings": self.report.as_ref().map(|(report, _)| &report.readings), "not_measured": self.faults().map(fault_json).collect::<Vec<_>>(), "history": history.collect::<Vec<_>>(), "intervals": intervals.collect::<Vec<_>>(),
            "sessions": sessions.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>(), "keys_not_taken": refused.collect::<Vec<_>>(),
        })
    }

    fn faults(&self) -> impl ExactSizeIterator<Item = &Fault> {
        self.report.as_ref().map_or([].as_slice(), |(report, _)| &report.faults).iter()
    }

    /// The sections that hold something: how many entries, and when they were taken and received.
    fn measured(&self) -> Vec<(&'static str, usize, Taken)> {
        let Some((report, older)) = &self.report else { return Vec::new() };
        let newest = self.row.latest.as_ref().map(|latest| Taken { taken_ms: latest.taken_at_ms, received_ms: latest.received_at_ms });
        let mut names: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        report.readings.visit(|field, name, _| names.entry(field.section).or_default().extend([name]));
        let of = |section: &'static str| Some((section, names.get(section)?.len(), older.get(section).copied().or(newest)?));
        SECTIONS.iter().copied().filter_map(of).collect()
    }

    fn measured_json(&self) -> Vec<Value> {
        let one = |(section, entries, taken): (&str, usize, Taken)| {
            json!({"section": section, "words": words::section(section, Lang::En), "words_ja": words::section(section, Lang::Ja), "entries": entries,
                   "taken_ms": taken.taken_ms, "received_ms": taken.received_ms})
        };
        self.measured().into_iter().map(one).collect()
    }

    /// By what an application check fails, in the agent's word for it (docs/FIELDS.md, `application.error`).
    fn why(&self, row: &StandingRow) -> String {
        let checks = self.report.as_ref().map_or([].as_slice(), |(report, _)| &report.readings.application);
        let is_it = |check: &&Application| row.finding.check.as_str() == "application_down" && row.finding.name.as_ref() == Some(&check.name);
        checks.iter().find(is_it).and_then(|check| check.error.as_ref()).map(|error| format!(": {error}")).unwrap_or_default()
    }

    fn text(&self, lang: Lang) -> String {
        let row = self.row;
        let example = if self.facility.1 { Key::Example.text(lang) } else { "" };
        let mut text = format!("{}/{}  {}  {example}\n", row.facility, row.alias, self.facility.0).replace("  \n", "\n");
        let enrolled = lang.of(format!("enrolled {}", lang.brief(row.enrolled_at_ms)), format!("登録 {}", lang.brief(row.enrolled_at_ms)));
        let rows = [
            (Key::State, self.state(lang)),
            (Key::LastReport, self.last_report(lang)),
            (Key::Consent, self.consent(lang)),
            (Key::Chain, self.chain(lang)),
            (Key::Life, format!("{} ({enrolled})", life(row.state, lang))),
            (Key::Fingerprint, row.key_id.fingerprint()),
            (Key::AgentId, row.agent_id.to_string()),
        ];
        let mut line = |name: &str, value: &str| text.push_str(&format!("{} {value}\n", padded(&format!("{name}:"), lang.of(17, 21))));
        rows.iter().for_each(|(key, value)| line(key.text(lang), value));
        for key in &self.refused {
            let (name, when) = (key.key_id.fingerprint(), lang.brief(key.at_ms));
            let said = lang.of(format!("{name}, named {when}: {}", key.why), format!("{name}（{when}）：{}", key.why));
            line(lang.of("Key not taken", "受け入れない鍵"), &said);
        }
        line(lang.of("Collector's root", "コレクターのルート鍵"), &self.root);
        let sessions = &self.sessions;
        let mut history = spans(&self.transitions);
        history.retain(Span::is_seen);
        part(&mut text, lang, Key::Standing.text(lang), self.standing.iter().map(|row| format!("{}{}", found(row, lang), self.why(row))));
        part(&mut text, lang, Key::Faults.text(lang), self.faults().map(|one| fault(one, lang)));
        part(&mut text, lang, Key::Readings.text(lang), self.measured().into_iter().map(|one| measured(one, lang)));
        part(&mut text, lang, lang.of("Findings", "指摘事項"), self.findings.iter().map(|row| finding(row, lang)));
        part(
            &mut text,
            lang,
            lang.of("History (from – until, the end not included)", "履歴（開始 – 終了、終了時刻は含まない）"),
            history.iter().map(|row| span(row, lang)),
        );
        part(&mut text, lang, lang.of("Sessions (one boot each)", "稼働（起動ごと）"), sessions.iter().rev().map(|row| session(row, lang)));
        text
    }

    /// As last judged; but silence that is due counts although no collector runs that would have judged it.
    fn state(&self, lang: Lang) -> String {
        let Some(presence) = as_of(self.row, self.now_ms) else { return lang.of(State::NotKnown.words_en(), State::NotKnown.words_ja()).to_owned() };
        let (state, because) = lang.of((presence.state.words_en(), presence.because.words_en()), (presence.state.words_ja(), presence.because.words_ja()));
        lang.of(format!("{state} since {}: {because}", lang.brief(presence.since_ms)), format!("{state}（{}から）：{because}", lang.brief(presence.since_ms)))
    }

    fn last_report(&self, lang: Lang) -> String {
        let Some(latest) = &self.row.latest else { return Key::Never.text(lang).to_owned() };
        let (received, taken) = (lang.brief(latest.received_at_ms), lang.brief(latest.taken_at_ms));
        let text = lang.of(format!("received {received}, taken {taken} by the machine's clock"), format!("受信 {received}、測定 {taken}（機器の時計）"));
        if latest.is_preview { format!("{text}; {}", Key::Preview.text(lang)) } else { text }
    }

    fn consent(&self, lang: Lang) -> String {
        let Some(consent) = &self.row.consent else { return Key::ConsentNone.text(lang).to_owned() };
        let state = match consent.state {
            ConsentState::Granted => Key::ConsentGranted,
            ConsentState::Withdrawn => Key::ConsentWithdrawn,
            ConsentState::Expired => Key::ConsentExpired,
        };
        let mut parts = vec![state.text(lang).to_owned()];
        if let Some(until_ms) = consent.valid_to_ms {
            let (until, days) = (lang.brief(until_ms), until_ms.saturating_sub(self.now_ms).div_euclid(DAY_MS));
            parts.push(lang.of(format!("until {until} ({days} days left)"), format!("期限 {until}（残り{days}日）")));
        }
        if let Some(terms) = terms(self.row) {
            parts.extend(match terms.mode {
                ConsentMode::Continuous => None,
                ConsentMode::Periodic => Some(Key::ConsentPeriodic.text(lang).to_owned()),
                ConsentMode::OnDemand => Some(Key::ConsentOnDemand.text(lang).to_owned()),
            });
            let scopes: Vec<String> = terms.scopes.iter().map(|(scope, given)| format!("{} {}", scope.name(), show_duration(given.every_s))).collect();
            parts.push(format!("{} {}", lang.of("scopes, each at most every:", "範囲と最短間隔："), scopes.join(", ")));
        }
        if consent.example {
            parts.push(Key::ExampleConsent.text(lang).to_owned());
        }
        parts.join("; ")
    }

    fn chain(&self, lang: Lang) -> String {
        let Some(chain) = &self.row.chain else { return Key::ChainNone.text(lang).to_owned() };
        let mut text = format!("{} ({}), {} {}", chain.epoch, chain.chain_id, lang.of("next place", "次の連番"), chain.next_seq);
        match self.row.fork {
            Some(ForkMark::Now) => text.push_str(&format!("; {}", Key::Forked.text(lang))),
            Some(ForkMark::Approved(ms)) => text.push_str(&format!("; {} {}", Key::WasForked.text(lang), lang.brief(ms))),
            None => {}
        }
        if let Some(waiting) = chain.waiting {
            text.push_str(&format!("; {} {} ({} {})", Key::Waiting.text(lang), waiting.for_seq, Key::Since.text(lang), lang.brief(waiting.since_ms)));
        }
        text
    }
}

fn life(state: MachineState, lang: Lang) -> &'static str {
    let key = match state {
        MachineState::Pending => Key::LifePending,
        MachineState::Active => Key::LifeActive,
        MachineState::Revoked => Key::LifeRevoked,
        MachineState::Retired => Key::LifeRetired,
    };
    key.text(lang)
}

/// How something stands, as JSON.
pub(super) fn found_json(row: &StandingRow) -> Value {
    let one = &row.finding;
    json!({"check": one.check, "name": one.name, "state": one.state, "since_ms": one.since_ms, "evidence": one.evidence, "words": words::check(one, Lang::En),
           "words_ja": words::check(one, Lang::Ja), "epoch": row.epoch, "seq": row.seq, "received_ms": row.received_at_ms})
}

/// How something stands, as a line; `since` by the machine's clock.
pub(super) fn found(row: &StandingRow, lang: Lang) -> String {
    let one = &row.finding;
    let (since, subject, evidence) = (lang.brief(one.since_ms), words::subject(one, lang), words::evidence(one, lang));
    let about = format!("{since}  {} {}", padded(words::standing(one, lang), lang.of(28, 22)), words::check(one, lang));
    let details: Vec<String> = [subject, evidence].into_iter().filter(|part| !part.is_empty()).collect();
    if details.is_empty() { about } else { lang.of(format!("{about} ({})", details.join(": ")), format!("{about}（{}）", details.join("："))) }
}

fn fault_json(fault: &Fault) -> Value {
    json!({"section": fault.section(), "probe": fault.probe, "name": fault.name, "code": fault.code, "words": words::fault(fault, Lang::En),
           "words_ja": words::fault(fault, Lang::Ja)})
}

fn fault(fault: &Fault, lang: Lang) -> String {
    let (section, why, probe) = (words::section(fault.section(), lang), words::fault(fault, lang), &fault.probe);
    let name = fault.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    lang.of(format!("{section}{name}: {why} ({probe})"), format!("{section}{name}：{why}（{probe}）"))
}

fn measured((section, entries, taken): (&str, usize, Taken), lang: Lang) -> String {
    let (words, received) = (words::section(section, lang), lang.brief(taken.received_ms));
    let counted = if entries == 1 { String::new() } else { lang.of(format!(", {entries} of them"), format!("、{entries}件")) };
    lang.of(format!("{words}{counted}: received {received}"), format!("{words}{counted}：受信 {received}"))
}

/// The newest lines under a heading, and how many more there are.
pub(super) fn part(text: &mut String, lang: Lang, heading: &str, lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    let none = if count == 0 { lang.of(": none", "：なし") } else { "" };
    text.push_str(&format!("\n{heading}{none}\n"));
    lines.take(LINES_MAX).for_each(|line| text.push_str(&format!("  {line}\n")));
    if count > LINES_MAX {
        let more = count - LINES_MAX;
        text.push_str(&lang.of(format!("  … and {more} more: --json shows all\n"), format!("  … ほか{more}件（--jsonですべて表示）\n")));
    }
}

fn finding(row: &FindingRow, lang: Lang) -> String {
    let times = lang.of(format!("{} times that day, last", row.count), format!("その日{}回、最後は", row.count));
    let times = if row.count == 1 { String::new() } else { format!(" ({times} {})", lang.brief(row.last_at_ms)) };
    format!("{}  {}{times}", lang.brief(row.first_at_ms), finding_words::words(row, lang))
}

pub(super) fn span(span: &Span, lang: Lang) -> String {
    let until = span.to_ms.map_or_else(|| lang.of("now", "現在").to_owned(), |ms| lang.brief(ms));
    let state = State::from_name(span.state.as_str()).map_or(span.state.as_str(), |state| lang.of(state.words_en(), state.words_ja()));
    // The history does not keep how long the grace was.
    let because = match Because::from_code(span.because.as_str(), Some(0)) {
        Some(Because::Silent { .. }) => lang.of("no report within the agreed time", "所定の時間内にレポートがありません").to_owned(),
        Some(because) => lang.of(because.words_en(), because.words_ja()),
        None => span.because.to_string(),
    };
    format!("{} – {} {} {because}", lang.brief(span.from_ms), padded(&until, lang.of(20, 25)), padded(state, 13))
}

fn session(row: &SessionRow, lang: Lang) -> String {
    let boot: String = row.boot_id.to_string().chars().take(8).collect();
    let (from, to, gap) = (lang.brief(row.received_from_ms), lang.brief(row.received_to_ms), row.largest_gap_ms / 1000);
    let counted = lang.of(format!("{} entries, longest gap {gap} s", row.entries), format!("{}件、最長の間隔{gap}秒", row.entries));
    format!("{from} – {to}  {} {boot}  {counted}", lang.of("boot", "起動ID"))
}
